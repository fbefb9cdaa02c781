/* Codes mixed live: a dot on a plane between corners, a slider along a path, or along a direction.

   The mixture is worked out here and decoded on the live route; no run of the script is waited for. */

const TRUTH_PAUSE = 150;               // ms
const REST = 400;                      // ms without a move, after which the mixture is read aloud
const LEG_MS = 1600;                   // a leg of the path, when played
const KEY_STEP = 0.02, KEY_FINE = 0.004;
const PLANE_SIDE = 7, LEG_PICTURES = 6, MOST_STRIP = 21;
const STEPS_A_LEG = 100;
const OFFLINE = "No live connection: the picture follows when it is back.";

class Mixing {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.field = this.find(".mixing-field");
    this.canvas = this.find(".mixing-picture");
    this.frames = 0;
    this.link = new Link({
      onState: (phase, words) => {
        root.dataset.phase = phase;
        // The link's own words promise what Explore does without a line, and this does not.
        this.phaseWords = phase === "live" ? "" : phase === "offline" ? OFFLINE : words;
        this.note();
      },
      // Where they could not be had before.
      onOpen: () => { if (this.stripWanted !== this.text) this.drawPictures(); },
      onFrame: (answer) => {
        paint(this.canvas, answer.pixels, this.data.shape);
        this.shownCode = answer.code;
        this.frames += 1;
        this.askTruth();
      },
      onGhost: () => {}, onPicture: () => {}, onView: () => {},
      onTruth: (facts) => this.showTruth(facts),
    });
    this.find('[data-do="play"]').addEventListener("click", () => this.play(!this.playing));
    this.find('[data-do="middle"]').addEventListener("click", () => this.goMiddle());
    this.find('[data-do="send"]').addEventListener("click", () => this.setTriggerValue("sent", Array.from(this.code())));
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    const before = this.data;
    this.data = data;
    this.codes = data.corners.map((corner) => corner.code);
    this.legs = data.closed ? this.codes.length : this.codes.length - 1;
    const target = [data.token, data.name, data.tag].join();
    if (target !== this.target) {
      this.target = target;
      const [height, width] = data.shape;
      Object.assign(this.canvas, { width, height });
      this.forget();
      this.link.connect({ base: data.base, name: data.name, token: data.token, tag: data.tag, latentDim: this.codes[0].length });
    }
    const same = before && before.mode === data.mode && before.corners.length === data.corners.length && before.closed === data.closed;
    this.play(false);
    if (!same) this.build();
    else this.labelCorners();
    this.root.dataset.mode = data.mode;
    this.find('[data-do="play"]').hidden = data.mode !== "path";
    this.find('[data-do="middle"]').textContent = data.mode === "line" ? "Back to the picture" : "Middle";
    this.note();
    this.drawPictures();
    this.send();
  }

  /* For another model: nothing of the former one is shown or asked any more. */
  forget() {
    this.link.forget();
    clearTimeout(this.timer);
    this.timer = this.shownCode = null;
    const facts = this.find(".mixing-facts");
    facts.textContent = "";
    delete facts.dataset.hole;
  }

  /* -- where the mixture is -- */

  goMiddle() {
    this.play(false);
    if (this.data.mode === "plane") this.spot = this.middleSpot();
    else this.slide(this.data.mode === "line" ? 0 : this.legs / 2);
    this.send();
  }

  middleSpot() {
    const places = cornerPlaces(this.codes.length);
    return [0, 1].map((axis) => places.reduce((sum, place) => sum + place[axis], 0) / places.length);
  }

  get along() { return Number(this.range.value); }

  slide(value) { this.range.value = value; }

  weights() {
    if (this.data.mode === "plane") return cornerWeights(this.codes.length, this.spot);
    return pathWeights(this.codes.length, this.along, this.legs);
  }

  mix(weights) { return blend(this.codes, this.data.arc ? arcWeights(this.codes, weights) : weights); }

  code(weights = this.data.mode === "line" ? null : this.weights()) {
    if (weights) return this.mix(weights);
    return Float32Array.from(this.codes[0], (value, axis) => value + this.along * this.data.direction[axis]);
  }

  /* Once a screen frame at most, however often the pointer reports. */
  send() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      const weights = this.data.mode === "line" ? null : this.weights();
      this.link.decode(this.code(weights));
      this.place();
      this.tell(weights);
    });
  }

  tell(weights) {
    const { mode, corners, forth, back } = this.data;
    let words;
    if (mode === "line") {
      const steps = this.along;
      words = steps ? `${Math.abs(steps).toFixed(2)} step${Math.abs(steps) === 1 ? "" : "s"} ${steps > 0 ? forth : back}` : "The picture itself, as the model decodes it";
    } else {
      words = weights
        .map((weight, at) => [weight, corners[at].title])
        .filter(([weight]) => weight > 0.004)
        .map(([weight, title]) => `${Math.round(100 * weight)} % of ${title}`)
        .join(" + ");
    }
    this.find(".mixing-words").textContent = words;
    if (this.range) this.range.setAttribute("aria-valuetext", words);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.find(".mixing-said").textContent = words;
      if (this.pad) this.pad.setAttribute("aria-description", words);
    }, REST);
  }

  /* How it is used, or what is the matter with the line. */
  note() {
    if (!this.data) return;
    const words = this.phaseWords || {
      plane: "Drag the dot, or use the arrow keys, with Shift finer.",
      path: "Drag the slider, or use the arrow keys.",
      line: this.data.note,
    }[this.data.mode];
    const note = this.find(".mixing-note");
    if (note.textContent !== words) note.textContent = words;
  }

  /* -- what is true of it -- */

  askTruth() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.link.open && this.shownCode) this.link.truth(this.shownCode, "pin");
    }, TRUTH_PAUSE);
  }

  showTruth(facts) {
    const label = this.data.classes[facts.nearest.label];
    const { hole, density } = facts;
    const { fault } = this.data;
    const place = fault ? fault.replace(/\.$/, "") : hole ? "In a hole" : "Among the codes";
    const dense = density === null || fault ? "" : hole ? `: ${Math.round(100 - density)} % of the codes lie more densely` : `, more densely than ${Math.round(density)} % of them`;
    this.find(".mixing-facts").textContent = `${place}${dense}. Nearest code ${facts.nearest.distance.toPrecision(3)} away${label === undefined ? "" : `, of class ${label}`}.`;
    this.find(".mixing-facts").dataset.hole = facts.hole;
  }

  /* -- the field -- */

  build() {
    this.range = this.pad = this.spot = null;
    this.field.replaceChildren();
    this.images = this.data.corners.map((_, at) => {
      const image = Object.assign(document.createElement("img"), { draggable: false, className: "mixing-corner" });
      image.dataset.corner = at;
      return image;
    });
    if (this.data.mode === "plane") this.buildPlane();
    else this.buildTrack();
    this.labelCorners();
  }

  labelCorners() {
    this.images.forEach((image, at) => {
      const { source, title } = this.data.corners[at];
      Object.assign(image, { src: source, alt: title, title });
    });
    if (this.range) {
      const { mode, reach, forth, back } = this.data;
      this.range.setAttribute("aria-label", mode === "line" ? `How far ${forth}` : "How far along the path");
      if (mode === "line") {
        Object.assign(this.range, { min: -reach, max: reach, step: 0.05 });
        this.ends.replaceChildren(...[back, forth].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
      }
    }
  }

  buildTrack() {
    this.strip = Object.assign(document.createElement("canvas"), { className: "mixing-strip" });
    this.strip.setAttribute("role", "img");
    this.strip.setAttribute("aria-label", this.data.mode === "line" ? "Pictures along the direction" : "Pictures along the path");
    this.range = Object.assign(document.createElement("input"), { type: "range", className: "mixing-range" });
    const { mode, reach } = this.data;
    if (mode === "line") Object.assign(this.range, { min: -reach, max: reach, step: 0.05, value: 0 });
    else Object.assign(this.range, { min: 0, max: this.legs, step: 1 / STEPS_A_LEG, value: this.legs / 2 });
    this.range.addEventListener("input", () => { this.play(false); this.send(); });
    this.ends = Object.assign(document.createElement("div"), { className: "mixing-ends" });
    if (mode === "path") {
      const stops = this.data.closed ? [...this.images, this.images[0].cloneNode()] : this.images;
      this.ends.append(...stops);
      if (this.data.closed) this.images.push(stops.at(-1));
    }
    this.field.append(this.strip, this.range, this.ends);
  }

  buildPlane() {
    this.pad = Object.assign(document.createElement("div"), { className: "mixing-pad", tabIndex: 0 });
    this.pad.setAttribute("role", "application");
    this.pad.setAttribute("aria-label", "The plane between the corners. Arrow keys move the dot, with Shift finer; Home puts it in the middle.");
    this.area = Object.assign(document.createElement("div"), { className: "mixing-area" });
    this.strip = document.createElement("canvas");
    this.strip.setAttribute("aria-hidden", "true");
    this.dot = Object.assign(document.createElement("i"), { className: "mixing-dot" });
    const places = cornerPlaces(this.data.corners.length);
    this.images.forEach((image, at) => {
      image.style.left = `${100 * places[at][0]}%`;
      image.style.top = `${100 * (1 - places[at][1])}%`;
    });
    this.area.append(this.strip, ...this.images, this.dot);
    this.pad.append(this.area);
    this.field.append(this.pad);
    this.spot = this.middleSpot();
    let box = null;
    const follow = (event) => {
      this.move([(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height]);
    };
    const raw = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
    this.pad.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.pad.setPointerCapture(event.pointerId);
      this.held = true;
      box = this.area.getBoundingClientRect();
      follow(event);
    });
    this.pad.addEventListener(raw, (event) => { if (this.held) follow(event); });
    for (const name of ["pointerup", "pointercancel"]) this.pad.addEventListener(name, () => { this.held = false; });
    this.pad.addEventListener("keydown", (event) => this.key(event));
  }

  move(spot) {
    this.spot = moveInside(cornerPlaces(this.codes.length), spot);
    this.send();
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const size = event.shiftKey ? KEY_FINE : KEY_STEP;
    if (event.key in steps) this.move(this.spot.map((value, axis) => value + size * steps[event.key][axis]));
    else if (event.key === "Home") this.move(this.middleSpot());
    else return;
    event.preventDefault();
  }

  place() {
    if (!this.dot || this.data.mode !== "plane") return;
    this.dot.style.left = `${100 * this.spot[0]}%`;
    this.dot.style.top = `${100 * (1 - this.spot[1])}%`;
  }

  /* -- the pictures behind the slider or the dot -- */

  async drawPictures() {
    if (!this.data || !this.strip) return;
    const { mode, reach, direction } = this.data, count = this.codes.length;
    let cells;
    if (mode === "plane") {
      const corners = cornerPlaces(count);
      cells = Array.from({ length: PLANE_SIDE ** 2 }, (_, at) => {
        const [column, row] = [at % PLANE_SIDE, Math.floor(at / PLANE_SIDE)];
        const spot = [column / (PLANE_SIDE - 1), 1 - row / (PLANE_SIDE - 1)];
        const inside = moveInside(corners, spot);
        return { column, row, spot, seen: Math.hypot(inside[0] - spot[0], inside[1] - spot[1]) < 0.04 };
      }).filter((cell) => cell.seen).map((cell) => ({ ...cell, code: this.mix(cornerWeights(count, cell.spot)) }));
    } else {
      const steps = mode === "line" ? 9 : Math.min(MOST_STRIP, LEG_PICTURES * this.legs + 1);
      cells = Array.from({ length: steps }, (_, column) => {
        const share = column / (steps - 1);
        const code = mode === "line"
          ? Float32Array.from(this.codes[0], (value, axis) => value + reach * (2 * share - 1) * direction[axis])
          : this.mix(pathWeights(count, share * this.legs, this.legs));
        return { column, row: 0, code };
      });
    }
    const wanted = this.stripWanted = this.text, canvas = this.strip;
    const values = new Float32Array(cells.length * this.codes[0].length);
    cells.forEach((cell, at) => values.set(cell.code, at * this.codes[0].length));
    let found;
    try {
      found = await this.link.pictures(values, 40);
    } catch {
      if (wanted === this.stripWanted) this.stripWanted = null;
      return;  // the line is down: they come when it is up again
    }
    if (wanted !== this.stripWanted || canvas !== this.strip) return;
    const [height, width] = found.shape;
    const columns = mode === "plane" ? PLANE_SIDE : cells.length, rows = mode === "plane" ? PLANE_SIDE : 1;
    Object.assign(canvas, { width: columns * width, height: rows * height });
    const context = canvas.getContext("2d");
    cells.forEach((cell, at) => context.putImageData(toImage(found.list[at], found.shape), cell.column * width, cell.row * height));
    this.root.dataset.pictures = cells.length;
  }

  /* -- playing -- */

  play(on) {
    this.playing = on;
    const button = this.find('[data-do="play"]');
    button.setAttribute("aria-pressed", on);
    button.textContent = on ? "Stop" : "Play";
    cancelAnimationFrame(this.frame);
    if (!on) return;
    let last = performance.now(), heading = this.along >= this.legs && !this.data.closed ? -1 : 1;
    const step = (now) => {
      if (!this.playing || !this.root.isConnected) return;
      let at = this.along + (heading * (now - last)) / LEG_MS;
      if (this.data.closed) at %= this.legs;
      else if (at >= this.legs || at <= 0) heading = at <= 0 ? 1 : -1;
      last = now;
      // The slider's own steps are coarser than a frame's way.
      this.range.step = "any";
      this.slide(Math.min(this.legs, Math.max(0, at)));
      this.send();
      this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  destroy() {
    this.play(false);
    clearTimeout(this.timer);
    clearTimeout(this.resting);
    cancelAnimationFrame(this.asked);
    this.link.close();
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".mixing");
  root.mixing ??= new Mixing(root);
  root.mixing.update(data, setTriggerValue);
  return () => {
    if (!root.isConnected && root.mixing) {
      root.mixing.destroy();
      root.mixing = null;
    }
  };
}
