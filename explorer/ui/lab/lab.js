/* The lab: map, sliders and decoded picture as one surface, live over one WebSocket.

   Streamlit calls the default export again whenever its data change, so what must last stands in
   a Lab object kept on the root element. Streamlit is told only settled states. */

const SETTLE_DELAY = 250;    // ms after the last key press
const GLIDE_CODE = 260;      // ms that the sliders take to another code
const NOTE_MS = 9000;
const MOST_UNDO = 200;
const DRIFT = 0.88;          // how much of its noise a wobble keeps from frame to frame
const LARGEST_LATENT = 1e6;
const NO_SOLID = "three dimensions are drawn by WebGL, which this browser does not offer.";
const UNTOLD_DELAY = 300;   // ms between looks whether Streamlit is there again
const VIEW_PATTERN = /^(map|map-3d|principal|principal-3d|axes:(\d+),(\d+)|fit:[0-9a-f]{32})$/;

function gaussian() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

/* The shortest decimal that is this very float32. */
function shortest(value) {
  for (let digits = 3; digits < 9; digits += 1) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return text;
  }
  return Number(value.toPrecision(9));
}

const same = (one, other) => one.length === other.length && one.every((value, axis) => value === other[axis]);

/* Chooses what there is to choose; what is shown without being on the list comes onto it. */
function choose(select, value, words) {
  if (![...select.options].some((option) => option.value === value)) select.append(new Option(words ?? value, value));
  select.value = value;
}

