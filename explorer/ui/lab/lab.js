/* The lab: map, sliders and decoded picture, live over one WebSocket.

   Streamlit calls the default export again whenever its data change, so what must last stands in
   a Lab object kept on the root element. Streamlit is told only settled codes. */

const DECODE = 1, PICTURE = 2, REAL = 1, HEADER = 8, PLACE = 8;
const MOST_IN_FLIGHT = 2;
const SUBPROTOCOL = "latent-explorer.v1";
const BAD_FRAME = 1008, NO_GRANT = 4401, BROKEN_MODEL = 4422;
const CARD_DELAY = 125;      // ms a pointer rests on a point before its picture is asked for
const SETTLE_DELAY = 250;    // ms after the last key press
const OFFLINE_AFTER = 4;     // failed attempts before the fallback says so
const MOST_UNDO = 200;
const THUMB = 16;            // px, as in lab.css

/* ---- the socket: at most two requests in flight, the newest wins ---- */

class Link {
  constructor(hooks) {
    this.hooks = hooks;
    this.attempts = 0;
    this.sequence = 0;
    this.drawn = 0;
    this.inFlight = [];
    this.wanted = null;
    this.closed = false;
  }

  connect(target) {
    this.target = target;
    this.stopped = false;
    this.disconnect();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}${target.path}`;
    const socket = this.socket = new WebSocket(url, [SUBPROTOCOL, target.token]);
    socket.binaryType = "arraybuffer";
    this.inFlight = [];
    socket.onopen = () => {
      this.attempts = 0;
      this.hooks.onState("live", "Move a slider, or click a point on the map.");
      if (!this.wanted && this.last) this.wanted = this.last;
      this.pump();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => this.lost(event);
  }

  disconnect() {
    clearTimeout(this.timer);
    if (!this.socket) return;
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
  }

  lost(event) {
    if (this.closed || this.stopped) return;
    if (event.code === BAD_FRAME || event.code === BROKEN_MODEL || event.code === NO_GRANT) {
      this.stopped = true;
      this.hooks.onState("refused", event.reason || "The decoder refused this page: reload it.");
      return;
    }
    this.attempts += 1;
    const offline = this.attempts >= OFFLINE_AFTER;
    this.hooks.onState("offline", offline
      ? "No live connection: pictures are decoded when you let go."
      : "Connection lost, connecting again…");
    this.timer = setTimeout(() => this.connect(this.target), Math.min(5000, 250 * 2 ** this.attempts));
  }

  get open() { return this.socket && this.socket.readyState === WebSocket.OPEN; }

  decode(latents) {
    this.wanted = this.last = latents;
    this.pump();
  }

  picture(row) {
    if (!this.open) return;
    const frame = this.frame(PICTURE, 4);
    frame.setUint32(HEADER, row, true);
    this.socket.send(frame.buffer);
    return this.sequence;
  }

  frame(kind, size) {
    const view = new DataView(new ArrayBuffer(HEADER + size));
    view.setUint8(0, kind);
    view.setUint16(2, this.target.tag, true);
    view.setUint32(4, ++this.sequence, true);
    return view;
  }

  pump() {
    if (!this.open || !this.wanted || this.inFlight.length >= MOST_IN_FLIGHT) return;
    const latents = this.wanted;
    this.wanted = null;
    const frame = this.frame(DECODE, 4 * latents.length);
    latents.forEach((value, axis) => frame.setFloat32(HEADER + 4 * axis, value, true));
    this.inFlight.push(this.sequence);
    this.socket.send(frame.buffer);
  }

  receive(buffer) {
    const view = new DataView(buffer);
    const kind = view.getUint8(0), sequence = view.getUint32(4, true);
    const answer = {
      sequence,
      real: (view.getUint8(1) & REAL) !== 0,
      place: [view.getFloat32(HEADER, true), view.getFloat32(HEADER + 4, true)],
      pixels: new Uint8Array(buffer, HEADER + PLACE),
    };
    if (kind === PICTURE) { this.hooks.onPicture(answer); return; }
    this.inFlight = this.inFlight.filter((waiting) => waiting > sequence);
    if (sequence > this.drawn) {
      this.drawn = sequence;
      this.hooks.onFrame(answer);
    }
    this.pump();
  }

  close() {
    this.closed = true;
    this.disconnect();
  }
}

/* ---- pixels ---- */

function paint(canvas, pixels, [height, width, channels]) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const out = image.data;
  for (let from = 0, to = 0; to < out.length; to += 4, from += channels) {
    out[to] = pixels[from];
    out[to + 1] = pixels[channels === 3 ? from + 1 : from];
    out[to + 2] = pixels[channels === 3 ? from + 2 : from];
    out[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function gaussian() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

/* ---- Plotly, out of the Python package ---- */

let plotlyLoading = null;
function loadPlotly(path) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotlyLoading = null; reject(new Error("Plotly did not load.")); };
    document.head.append(script);
  });
  return plotlyLoading;
}

function hasWebGL() {
  try {
    return !!document.createElement("canvas").getContext("webgl");
  } catch { return false; }
}

/* ---- the lab itself ---- */

class Lab {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.picture = this.find(".lab-picture");
    this.latents = new Float32Array(0);
    this.frames = 0;
    this.link = new Link({
      onState: (phase, text) => this.showState(phase, text),
      onFrame: (answer) => this.showFrame(answer),
      onPicture: (answer) => this.showCard(answer),
    });
    this.find(".lab-buttons").addEventListener("click", (event) => this.press(event.target.dataset.do));
    this.onKey = (event) => this.shortcut(event);
    document.addEventListener("keydown", this.onKey);
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.find(".lab-plot"));
  }

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
      this.theme();
    }
    if (data.push && data.push.id !== this.pushed) {
      this.pushed = data.push.id;
      this.go(Float32Array.from(data.push.latents), { silent: true });
    }
    if (data.decoded && data.decoded.id === this.settledId) {
      const text = atob(data.decoded.pixels);
      this.showFrame({ pixels: Uint8Array.from(text, (c) => c.charCodeAt(0)), place: data.decoded.place });
    }
  }

  target() {
    return {
      path: `${this.data.base}/decode/${encodeURIComponent(this.data.name)}`,
      token: this.data.token,
      tag: this.data.tag,
    };
  }

  open() {
    const data = this.data;
    this.link.disconnect();
    this.history = [];
    this.future = [];
    this.place = null;
    this.find(".lab-card").hidden = true;
    this.find(".lab-marker").style.visibility = this.find(".lab-ring").style.visibility = "hidden";
    const [height, width] = data.shape;
    this.picture.style.aspectRatio = `${width} / ${height}`;
    this.buildSliders();
    this.find(".lab-map-note").textContent = data.note;
    this.find(".lab-hint").textContent = data.hint;
    this.link.drawn = 0;
    this.link.sequence = 0;
    this.link.attempts = 0;
    this.showState("starting", "Loading the model…");
    this.setLatents(Float32Array.from(data.start));
    this.settled = this.latents.slice();
    this.link.connect(this.target());
    this.buttons();
    this.drawMap();
  }

  /* -- sliders -- */

  buildSliders() {
    const box = this.find(".lab-sliders");
    const most = Math.max(...this.data.axes.map((axis) => axis.information), 1e-9);
    this.rows = [];
    box.replaceChildren(...this.data.axes.map((axis) => {
      const row = document.createElement("div");
      row.className = "lab-axis";
      row.dataset.axis = axis.index;
      row.dataset.active = axis.active;
      const id = `lab-axis-${axis.index}`;
      const label = document.createElement("label");
      label.htmlFor = id;
      label.textContent = `z${axis.index + 1}`;
      row.title = `Axis ${axis.index + 1}: ${axis.information.toFixed(2)} ${this.data.unit}`
        + (axis.active ? "" : ", inactive") + ". Double click or Delete resets it.";
      const track = document.createElement("div");
      track.className = "lab-track";
      const input = document.createElement("input");
      Object.assign(input, { type: "range", id, min: axis.low, max: axis.high, step: "any" });
      const share = document.createElement("i");
      share.className = "lab-share";
      share.style.width = `${Math.max(0, 100 * axis.information / most)}%`;
      track.append(input, share);
      const output = document.createElement("output");
      output.htmlFor = id;
      row.append(label, track, output);
      this.bind(row, input, axis);
      this.rows[axis.index] = { input, output, axis };
      return row;
    }));
  }

  bind(row, input, axis) {
    let pressed = false;
    const move = (value) => {
      if (value === this.latents[axis.index]) return;
      this.latents[axis.index] = value;
      this.showValue(axis.index);
      this.link.decode(this.latents.slice());
    };
    input.addEventListener("input", () => move(Math.fround(Number(input.value))));
    input.addEventListener("pointerdown", () => { pressed = true; });
    // A range input speaks once a screen frame; the pointer itself speaks earlier.
    if ("onpointerrawupdate" in window) {
      input.addEventListener("pointerrawupdate", (event) => {
        if (!pressed || !(event.buttons & 1)) return;
        const box = input.getBoundingClientRect();
        const share = (event.clientX - box.left - THUMB / 2) / (box.width - THUMB);
        const value = axis.low + Math.min(1, Math.max(0, share)) * (axis.high - axis.low);
        input.value = value;
        move(Math.fround(value));
      });
    }
    const release = () => { if (pressed) { pressed = false; this.settle(); } };
    input.addEventListener("pointerup", release);
    input.addEventListener("pointercancel", release);
    input.addEventListener("change", () => { if (!pressed) this.settleSoon(); });
    row.addEventListener("dblclick", () => this.reset(axis));
    input.addEventListener("keydown", (event) => {
      const step = (axis.high - axis.low) / (event.shiftKey ? 400 : 80);
      const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
      if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        this.reset(axis);
      } else if (event.key in steps) {
        event.preventDefault();
        const value = this.latents[axis.index] + steps[event.key] * step;
        move(Math.fround(Math.min(axis.high, Math.max(axis.low, value))));
        input.value = this.latents[axis.index];
        this.settleSoon();
      }
    });
  }

  reset(axis) {
    const next = this.latents.slice();
    next[axis.index] = axis.typical;
    this.go(next);
  }

  showValue(index) {
    const { input, output, axis } = this.rows[index];
    const value = this.latents[index];
    output.value = value.toFixed(2);
    const beyond = value < axis.low || value > axis.high;
    output.style.fontWeight = beyond ? "700" : "";
    output.title = beyond ? "Beyond the slider's range, which holds 99 % of the codes." : "";
    input.setAttribute("aria-valuetext", output.value);
  }

  setLatents(latents) {
    this.latents = latents;
    this.rows.forEach(({ input }, index) => {
      input.value = latents[index];
      this.showValue(index);
    });
    this.link.decode(latents.slice());
  }

  /* -- settled codes, undo and redo -- */

  settleSoon() {
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => this.settle(), SETTLE_DELAY);
  }

  settle(options = {}) {
    clearTimeout(this.settleTimer);
    if (this.latents.every((value, axis) => value === this.settled[axis])) return;
    if (!options.replay) {
      this.history.push(this.settled);
      if (this.history.length > MOST_UNDO) this.history.shift();
      this.future = [];
    }
    this.settled = this.latents.slice();
    this.buttons();
    if (options.silent) return;
    this.settledId = `${Date.now()}-${Math.random()}`;
    this.tell("settled", {
      id: this.settledId,
      name: this.data.name,
      tag: this.data.tag,
      latents: Array.from(this.settled),
      offline: !this.link.open,
    });
  }

  go(latents, options) {
    this.setLatents(latents);
    this.settle(options);
  }

  press(action) {
    const dimensions = this.latents.length;
    if (action === "prior") this.go(Float32Array.from({ length: dimensions }, gaussian));
    if (action === "mean") {
      const mean = new Float32Array(dimensions);
      this.data.axes.forEach((axis) => { mean[axis.index] = axis.typical; });
      this.go(mean);
    }
    if (action === "undo") this.replay(this.history, this.future);
    if (action === "redo") this.replay(this.future, this.history);
  }

  replay(from, to) {
    if (!from.length) return;
    to.push(this.settled);
    this.go(from.pop(), { replay: true });
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

  /* -- answers -- */

  showState(phase, text) {
    this.root.dataset.phase = phase;
    this.find(".lab-status").textContent = text;
  }

  showFrame(answer) {
    paint(this.picture, answer.pixels, this.data.shape);
    this.frames += 1;
    this.place = answer.place;
    this.mark();
  }

  /* -- the map -- */

  async drawMap() {
    const { data } = this;
    const [Plotly, points] = await Promise.all([
      loadPlotly(data.plotly), this.fetchPoints(data),
    ]).catch((error) => { this.showMapError(error); return []; });
    // Another model may have been picked while these were on their way.
    if (!points || this.data.tag !== data.tag || !this.root.isConnected) return;
    this.Plotly = Plotly;
    this.points = points;
    const plot = this.find(".lab-plot");
    const { traces, layout } = this.figure();
    await Plotly.react(plot, traces, layout, {
      displaylogo: false, responsive: false, scrollZoom: true,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    });
    if (!plot.dataset.bound) {
      plot.dataset.bound = "yes";
      plot.on("plotly_click", (event) => this.pick(event.points[0].customdata));
      plot.on("plotly_hover", (event) => this.hover(event.points[0]));
      plot.on("plotly_unhover", () => this.unhover());
      plot.on("plotly_relayouting", () => this.mark());
      plot.on("plotly_afterplot", () => this.mark());
    }
    this.fit();
    this.root.dataset.map = data.name;
  }

  showMapError(error) {
    this.find(".lab-map-note").textContent = `The map could not be drawn: ${error.message}`;
  }

  async fetchPoints(data) {
    const response = await fetch(`${data.base}/points/${encodeURIComponent(data.name)}`, {
      headers: { "X-Explorer-Token": data.token },
    });
    if (!response.ok) throw new Error(await response.text());
    const buffer = await response.arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    const { count, latent_dim: latentDim } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let offset = 4 + length;
    const take = (Kind, size) => {
      const array = new Kind(buffer, offset, size);
      offset += 4 * size;
      return array;
    };
    return {
      count, latentDim,
      places: take(Float32Array, 2 * count),
      codes: take(Float32Array, latentDim * count),
      labels: take(Int32Array, count),
      index: take(Int32Array, count),
    };
  }

  figure() {
    const { points, data } = this;
    const groups = data.classes.length ? data.classes : ["held-out images"];
    const type = hasWebGL() ? "scattergl" : "scatter";
    const size = points.count > 3000 ? 4 : points.count > 800 ? 6 : 8;
    const traces = groups.map((name, group) => {
      const rows = [];
      for (let row = 0; row < points.count; row += 1) {
        if (!data.classes.length || points.labels[row] === group) rows.push(row);
      }
      return {
        type, mode: "markers", name: name.length > 24 ? `${name.slice(0, 23)}…` : name,
        x: Float32Array.from(rows, (row) => points.places[2 * row]),
        y: Float32Array.from(rows, (row) => points.places[2 * row + 1]),
        customdata: rows,
        hoverinfo: "none",
        showlegend: data.classes.length > 0,
        marker: { size, opacity: 0.8, color: data.colours[group % data.colours.length] },
      };
    }).filter((trace) => trace.customdata.length);
    return { traces, layout: this.layout() };
  }

  layout() {
    const style = getComputedStyle(this.root);
    const text = style.getPropertyValue("--st-text-color").trim() || "#222";
    const ground = style.getPropertyValue("--st-background-color").trim() || "#fff";
    const { data } = this;
    const narrow = this.root.clientWidth < 700;
    const faint = "rgba(128,128,128,0.18)";
    const axis = (title) => ({
      title: data.exact ? { text: title, standoff: 4 } : undefined,
      showticklabels: data.exact, zeroline: data.exact, zerolinecolor: "rgba(128,128,128,0.45)",
      gridcolor: faint, showgrid: data.exact, color: text, automargin: data.exact,
    });
    return {
      paper_bgcolor: ground, plot_bgcolor: ground,
      font: { color: text, family: style.fontFamily, size: 12 },
      margin: { l: data.exact ? 36 : 8, r: 8, t: 30, b: data.exact ? 32 : 8 },
      xaxis: axis("z1"),
      yaxis: { ...axis("z2"), scaleanchor: "x" },
      dragmode: "pan", hovermode: "closest", uirevision: data.name + data.tag,
      legend: narrow
        ? { orientation: "h", y: -0.02, yanchor: "top", itemsizing: "constant" }
        : { itemsizing: "constant", bgcolor: "rgba(0,0,0,0)", font: { size: 12 } },
      hoverlabel: {}, showlegend: true,
    };
  }

  theme() {
    const plot = this.find(".lab-plot");
    if (!this.Plotly || !plot._fullLayout) return;
    const style = getComputedStyle(this.root);
    if (plot._fullLayout.paper_bgcolor === style.getPropertyValue("--st-background-color").trim()
      && this.themed === style.getPropertyValue("--st-text-color")) return;
    this.themed = style.getPropertyValue("--st-text-color");
    this.Plotly.relayout(plot, this.layout());
  }

  fit() {
    const plot = this.find(".lab-plot");
    if (this.Plotly && plot._fullLayout && plot.clientWidth) this.Plotly.Plots.resize(plot);
  }

  pixel(place) {
    const plot = this.find(".lab-plot");
    const layout = plot._fullLayout;
    if (!layout || !layout.xaxis || !place) return null;
    const { xaxis, yaxis } = layout;
    const x = xaxis.l2p(place[0]), y = yaxis.l2p(place[1]);
    const inside = x >= 0 && y >= 0 && x <= xaxis._length && y <= yaxis._length;
    return { x: x + xaxis._offset + plot.offsetLeft + 1, y: y + yaxis._offset + plot.offsetTop + 1, inside };
  }

  put(element, place) {
    const spot = this.pixel(place);
    element.style.visibility = spot && spot.inside ? "visible" : "hidden";
    if (spot) element.style.transform = `translate(${spot.x}px, ${spot.y}px)`;
    return spot;
  }

  mark() {
    this.put(this.find(".lab-marker"), this.place);
    if (this.hovered !== undefined) this.put(this.find(".lab-ring"), this.placeOf(this.hovered));
  }

  placeOf(row) { return [this.points.places[2 * row], this.points.places[2 * row + 1]]; }

  pick(row) {
    const { codes, latentDim } = this.points;
    this.go(codes.slice(row * latentDim, (row + 1) * latentDim));
  }

  hover(point) {
    this.hovered = point.customdata;
    this.put(this.find(".lab-ring"), this.placeOf(this.hovered));
    clearTimeout(this.cardTimer);
    this.cardTimer = setTimeout(() => {
      if (this.hovered !== undefined) this.cardSequence = this.link.picture(this.hovered);
    }, CARD_DELAY);
  }

  unhover() {
    this.hovered = this.cardSequence = undefined;
    clearTimeout(this.cardTimer);
    this.find(".lab-card").hidden = true;
    this.find(".lab-ring").style.visibility = "hidden";
  }

  showCard(answer) {
    if (answer.sequence !== this.cardSequence || this.hovered === undefined) return;
    const card = this.find(".lab-card"), caption = card.querySelector("figcaption");
    const label = this.points.labels[this.hovered];
    const kind = document.createElement("span"), title = document.createElement("b");
    title.textContent = label >= 0 ? this.data.classes[label] : `Image ${this.points.index[this.hovered]}`;
    kind.textContent = `${answer.real ? "held-out image" : "reconstruction (the images are not at hand)"} ${this.points.index[this.hovered]}`;
    caption.replaceChildren(title, kind);
    paint(card.querySelector("canvas"), answer.pixels, this.data.shape);
    card.hidden = false;
    const spot = this.pixel(this.placeOf(this.hovered));
    const map = this.find(".lab-map");
    const left = spot.x + 16 + card.offsetWidth > map.clientWidth ? spot.x - 16 - card.offsetWidth : spot.x + 16;
    const top = Math.min(Math.max(4, spot.y - card.offsetHeight / 2), map.clientHeight - card.offsetHeight - 4);
    card.style.left = `${Math.max(4, left)}px`;
    card.style.top = `${top}px`;
  }

  destroy() {
    this.link.close();
    this.resize.disconnect();
    document.removeEventListener("keydown", this.onKey);
    clearTimeout(this.settleTimer);
    clearTimeout(this.cardTimer);
    if (this.Plotly) this.Plotly.purge(this.find(".lab-plot"));
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