class Lab {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.picture = this.find(".lab-picture");
    this.ghost = this.find(".lab-ghost");
    this.latents = new Float32Array(0);
    this.selections = { A: null, B: null };
    this.slot = "A";
    this.fitsUnderWay = new Set();
    this.frames = 0;
    this.underWay = new Set();
    this.truth = new Truth(this);
    this.dressing = new Dressing(this);
    this.link = new Link({
      onState: (phase, text) => this.showState(phase, text),
      onOpen: () => this.reconnected(),
      onFrame: (answer) => this.showFrame(answer),
      onGhost: (answer) => this.showGhost(answer),
      onTruth: (facts, about) => this.truth.receive(facts, about),
      onPicture: (answer) => this.receivePicture(answer),
      onView: (answer) => { if (answer.error) this.note(answer.error); },
    });
    this.colouring = new Colouring(root, {
      onSelect: (group, name) => this.selectGroup(group, name),
      onToggle: () => { this.recolour(); this.map.rest(); },
    });
    this.map = new LatentMap(root, {
      onPick: (row) => this.pinRow(row),
      onSpot: (spot) => this.pinSpot(spot),
      onDrag: (spot, phase) => this.dragTo(spot, phase),
      onHover: (spot) => this.lookAt(spot),
      onSelect: (rows, kind) => this.select(this.slot, rows, kind === "lasso" ? "in a lasso" : "in a box"),
      onRest: () => this.dressing.dress(),
      onEscape: () => this.escape(),
      askPicture: (row) => this.link.picture(row, GHOST),
      caption: (row, answer) => this.caption(row, answer),
      shown: (row) => this.colouring.shown(row),
      colourOf: (row) => this.colouring.css(row, this.chosen),
      axisName: (number) => this.mapAxis(number),
      onBusy: (what, on) => this.busy(what, on),
    });
    this.sliders = new Sliders(root, {
      onPress: () => { this.stopWobble(); this.finishGlide(); },
      onMove: (axis, value) => this.moveAxis(axis, value),
      onRelease: () => this.settle(),
      onKey: () => this.settleSoon(),
      onSet: (axis, value) => this.setAxis(axis, value),
      onReset: (axis) => this.setAxis(axis.index, Math.fround(axis.typical)),
      onRefused: (words) => this.note(words),
      onName: (axis, name) => this.nameAxis(axis, name),
      onUnfold: () => this.refreshStrips(),
    });
    this.drawer = null;
    root.addEventListener("click", (event) => {
      const action = event.target.closest?.("[data-do]")?.dataset.do;
      const tool = event.target.closest?.("[data-tool]")?.dataset.tool;
      if (action) this.press(action);
      if (tool) this.setTool(tool);
    });
    this.bindChoices();
    this.onKey = (event) => this.shortcut(event);
    document.addEventListener("keydown", this.onKey);
  }

  /* What is under way stands in data-busy; with none, the page is at rest and all of it up to date. */
  busy(what, on) {
    if (this.underWay.has(what) === on) return;
    if (on) this.underWay.add(what);
    else this.underWay.delete(what);
    this.root.dataset.busy = [...this.underWay].join(" ");
  }

  /* -- from Streamlit -- */

  update(data, tell) {
    this.tell = tell;
    const fresh = !this.data || this.data.tag !== data.tag || this.data.name !== data.name;
    const renewed = this.data && this.data.token !== data.token;
    this.data = data;
    this.root.dataset.run = data.run;
    this.root.dataset.model = data.name;
    if (fresh) this.open();
    else {
      if (renewed) this.link.connect(this.target());
      if (this.map.theme()) this.recolour();
    }
    if (data.push && data.push.id !== this.pushed) {
      this.pushed = data.push.id;
      this.go(Float32Array.from(data.push.latents), { silent: true });
    }
    if (data.decoded && data.decoded.id === this.settledId) {
      const text = atob(data.decoded.pixels);
      this.showFrame({ pixels: Uint8Array.from(text, (c) => c.charCodeAt(0)), place: this.placeOffline(data.decoded.place) });
    }
  }

  /* Where the pinned code lies, without a connection: on the checkpoint's own map, which it comes
     with, or on a plane. */
  placeOffline(onMap) {
    if (this.shownView === "map") return onMap;
    return this.plane ? this.placeOnPlane(this.plane, this.latents) : null;
  }

  /* Tells Streamlit; after a restart of the server its own line comes back later than ours. */
  report(key, value) {
    this.untold ??= new Map();
    this.untold.set(key, value);
    clearTimeout(this.tellTimer);
    const app = document.querySelector("[data-test-connection-state]");
    if (app && app.dataset.testConnectionState !== "CONNECTED") {
      this.tellTimer = setTimeout(() => this.report(key, this.untold.get(key)), UNTOLD_DELAY);
      return;
    }
    for (const [name, latest] of this.untold) this.tell(name, latest);
    this.untold.clear();
  }

  target() {
    const { base, name, token, tag } = this.data;
    return { base, name, token, tag, latentDim: this.data.axes.length };
  }

  open() {
    const { data } = this;
    this.link.forget();
    this.stopWobble();
    this.blank();
    Object.assign(this, {
      history: [], future: [], pushed: undefined, selections: { A: null, B: null }, slot: "A", chosen: null,
      labels: null, values: new Map(), colour: data.classes.length || !data.density ? "class" : "density", view: "map",
      fits: new Map(), factors: [], asks: new Map(), stripsOn: false, tilesOn: true,
    });
    this.sliders.build(data);
    this.map.clear(data);
    const [height, width] = data.shape;
    for (const canvas of [this.picture, this.ghost]) {
      canvas.style.aspectRatio = `${width} / ${height}`;
      Object.assign(canvas, { width, height });    // which empties it
    }
    this.find(".lab-hint").textContent = data.hint;
    this.find(".lab-map-note").textContent = data.note;
    this.find('[data-do="wobble"]').disabled = !data.kl;
    this.find('[data-do="wobble"]').title = data.kl
      ? "Sample the posterior: wobble z by its own sigma" : "An autoencoder's posterior is a point: there is no sigma to sample with.";
    this.find('[data-do="prior"]').title = data.kl
      ? "Draw z from the prior N(0, I)" : "Draw z from N(0, I): an autoencoder has no prior, and its codes may lie elsewhere.";
    this.pressed("wobble", false);
    this.pressed("strips", false);
    this.showState("starting", "Loading the model…");
    this.painted = false;    // a picture of this model
    this.settledId = null;
    this.latents = Float32Array.from(data.start);
    const asked = this.readAddress();
    if (asked.latents) this.latents = asked.latents;
    this.settled = this.latents.slice();
    if (asked.view) this.view = asked.view;
    if (asked.colour) this.colour = asked.colour;
    this.state = this.snapshot();
    this.drawer ??= new Drawer(this.root, this);
    this.fillChoices();
    this.link.connect(this.target());
    this.drawer.clear();
    this.showDirection();
    this.setLatents(this.latents);
    this.buttons();
    this.loadView(this.view, { first: true });
  }

  /* Nothing that was read off the former model stays, and no answer about it is taken any more. */
  blank() {
    for (const timer of [this.settleTimer, this.neighbourTimer]) clearTimeout(timer);
    Object.assign(this, {
      gliding: null, awaitSpot: null, ghostCode: null, ghostAt: null, pinPlace: null, guessed: false, settledForPlane: null, sliding: false,
      settleTimer: null, settleWhenQuiet: false, switching: false, shownView: null, viewSequence: undefined,
      viewAsked: null, colourAsked: null, stripsAsked: null, addressNote: null, fitting: null,
    });
    for (const what of [...this.underWay]) this.busy(what, false);
    this.root.dataset.ghost = false;
    this.truth.blank();
    this.colouring.clear();
    this.say("");
    // A fit goes on, and its map is kept for when its model is looked at again.
    const form = this.find(".lab-fit");
    form.querySelector("progress").hidden = this.find('[data-do="fit-cancel"]').hidden = true;
    form.querySelector(".lab-fit-state span").textContent = "";
  }

  /* -- the address: what a copied link opens -- */

  readAddress() {
    if (window.latentExplorerAddressRead) return {};
    window.latentExplorerAddressRead = true;
    const given = new URLSearchParams(location.search), found = {}, trouble = [];
    if (given.has("model") && given.get("model") !== this.data.name) return {};
    if (given.has("z")) {
      const numbers = given.get("z").split(",").map((text) => (text.trim() ? Math.fround(Number(text)) : NaN));
      const size = this.latents.length;
      if (numbers.length !== size) trouble.push(`z has ${numbers.length} values, this model ${size} latents`);
      else if (!numbers.every((value) => Math.abs(value) <= LARGEST_LATENT)) trouble.push("z holds what is no number");
      else found.latents = Float32Array.from(numbers);
    }
    if (given.has("view")) {
      if (this.knownView(given.get("view"))) found.view = given.get("view");
      else trouble.push(`there is no map ${given.get("view").slice(0, 40)}`);
    }
    if (given.has("colour")) {
      if (this.knownColour(given.get("colour"))) found.colour = given.get("colour");
      else trouble.push(`there is no colour ${given.get("colour").slice(0, 40)}`);
    }
    if (trouble.length) this.addressNote = `The address could not be read in full and that part is ignored: ${trouble.join("; ")}.`;
    return found;
  }

  knownColour(colour) {
    const match = /^(class|density|kl|reconstruction|axis-(\d+)|factor-\d+)$/.exec(colour);
    return !!match && (match[2] === undefined || Number(match[2]) < this.data.axes.length);
  }

  knownView(view) {
    const match = VIEW_PATTERN.exec(view), size = this.data.axes.length;
    if (!match) return false;
    if (match[2] !== undefined) return match[2] !== match[3] && Number(match[2]) < size && Number(match[3]) < size;
    if (view === "map-3d") return this.data.solid;
    if (view === "principal") return size > 2;
    if (view === "principal-3d") return size > 2;
    return true;
  }

  writeAddress() {
    const url = new URL(location.href);
    url.searchParams.set("model", this.data.name);
    url.searchParams.set("z", Array.from(this.settled, shortest).join(","));
    url.searchParams.set("view", this.view);
    url.searchParams.set("colour", this.colour);
    url.search = url.search.replaceAll("%2C", ",").replaceAll("%3A", ":");
    history.replaceState(history.state, "", url);
  }

  /* -- maps -- */

  get plane() { return this.map.points?.dims === 2 ? this.map.points.plane : null; }

  async loadView(view, { first = false } = {}) {
    const asked = this.viewAsked = Symbol("asked");
    const { data } = this;
    this.view = view;
    this.showChoices();
    this.busy("view", true);
    try {
      const labels = this.labels ? 0 : 1;
      const [plotly, answer] = await Promise.all([
        loadPlotly(data.plotly),
        this.link.framed(this.link.fetch(`/points/{name}?view=${encodeURIComponent(view)}&labels=${labels}`)),
      ]);
      // Another model or map may have been picked while these were on their way.
      if (asked !== this.viewAsked || !this.root.isConnected) return;
      const { header, take } = answer;
      if (header.dims === 3 && !this.map.layer.gl) throw new Error(NO_SOLID);
      const places = take(Float32Array, header.count * header.dims);
      if (header.labels) this.labels = take(Int16Array, header.count);
      const points = { places, count: header.count, dims: header.dims, plane: header.plane, exact: header.exact, view, method: header.method };
      this.switching = true;
      this.awaitSpot = null;
      this.link.dropSpots();
      this.viewSequence = this.link.view(view);
      this.shownView = view;
      this.pinPlace = null;    // a position on the former map
      if (first) this.paintClasses(header.count);
      if (points.dims === 2 && this.map.place) this.map.place = points.plane ? this.placeOnPlane(points.plane, this.latents) : null;
      else this.map.place = null;
      await this.map.show(points, plotly);
      if (this.map.points !== points) return;
      this.showExactness();
      this.switching = false;
      if (!first || this.colour === "class") this.recolour();
      else if (await this.setColour(this.colour) === false) await this.setColour("class");
      this.decode(this.latents);
      this.truth.ask("pin", this.latents, true);
      this.find(".lab-map-note").textContent = this.mapNote();
      if (first) this.afterFirstPaint();
    } catch (error) {
      if (asked !== this.viewAsked) return;
      this.switching = false;
      if (this.shownView && this.map.points) {
        this.note(`This map cannot be shown: ${error.message}`);
        this.view = this.shownView;
        this.showChoices();
      } else if (view !== "map") {
        this.addressNote = `The address's map cannot be shown (${error.message}); this is the checkpoint's own.`;
        await this.loadView("map", { first });
      } else this.map.showError(error);
    } finally {
      if (asked === this.viewAsked) this.busy("view", false);
    }
  }

  paintClasses(count) {
    const { data } = this;
    if (data.classes.length) this.colouring.byGroup(this.labels, data.classes, data.colours);
    else this.colouring.plain(count, data.colours[0]);
  }

  async afterFirstPaint() {
    if (this.addressNote) {
      this.note(this.addressNote);
      this.addressNote = null;
    }
    this.settleViews();
    const { data } = this;
    try {
      const facts = await this.link.json("/facts/{name}");
      if (data !== this.data && data.tag !== this.data.tag) return;
      this.factors = facts.factors;
      for (const { view, request } of facts.views) this.fits.set(view, this.fitWords(request));
      this.fillChoices();
      if (facts.trouble) this.note(facts.trouble);
    } catch { /* the choices that need no facts are there */ }
  }

  settleViews() {
    this.refreshNeighbours();
    this.truth.ask("pin", this.latents, true);
  }

  mapNote() {
    const { points } = this.map;
    if (this.view === "map") return this.data.note;
    if (this.view === "map-3d") return "The same projection in three dimensions. Drag to turn it, click a point to pin its code.";
    if (points.plane && points.dims === 3) return "The first three principal axes of the codes. Drag to turn the map, click a point to pin its code.";
    if (points.plane) {
      const what = this.view.startsWith("axes") ? "two latent axes" : "the first principal axes of the codes";
      return `The plane of ${what}, through the pinned code: every position is a code. Dashed: 1, 2 and 3 sigma of ${this.data.kl ? "the prior" : "N(0, I), which an autoencoder is not trained towards"}.`;
    }
    return `A map fitted here (${this.fits.get(this.view) ?? "see Fit"}), turned onto the checkpoint's own. Positions are approximate.`;
  }

  placeOnPlane(plane, code) {
    return plane.basis.map((row) => row.reduce((sum, value, axis) => sum + value * (code[axis] - plane.centre[axis]), 0));
  }

  /* The pinned code, moved within the plane so that it lies at the spot. */
  codeOnPlane(spot) {
    const { plane } = this, from = this.settledForPlane ?? this.latents;
    const here = this.placeOnPlane(plane, from);
    const code = Float32Array.from(from);
    plane.basis.forEach((row, along) => row.forEach((value, axis) => { code[axis] += value * (spot[along] - here[along]); }));
    return this.sliders.keepLocked(code);
  }

  mapAxis(number) {
    const view = this.view;
    if (number && this.map.line) return "";
    const axes = /^axes:(\d+),(\d+)$/.exec(view);
    if (axes) return axisLabel(Number(axes[number + 1]), this.sliders.names);
    if (view.startsWith("principal")) return `principal axis ${number + 1}`;
    return axisLabel(number, this.sliders.names);
  }

  bindChoices() {
    const view = this.find(".lab-view-choice"), x = this.find(".lab-axis-x"), y = this.find(".lab-axis-y");
    view.addEventListener("change", () => {
      if (view.value !== "axes") this.changeView(view.value);
      else this.changeView(`axes:${this.data.axes[0].index},${this.data.axes[1].index}`);
    });
    for (const [one, other] of [[x, y], [y, x]]) {
      one.addEventListener("change", () => {
        // Two like axes make no plane: the other one steps aside.
        if (one.value === other.value) other.value = this.data.axes.find((axis) => String(axis.index) !== one.value).index;
        this.changeView(`axes:${x.value},${y.value}`);
      });
    }
    this.find(".lab-colour-choice").addEventListener("change", (event) => this.changeColour(event.target.value));
    this.find(".lab-fit").addEventListener("submit", (event) => {
      event.preventDefault();
      this.fit();
    });
    this.find(".lab-fit").addEventListener("keydown", (event) => { if (event.key === "Escape") this.press("fit"); });
  }

  fillChoices() {
    const { data } = this;
    const option = (value, text) => new Option(text, value);
    const own = data.method === "umap" ? "UMAP" : data.method === "latent plane" ? (data.axes.length > 1 ? "Latent plane" : "Latent axis") : "Principal components";
    const views = [option("map", own)];
    if (data.axes.length > 2) views.push(option("principal", "Principal axes"), option("axes", "Two latent axes"));
    for (const [value, words] of this.fits) views.push(option(value, words));
    this.find(".lab-view-choice").replaceChildren(...views);
    const axes = data.axes.map((axis) => [axis.index, axisLabel(axis.index, this.sliders.names)]);
    for (const select of [this.find(".lab-axis-x"), this.find(".lab-axis-y")]) {
      select.replaceChildren(...axes.map(([index, label]) => option(index, label)));
    }
    const colours = [option("class", data.classes.length ? "Class" : "One colour")];
    if (data.density) colours.push(option("density", "Local density"));
    colours.push(option("reconstruction", "Reconstruction loss"));
    if (data.kl) colours.push(option("kl", "KL"));
    for (const { key, title } of this.factors) colours.push(option(key, title));
    for (const [index, label] of axes) colours.push(option(`axis-${index}`, label));
    this.find(".lab-colour-choice").replaceChildren(...colours);
    this.showChoices();
  }

  showChoices() {
    const axes = /^axes:(\d+),(\d+)$/.exec(this.view);
    if (this.view.startsWith("fit:") && !this.fits.has(this.view)) this.fits.set(this.view, "Fitted map");
    choose(this.find(".lab-view-choice"), axes ? "axes" : this.view.replace(/-3d$/, ""), axes ? "Two latent axes" : this.fits.get(this.view));
    this.find(".lab-axes-choice").hidden = !axes;
    if (axes) {
      this.find(".lab-axis-x").value = axes[1];
      this.find(".lab-axis-y").value = axes[2];
    }
    // The address may name a factor before it is known which there are.
    choose(this.find(".lab-colour-choice"), this.colour, this.values.get(this.colour)?.header.title);
    const solid = this.find('[data-do="solid"]');
    solid.disabled = !this.otherDimension();
    solid.setAttribute("aria-pressed", /-3d$/.test(this.view));
    const plane = /^axes|^principal$/.test(this.view) || (this.view === "map" && this.data.exact && this.data.axes.length > 1);
    this.find('[data-do="tiles"]').disabled = !plane;
    this.pressed("tiles", plane && this.tilesOn);
  }

  otherDimension() {
    if (this.view === "map") return this.data.solid ? "map-3d" : null;
    if (this.view === "principal") return "principal-3d";
    return /-3d$/.test(this.view) ? this.view.replace(/-3d$/, "") : null;
  }

  async changeView(view, { replay = false } = {}) {
    await this.loadView(view);
    if (this.view !== view) return;
    if (!replay) this.keep();
    this.writeAddress();
  }

  showExactness({ spot, image } = this.pinAt) {
    const { points } = this.map;
    if (!points) return;
    const plane = points.exact || !!points.plane, method = points.method === "umap" ? "UMAP" : "PCA";
    this.find('[data-fact="spot"] b').textContent = plane || image ? "exact" : `approximate (${method})`;
    const why = spot ? `A ${method} map has no exact inverse: the code is a guess, fitted to the codes of the 32 nearest points.`
      : "The code is exact, its position is not: the marker stands among the 15 nearest images' points, however far they are from the code.";
    this.find('[data-fact="spot"] dd').title = plane ? "The map is a plane of the latent space: each position is a code."
      : image ? "The code of this encoded image, at the image's own position on the map." : why;
  }

  /* How the pinned code and its position belong together: `spot`, if the code is a guess for it. */
  get pinAt() {
    const held = this.plane ? null : this.pinPlace;
    return { spot: this.guessed ? held : null, image: !!held && !this.guessed };
  }

  /* -- fits -- */

  fitWords({ method, n_neighbors: neighbours, min_dist: distance, metric, components }) {
    if (method !== "umap") return `PCA ${components}-D`;
    return `UMAP ${neighbours} / ${distance}${metric === "euclidean" ? "" : ` ${metric}`}${components === 3 ? " 3-D" : ""}`;
  }

  async fit() {
    if (this.fitting) return;
    const form = this.find(".lab-fit"), state = this.find(".lab-fit-state span"), bar = this.find(".lab-fit-state progress");
    const given = new FormData(form);
    const request = {
      method: given.get("method"), metric: given.get("metric"),
      n_neighbors: Number(given.get("n_neighbors")), min_dist: Number(given.get("min_dist")), components: Number(given.get("components")),
    };
    const { data } = this;
    const abort = this.fitting = new AbortController();
    this.fitsUnderWay.add(abort);
    // Of a model that is no longer looked at nothing is told.
    const mine = () => this.fitting === abort;
    const cancel = this.find('[data-do="fit-cancel"]');
    cancel.hidden = bar.hidden = false;
    bar.removeAttribute("value");
    state.textContent = "Starting…";
    try {
      const response = await this.link.post("/fits/{name}", JSON.stringify(request), { signal: abort.signal });
      await this.readLines(response, (line) => {
        if (line.error) throw new Error(line.error);
        if (mine() && line.words) state.textContent = line.words;
        if (mine() && line.share !== undefined && line.share !== null) bar.value = line.share;
        if (line.view && data.tag === this.data.tag) {
          this.fits.set(line.view, this.fitWords(request));
          this.fillChoices();
          if (!mine()) return;
          state.textContent = "Done.";
          this.changeView(line.view);
        }
      });
    } catch (error) {
      if (mine()) state.textContent = abort.signal.aborted ? "Cancelled; the map is as it was." : `${error.message} The map is as it was.`;
    } finally {
      this.fitsUnderWay.delete(abort);
      if (mine()) {
        this.fitting = null;
        cancel.hidden = bar.hidden = true;
      }
    }
  }

  async readLines(response, call) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.trim()) call(JSON.parse(line));
    }
    if (rest.trim()) call(JSON.parse(rest));
  }

  /* -- colours -- */

  async changeColour(colour, { replay = false } = {}) {
    const before = this.colour;
    const done = await this.setColour(colour);
    if (done === false) await this.setColour(before);
    if (!done) return;
    if (!replay) this.keep();
    this.writeAddress();
  }

  /* Whether it could be done; null if another one was wanted meanwhile. */
  async setColour(colour) {
    const asked = this.colourAsked = Symbol("asked");
    const { data } = this;
    this.busy("colour", true);
    try {
      if (colour === "class") this.paintClasses(this.map.points.count);
      else {
        if (!this.values.has(colour)) {
          this.find(".lab-legend").replaceChildren(Object.assign(document.createElement("span"), { className: "lab-faint", textContent: "Measuring…" }));
          const { header, take } = await this.link.framed(this.link.fetch(`/values/{name}/${colour}`));
          if (data.tag !== this.data.tag) return null;
          this.values.set(colour, { header, values: take(Float32Array, this.map.points.count) });
        }
        if (asked !== this.colourAsked) return null;
        const { header, values } = this.values.get(colour);
        if (header.choices) {
          const labels = Int16Array.from(values, (value) => (Number.isFinite(value) ? value : -1));
          this.colouring.byGroup(labels, header.choices, header.choices.map((_, place) => data.palette[place % data.palette.length]), { key: colour });
        } else this.colouring.byValue(values, header);
      }
    } catch (error) {
      if (asked !== this.colourAsked) return null;
      this.note(error.message);
      return false;
    } finally {
      if (asked === this.colourAsked) this.busy("colour", false);
    }
    this.colour = colour;
    this.showChoices();
    this.recolour();
    return true;
  }

  recolour() {
    const { map } = this;
    if (!map.points || !(this.colouring.labels || this.colouring.values)) return;
    if (map.flat) map.layer.setColours(this.colouring.painter(this.chosen, map.points.count));
    else map.react();
    map.want("points", "over");
  }

  /* -- selections -- */

  selectGroup(group, name) {
    const { labels } = this.colouring;
    const rows = [];
    for (let row = 0; row < labels.length; row += 1) if (labels[row] === group) rows.push(row);
    this.select(this.slot, Uint32Array.from(rows), `of ${name}`);
  }

  useSlot(slot) {
    this.slot = slot;
    this.drawer.showSelections();
    this.drawer.sheets.selection.querySelector(`[data-slot=${slot}] .lab-slot`)?.focus();
  }

  async select(slot, rows, words) {
    if (rows && !rows.length) {
      this.say("No point lies there.");
      this.note("No point lies there: draw around some, or click a name in the legend.");
      return;
    }
    const selection = rows && { rows, words, summary: null, pictureOfMean: null };
    this.selections = { ...this.selections, [slot]: selection };
    this.showSelections();
    if (rows) this.drawer.open("selection");
    if (!selection) {
      this.keep();
      return;
    }
    // Another one may take its place while it is measured, and another model take them all.
    const stands = () => this.selections[slot] === selection;
    this.busy("selection", true);
    try {
      selection.summary = await (await this.link.post("/selection/{name}", rows)).json();
      if (!stands()) return;
      this.drawer.showSelections();
      this.showDirection();
      this.say(`Selection ${slot}: ${selection.summary.count} points ${words}.`);
      this.keep();
      selection.pictureOfMean = await this.link.pictures(Float32Array.from(selection.summary.mean), 64);
    } catch (error) {
      selection.error = error.message;
    } finally {
      if (stands()) this.busy("selection", false);
    }
    if (stands()) this.drawer.showSelections();
  }

  showSelections() {
    const { A, B } = this.selections;
    this.chosen = null;
    if ((A || B) && this.map.points) {
      this.chosen = new Uint8Array(this.map.points.count);
      for (const selection of [A, B]) if (selection) for (const row of selection.rows) this.chosen[row] = 1;
    }
    this.recolour();
    this.drawer.showSelections();
    this.showDirection();
  }

  /* The direction from the mean of B to that of A, to slide along. */
  showDirection() {
    const box = this.drawer.direction;
    const { A, B } = this.selections;
    const there = !!(A?.summary && B?.summary);
    const key = there ? `${A.summary.mean}|${B.summary.mean}` : "";
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    box.hidden = !there;
    this.directionBase = null;
    if (!there) { box.replaceChildren(); return; }
    const input = Object.assign(document.createElement("input"), { type: "range", min: -2, max: 2, step: 0.01, value: 0 });
    input.setAttribute("aria-label", "Along the direction A minus B, in its own lengths");
    const output = Object.assign(document.createElement("output"), { value: "0.00" });
    const label = Object.assign(document.createElement("span"), { textContent: "A − B", title: "Adds a multiple of mean(A) − mean(B) to the pinned code" });
    box.replaceChildren(label, input, output);
    const step = A.summary.mean.map((value, axis) => value - B.summary.mean[axis]);
    input.addEventListener("input", () => {
      this.finishGlide();
      this.directionBase ??= this.settled.slice();
      const times = Number(input.value);
      output.value = times.toFixed(2);
      this.sliding = true;
      this.setLatents(this.sliders.keepLocked(this.directionBase.map((value, axis) => value + times * step[axis])));
    });
    input.addEventListener("change", () => this.settle({ direction: true }));
  }

  resetDirection() {
    this.directionBase = null;
    const input = this.drawer.direction.querySelector("input");
    if (!input) return;
    input.value = 0;
    this.drawer.direction.querySelector("output").value = "0.00";
  }

  /* -- the map as a picture -- */

  saveMap() {
    const { map } = this;
    const name = `${this.data.name}-map.png`;
    if (!map.points) return;
    if (!map.flat) {
      map.Plotly.toImage(map.plot, { format: "png", scale: 2 }).then((url) => fetch(url)).then((one) => one.blob()).then((blob) => save(name, blob));
      return;
    }
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: map.over.width, height: map.over.height });
    const context = canvas.getContext("2d");
    context.fillStyle = map.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    map.layer.draw();    // in this very turn: a WebGL canvas is empty after it
    for (const layer of [map.under, map.layer.canvas, map.over]) context.drawImage(layer, 0, 0);
    if (map.place) {
      const spot = map.pixel(map.place);
      context.scale(map.ratio, map.ratio);
      context.strokeStyle = map.text;
      context.lineWidth = 3;
      context.beginPath();
      context.arc(spot.x, spot.y, 8, 0, 2 * Math.PI);
      context.stroke();
    }
    canvas.toBlob((blob) => save(name, blob));
  }

  /* -- looking without pinning -- */

  lookAt(spot) {
    if (!spot) {
      this.ghostCode = null;
      this.showGhostPicture(null);
      this.truth.showPin();
      return;
    }
    if (this.awaitSpot || this.switching) return;
    if (this.plane) this.link.ghostCode(this.codeOnPlane(spot));
    else this.link.ghostSpot(spot, this.sliders.held());
  }

  showGhost(answer) {
    if (this.awaitSpot) {
      if (!this.link.slots.ghost.quiet) return;
      const spot = this.awaitSpot;
      this.awaitSpot = null;
      this.pinCode(answer.code, { place: spot, guessed: true });
      return;
    }
    if (!this.map.ghost) return;
    this.ghostCode = answer.code;
    this.ghostAt = { spot: answer.spot ? Array.from(this.map.ghost) : null, image: false };
    this.showGhostPicture(answer.pixels);
    this.truth.ask("ghost", answer.code);
  }

  showGhostPicture(pixels) {
    this.root.dataset.ghost = !!pixels;
    if (pixels) {
      paint(this.ghost, pixels, this.data.shape);
      this.ghostFrames = (this.ghostFrames ?? 0) + 1;
    } else this.ghost.getContext("2d").clearRect(0, 0, this.ghost.width, this.ghost.height);
  }

  /* -- points and their pictures -- */

  labelOf(label, index) {
    return label >= 0 && this.data.classes[label] !== undefined ? this.data.classes[label] : `Image ${index}`;
  }

  caption(row, answer) {
    const label = this.labels?.[row] ?? -1;
    const losses = [];
    if (Number.isFinite(answer.nll)) losses.push(`reconstruction ${answer.nll.toFixed(1)} nats`);
    if (Number.isFinite(answer.kl)) losses.push(`KL ${answer.kl.toFixed(1)} nats`);
    return [
      this.labelOf(label, answer.index),
      answer.real ? `held-out image ${answer.index}` : `reconstruction of image ${answer.index}: the images are not at hand`,
      ...losses,
    ];
  }

  askPicture(row, call) {
    const sequence = this.link.picture(row);
    if (sequence === undefined) return false;
    this.asks.set(sequence, call);
    return true;
  }

  receivePicture(answer) {
    const call = this.asks.get(answer.sequence);
    for (const sequence of this.asks.keys()) if (sequence <= answer.sequence) this.asks.delete(sequence);
    if (call) call(answer);
    else this.map.showCard(answer);
  }

  /* -- pinning -- */

  pinRow(row) {
    if (!this.askPicture(row, (answer) => this.pinCode(answer.code, { place: this.map.flat ? this.map.onLine(this.map.placeOf(row)) : null }))) {
      this.note("There is no live connection: a point can be pinned when it is back.");
    }
  }

  pinSpot(spot) {
    if (this.switching) return;
    if (this.plane) { this.pinCode(this.codeOnPlane(spot)); return; }
    if (!this.link.open) {
      this.note("There is no live connection: a spot can be pinned when it is back.");
      return;
    }
    this.awaitSpot = spot;
    this.link.ghostSpot(spot, this.sliders.held());
  }

  /* The sliders glide to a code. `place`: where the marker then stays, where that is known;
     `guessed`: the code is a guess for it. */
  pinCode(code, { place = null, guessed = false } = {}) {
    if (code.length !== this.latents.length) return;
    this.stopWobble();
    this.finishGlide();
    const target = this.sliders.keepLocked(code);
    const at = same(target, code) ? place : null;
    if (STILL.matches || !this.link.open || document.hidden) {
      this.guessed = guessed;
      this.go(target, { at });
      return;
    }
    const from = this.latents.slice(), start = performance.now();
    const glide = this.gliding = { target, at, guessed };
    const step = (now) => {
      if (this.gliding !== glide) return;
      const share = Math.min(1, Math.max(0, (now - start) / GLIDE_CODE)), eased = 1 - (1 - share) ** 3;
      if (share === 1) { this.finishGlide(); return; }
      this.setLatents(target.map((value, axis) => from[axis] + eased * (value - from[axis])));
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  finishGlide() {
    const glide = this.gliding;
    if (!glide) return;
    this.gliding = null;
    this.setLatents(glide.target);
    this.pinPlace = glide.at;
    this.guessed = glide.guessed;
    // Where nothing settles, the position may yet be another one.
    if (same(this.latents, this.settled)) this.truth.ask("pin", this.latents);
    this.settle();
  }

  /* The marker is dragged, or moved by keys. */
  dragTo(spot, phase) {
    if (this.switching && phase !== "cancel") return;
    if (phase === "start") {
      this.stopWobble();
      this.finishGlide();
      this.settledForPlane = this.latents.slice();
      return;
    }
    if (phase === "cancel") {
      this.settledForPlane = null;
      this.link.slots.pinned.wanted = null;
      this.go(this.settled.slice(), { back: true });
      return;
    }
    if (phase === "key") {
      this.stopWobble();
      this.finishGlide();
    }
    if (phase !== "end") {
      this.awaitSpot = null;
      if (this.plane) {
        this.setLatents(this.codeOnPlane(spot));
        // Or the answer to an earlier step would put the marker back, and the next key start there.
        if (!this.sliders.locked.size) this.pinPlace = spot;
      } else if (this.link.open) {
        this.pinPlace = spot;
        this.guessed = true;
        this.link.pinSpot(spot, this.sliders.held());
      }
    }
    if (phase === "key") this.settleSoon();
    if (phase === "end") {
      this.settledForPlane = null;
      if (this.link.slots.pinned.quiet || !this.link.open) this.settle();
      else this.settleWhenQuiet = true;
    }
  }

  escape() {
    this.stopWobble();
    if (this.gliding) this.finishGlide();
    if (!same(this.latents, this.settled) || this.settleTimer) {
      clearTimeout(this.settleTimer);
      this.settleTimer = null;
      this.link.slots.pinned.wanted = null;
      this.go(this.settled.slice(), { back: true });
    } else this.press("undo");
  }

  /* -- the sliders' code -- */

  moveAxis(axis, value) {
    if (value === this.latents[axis]) return;
    this.stopWobble();
    this.pinPlace = null;
    this.sliding = true;
    this.latents[axis] = value;
    this.sliders.latents = this.latents;
    this.sliders.showValueSoon(axis);
    this.decode(this.latents);
  }

  decode(latents) {
    this.busy("picture", true);
    this.link.decode(latents.slice());
  }

  setAxis(axis, value) {
    this.stopWobble();
    this.finishGlide();
    const next = this.latents.slice();
    next[axis] = value;
    this.go(next);
  }

  setLatents(latents, { silent = false } = {}) {
    this.pinPlace = null;
    this.latents = Float32Array.from(latents);
    this.sliders.show(this.latents);
    if (!silent) this.decode(this.latents);
  }

  async nameAxis(axis, name) {
    const names = { ...this.sliders.names, [axis]: name };
    try {
      const answer = await (await this.link.post("/names/{name}", JSON.stringify({ names }))).json();
      this.sliders.setNames(answer.names ?? answer);
      this.fillChoices();
      if (this.map.points?.exact || this.plane) this.map.Plotly.relayout(this.map.plot, {
        "xaxis.title.text": this.mapAxis(0), "yaxis.title.text": this.mapAxis(1),
      });
      this.say(name ? `Axis ${axis + 1} is now called ${name}.` : `Axis ${axis + 1} has no name of its own.`);
    } catch (error) { this.note(error.message); }
  }

  /* -- settled states, undo and redo -- */

  snapshot() {
    return { latents: this.settled.slice(), view: this.view, colour: this.colour, selections: this.selections };
  }

  /* What changed is a step that can be undone. */
  keep() {
    this.history.push(this.state);
    if (this.history.length > MOST_UNDO) this.history.shift();
    this.future = [];
    this.state = this.snapshot();
    this.buttons();
  }

  settleSoon() {
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => {
      if (!this.link.slots.pinned.quiet && this.link.open) this.settleWhenQuiet = true;
      else this.settle();
    }, SETTLE_DELAY);
  }

  settle(options = {}) {
    clearTimeout(this.settleTimer);
    this.settleTimer = null;
    this.settleWhenQuiet = false;
    // A drag goes on: its own end settles, so that nothing runs while it lasts.
    if (this.sliders.pressed.size || this.map.dragging || this.wobbling) return;
    this.sliding = false;
    if (same(this.latents, this.settled)) return;
    this.settled = this.latents.slice();
    if (options.replay) this.state = this.snapshot();
    else this.keep();
    if (!options.direction) this.resetDirection();
    this.buttons();
    this.sliders.refreshNumbers();
    this.writeAddress();
    this.truth.ask("pin", this.settled, true);
    this.refreshNeighbours();
    this.refreshStrips();
    if (this.plane && this.latents.length > 2) this.dressing.tiles();
    if (options.silent) return;
    this.tellSettled();
  }

  tellSettled() {
    this.settledId = `${Date.now()}-${Math.random()}`;
    this.report("settled", {
      id: this.settledId,
      name: this.data.name,
      tag: this.data.tag,
      latents: Array.from(this.settled),
      offline: !this.link.open,
    });
  }

  go(latents, options = {}) {
    this.gliding = null;
    this.setLatents(latents);
    this.pinPlace = options.at ?? null;
    if (options.back) this.truth.ask("pin", this.latents);
    else this.settle(options);
  }

  refreshNeighbours() {
    clearTimeout(this.neighbourTimer);
    this.busy("neighbours", true);
    this.neighbourTimer = setTimeout(() => this.drawer.showNeighbours(this.settled), 60);
  }

  press(action) {
    const dimensions = this.latents.length;
    const { map } = this;
    if (action === "prior") {
      this.stopWobble();
      this.go(this.sliders.keepLocked(Float32Array.from({ length: dimensions }, gaussian)));
    } else if (action === "mean") {
      this.stopWobble();
      const mean = new Float32Array(dimensions);
      this.data.axes.forEach((axis) => { mean[axis.index] = axis.typical; });
      this.go(this.sliders.keepLocked(mean));
    } else if (action === "undo") this.replay(this.history, this.future);
    else if (action === "redo") this.replay(this.future, this.history);
    else if (action === "wobble") {
      if (this.wobbling) this.stopWobble();
      else this.startWobble();
    } else if (action === "strips") {
      this.stripsOn = !this.stripsOn;
      this.pressed("strips", this.stripsOn);
      if (this.stripsOn) this.refreshStrips();
      else this.sliders.hideStrips();
    } else if (action === "zoom-in") map.zoom(1 / 1.4);
    else if (action === "zoom-out") map.zoom(1.4);
    else if (action === "home") map.goHome();
    else if (action === "solid" && this.otherDimension()) this.changeView(this.otherDimension());
    else if (action === "shade") {
      const shown = !!map.shade;
      map.shading = shown ? "off" : "on";
      this.pressed("shade", !shown);
      map.rest();
    } else if (action === "tiles") {
      this.tilesOn = !this.tilesOn;
      this.pressed("tiles", this.tilesOn);
      this.dressing.tiles();
    } else if (action === "fit") {
      const form = this.find(".lab-fit"), open = form.hidden;
      form.hidden = !open;
      this.find('[data-do="fit"]').setAttribute("aria-expanded", open);
      if (open) form.elements.method.focus();
      else this.find('[data-do="fit"]').focus();
    } else if (action === "fit-cancel") this.fitting?.abort();
  }

  pressed(action, on) { this.find(`[data-do="${action}"]`).setAttribute("aria-pressed", on); }

  setTool(tool) {
    this.map.setTool(tool);
    for (const one of this.root.querySelectorAll("[data-tool]")) one.setAttribute("aria-pressed", one.dataset.tool === tool);
  }

  replay(from, to) {
    this.stopWobble();
    this.finishGlide();
    this.settle();    // what a key changed a moment ago is a step of its own
    if (!from.length) return;
    to.push(this.state);
    const next = from.pop();
    this.state = next;
    if (next.selections !== this.selections) {
      this.selections = next.selections;
      this.showSelections();
    }
    if (next.colour !== this.colour) this.changeColour(next.colour, { replay: true });
    if (next.view !== this.view) this.changeView(next.view, { replay: true });
    if (same(next.latents, this.settled)) this.buttons();
    else this.go(next.latents.slice(), { replay: true });
    this.state = next;
    this.buttons();
  }

  buttons() {
    this.find('[data-do="undo"]').disabled = !this.history.length;
    this.find('[data-do="redo"]').disabled = !this.future.length;
  }

  shortcut(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    const within = event.target;
    const writes = within.matches?.("textarea, [contenteditable], input:not([type=range])");
    if (writes || !this.root.isConnected) return;
    event.preventDefault();
    this.press(event.shiftKey ? "redo" : "undo");
  }

  /* -- sampling the posterior -- */

  startWobble() {
    this.finishGlide();
    this.settle();
    const sigma = this.truth.pin?.sigma;
    if (!sigma || !this.link.open) {
      this.note("The posterior's sigma is not known yet: try again in a moment.");
      return;
    }
    const base = this.settled.slice();
    const noise = Float32Array.from(base, gaussian);
    const run = this.wobbling = { base };
    this.pressed("wobble", true);
    const step = () => {
      if (this.wobbling !== run || !this.root.isConnected) return;
      // Each frame is a draw of N(0, I), and near the one before: what moves is the posterior alone.
      for (let axis = 0; axis < noise.length; axis += 1) noise[axis] = DRIFT * noise[axis] + Math.sqrt(1 - DRIFT ** 2) * gaussian();
      this.sliding = true;
      this.setLatents(this.sliders.keepLockedAt(base, base.map((value, axis) => value + sigma[axis] * noise[axis])));
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  stopWobble() {
    if (!this.wobbling) return;
    const { base } = this.wobbling;
    this.wobbling = null;
    this.sliding = false;
    this.pressed("wobble", false);
    this.setLatents(base);
  }

  /* -- strips -- */

  async refreshStrips() {
    if (!this.stripsOn) return;
    const asked = this.stripsAsked = Symbol("asked");
    const indices = this.sliders.shownAxes();
    const most = Math.floor(400 / STRIP_STEPS);
    try {
      for (let from = 0; from < indices.length; from += most) {
        const part = indices.slice(from, from + most);
        const pictures = await this.link.pictures(this.sliders.stripCodes(part), THUMB_SIDE);
        if (asked !== this.stripsAsked || !this.stripsOn) return;
        this.sliders.showStrips(part, pictures);
      }
    } catch (error) { this.note(error.message); }
  }

  /* -- answers -- */

  reconnected() {
    if (this.shownView) this.viewSequence = this.link.view(this.shownView);
    this.decode(this.latents);
  }

  showState(phase, text) {
    if (phase === "offline" || phase === "refused") this.wasLost = true;
    // Where no line comes about, the first picture comes with a run of the page.
    if (phase === "offline" && !this.painted && !this.settledId) this.tellSettled();
    this.root.dataset.phase = phase;
    this.stateText = text;
    clearTimeout(this.noteTimer);
    this.find(".lab-status").textContent = text;
    this.find(".lab-status").dataset.note = "false";
    if (phase !== "live") return;
    // After a restart of the server the first line may open with a grant that is no longer known:
    // only an answer shows that it holds.
    if (this.wasLost) this.settleViews();
    else if (this.map.points) this.truth.ask("pin", this.latents, true);
    this.wasLost = false;
  }

  /* Words that stand in the status line for a while. */
  note(words) {
    const status = this.find(".lab-status");
    status.textContent = words;
    status.dataset.note = "true";
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => {
      status.textContent = this.stateText;
      status.dataset.note = "false";
    }, NOTE_MS);
  }

  say(words) { this.find(".lab-said").textContent = words; }

  showFrame(answer) {
    paint(this.picture, answer.pixels, this.data.shape);
    this.frames += 1;
    this.painted = true;
    if (answer.spot) {
      this.latents = answer.code;
      this.sliders.show(this.latents);
    }
    // What was asked before the map changed may be placed on the former one.
    if (!(answer.sequence < this.viewSequence)) {
      const place = this.map.points?.dims === 2 ? this.pinPlace ?? answer.place : answer.place;
      this.map.move(place, { trail: this.sliding || !!this.gliding });
    }
    if (this.link.slots.pinned.quiet) this.busy("picture", false);
    if (this.sliding || answer.spot) this.truth.ask("pin", this.latents);
    if (this.settleWhenQuiet && this.link.slots.pinned.quiet) this.settle();
  }

  destroy() {
    clearTimeout(this.tellTimer);
    this.wobbling = this.gliding = null;
    for (const fit of this.fitsUnderWay) fit.abort();
    this.link.close();
    this.map.destroy();
    this.truth.destroy();
    document.removeEventListener("keydown", this.onKey);
    for (const timer of [this.settleTimer, this.noteTimer, this.neighbourTimer]) clearTimeout(timer);
  }
}

export default function show({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".lab");
  root.lab ??= new Lab(root);
  root.lab.update(data, setStateValue);
  return () => {
    // Also called when newer data overtook this call; the lab ends only when its root has left.
    if (!root.isConnected && root.lab) {
      root.lab.destroy();
      root.lab = null;
    }
  };
}
