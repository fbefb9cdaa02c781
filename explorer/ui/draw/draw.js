/* A canvas to draw on. While one draws, each new state goes to the encoder (at most one under way,
   the newest wins); when the hand rests, the drawing goes to the session as a picture. */

const RASTER = 140;          // px of the longer side: what the model's input is prepared from
const FINE = 2;              // times that, on the screen
const REST = 350;            // ms
const KEY_STEP = 0.03, KEY_FINE_STEP = 0.008; // of the width
const SHOWN_VOTES = 3;
const CLOSE = 0.5;           // px of the raster: a point nearer to the last one shows nothing new
const WIDEST = 64;           // px: points this far apart are the last that are given up
const OFFLINE = "No live connection: the drawing is encoded when you let go.";
const STARTING = "Draw: the model answers at every stroke.";

const distance = ([x, y], [left, top]) => Math.hypot(x - left, y - top);

/* A stroke with points at least so far apart, its last one too. */
function thinned(stroke, spacing) {
  const [first, ...rest] = stroke.points, kept = [first];
  rest.forEach((point, at) => {
    if (distance(point, kept.at(-1)) >= spacing || at === rest.length - 1) kept.push(point);
  });
  return { ...stroke, points: kept };
}

/* Strokes as the session keeps them, in at most so many characters of JSON: without what was cleared
   away first, then with fewer points. More strokes than that go as they are: the session begins
   another drawing then. */
function fitting(strokes, largest) {
  const size = (some) => JSON.stringify(some).length;
  if (size(strokes) <= largest) return strokes;
  const seen = strokes.slice(strokes.findLastIndex((stroke) => stroke.clear) + 1);
  let kept = seen;
  for (let spacing = 1; size(kept) > largest && spacing <= WIDEST; spacing *= 2) kept = seen.map((stroke) => thinned(stroke, spacing));
  return kept;
}

class Draw {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.canvas = this.find(".draw-canvas");
    this.raster = document.createElement("canvas");
    this.strokes = [];
    this.undone = [];
    this.answers = 0;
    this.cursor = null;        // of the keyboard's pen
    this.tool = "pen";
    this.link = new EncodeLink({
      onState: (phase, words) => {
        root.dataset.phase = phase;
        this.say(phase === "offline" ? this.link.reason || OFFLINE : words || STARTING);
      },
      onOpen: () => {}, onFrame: () => {}, onGhost: () => {}, onPicture: () => {}, onView: () => {}, onTruth: () => {},
      onEncoded: (answer) => this.show(answer),
    });
    this.bindPointer();
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => { this.cursor = null; this.endStroke(); this.drawSoon(); });
    root.addEventListener("click", (event) => {
      const { tool, do: action } = event.target.closest("button")?.dataset ?? {};
      if (tool) this.pick(tool);
      else if (action) this[action]();
    });
    this.buttons = Object.fromEntries(["undo", "redo", "clear", "another"].map((name) => [name, this.find(`[data-do="${name}"]`)]));
    this.size = this.find(".draw-size");
    this.colour = this.find(".draw-colour");
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    const key = JSON.stringify([data.token, data.base, data.name, data.tag]);
    const shape = JSON.stringify([data.shape, data.ground]);
    const first = !this.data;
    this.data = data;
    if (shape !== this.shape) {
      this.shape = shape;
      this.measure();
    }
    if (first || data.drawing !== this.drawing) {
      this.drawing = data.drawing;
      // What was begun before the new drawing had its number belongs to it.
      if (!this.awaiting) {
        this.strokes = structuredClone(data.strokes);
        this.undone = [];
      } else if (this.strokes.length) this.settleSoon();
      this.awaiting = false;
    }
    if (key !== this.key_) {
      this.key_ = key;
      this.blank();
      this.link.forget();
      const { base, name, token, tag } = data;
      this.link.connect({ base, name, token, tag, latentDim: data.latent_dim, shape: data.shape });
      this.say("Connecting…");
    }
    this.changed(false);
  }

  /* The canvas in the aspect of the model's images, with their ground. */
  measure() {
    const [height, width, channels] = this.data.shape, longer = Math.max(height, width);
    this.raster.width = Math.max(1, Math.round((RASTER * width) / longer));
    this.raster.height = Math.max(1, Math.round((RASTER * height) / longer));
    Object.assign(this.canvas, { width: FINE * this.raster.width, height: FINE * this.raster.height });
    const level = Math.round(255 * this.data.ground), far = level < 128 ? 255 : 0;
    this.ground = `rgb(${level},${level},${level})`;
    const hex = far.toString(16).padStart(2, "0");
    this.colour.value = `#${hex}${hex}${hex}`;
    this.colour.hidden = channels === 1;
    this.size.value = Math.round(RASTER / 12);
    for (const name of ["input", "reconstruction"]) Object.assign(this.find(`.draw-${name}`), { width, height });
  }

  say(words) { this.find(".draw-status").textContent = words; }

  pick(tool) {
    this.tool = tool;
    for (const button of this.root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }

  /* -- strokes -- */

  startStroke(x, y) {
    this.stroke = { erase: this.tool === "eraser", colour: this.colour.value, size: Number(this.size.value), points: [[x, y]] };
    this.undone = [];
    this.strokes.push(this.stroke);
    this.changed();
  }

  extend(points) {
    if (!this.stroke) return;
    const { points: drawn } = this.stroke;
    for (const point of points) if (distance(point, drawn.at(-1)) >= CLOSE) drawn.push(point);
    this.changed();
  }

  endStroke() {
    if (!this.stroke) return;
    this.stroke = null;
    this.settleSoon();
  }

  bindPointer() {
    const { canvas } = this;
    let held = null, box = null;
    const place = (event) => [
      Number((((event.clientX - box.left) / box.width) * this.raster.width).toFixed(1)),
      Number((((event.clientY - box.top) / box.height) * this.raster.height).toFixed(1)),
    ];
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || held !== null) return;
      held = event.pointerId;
      canvas.setPointerCapture(held);
      box = canvas.getBoundingClientRect();
      this.cursor = null;
      this.startStroke(...place(event));
    });
    const raw = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
    canvas.addEventListener(raw, (event) => {
      if (event.pointerId !== held) return;
      const all = event.getCoalescedEvents?.() ?? [];
      this.extend((all.length ? all : [event]).map(place));
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(name, (event) => {
        if (event.pointerId !== held) return;
        held = null;
        this.endStroke();
      });
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key.toLowerCase() !== "z") return;
      event.preventDefault();
      if (event.shiftKey) this.redo(); else this.undo();
      return;
    }
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const plain = {
      p: () => this.pick("pen"), e: () => this.pick("eraser"), z: () => this.undo(), y: () => this.redo(),
      delete: () => this.clear(), backspace: () => this.clear(),
      "[": () => this.resize(-1), "]": () => this.resize(1),
    };
    if (event.key in steps) {
      const size = this.raster.width * (event.shiftKey ? KEY_FINE_STEP : KEY_STEP);
      this.cursor ??= [this.raster.width / 2, this.raster.height / 2];
      const [across, down] = steps[event.key];
      this.cursor = [
        Math.min(this.raster.width, Math.max(0, this.cursor[0] + across * size)),
        Math.min(this.raster.height, Math.max(0, this.cursor[1] + down * size)),
      ];
      if (this.stroke) this.extend([[...this.cursor]]);
      else this.drawSoon();
    } else if (event.key === " " || event.key === "Enter") {
      this.cursor ??= [this.raster.width / 2, this.raster.height / 2];
      if (this.stroke) this.endStroke();
      else this.startStroke(...this.cursor);
    } else if (event.key.toLowerCase() in plain) plain[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  }

  resize(by) { this.size.value = Number(this.size.value) + by; this.drawSoon(); }

  undo() {
    if (!this.strokes.length) return;
    this.undone.push(this.strokes.pop());
    this.changed();
    this.settleSoon();
  }

  redo() {
    if (!this.undone.length) return;
    this.strokes.push(this.undone.pop());
    this.changed();
    this.settleSoon();
  }

  /* The strokes stay behind a mark, so that Undo brings them back. */
  clear() {
    if (!this.visible.length) return;
    this.strokes.push({ clear: true });
    this.undone = [];
    this.changed();
    this.settleSoon();
  }

  another() {
    if (!this.visible.length) return;
    this.settle(true);
    this.awaiting = true;
    this.strokes = [];
    this.undone = [];
    this.changed();
  }

  /* The strokes since the last clearing. */
  get visible() {
    const from = this.strokes.findLastIndex((stroke) => stroke.clear);
    return this.strokes.slice(from + 1);
  }

  /* -- drawing -- */

  paintStrokes(context, scale) {
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = this.ground;
    context.fillRect(0, 0, this.raster.width, this.raster.height);
    context.lineCap = context.lineJoin = "round";
    for (const { erase, colour, size, points } of this.visible) {
      context.strokeStyle = erase ? this.ground : this.data.shape[2] === 1 ? this.ink : colour;
      context.lineWidth = size;
      context.beginPath();
      context.moveTo(...points[0]);
      // A point alone is a dot.
      for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
      context.stroke();
    }
  }

  get ink() { return this.data.ground < 0.5 ? "#fff" : "#000"; }

  draw() {
    const context = this.canvas.getContext("2d");
    this.paintStrokes(context, FINE);
    if (!this.cursor) return;
    context.strokeStyle = "#d0206f";
    context.lineWidth = this.stroke ? 2 : 1;
    context.beginPath();
    context.arc(...this.cursor, Math.max(2, Number(this.size.value) / 2), 0, 2 * Math.PI);
    context.stroke();
  }

  /* Once a screen frame at most, however often the pointer reports. */
  drawSoon() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.draw();
      const drawn = this.visible.length > 0;
      this.buttons.undo.disabled = !this.strokes.length;
      this.buttons.redo.disabled = !this.undone.length;
      this.buttons.clear.disabled = this.buttons.another.disabled = !drawn;
      if (!drawn) this.blank();
      else if (this.news) this.link.encode(...this.pixels());
      this.news = false;
    });
  }

  changed(encode = true) {
    this.news ||= encode || !this.answers;
    this.drawSoon();
  }

  pixels() {
    const { width, height } = this.raster, channels = this.data.shape[2];
    const context = this.raster.getContext("2d", { willReadFrequently: true, alpha: false });
    this.paintStrokes(context, 1);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(width * height * channels);
    for (let from = 0, to = 0; to < pixels.length; from += 4) {
      for (let channel = 0; channel < channels; channel += 1, to += 1) pixels[to] = data[from + channel];
    }
    return [pixels, [height, width, channels]];
  }

  settleSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (!this.stroke && !this.awaiting) this.settle(false); }, REST);
  }

  settle(another) {
    clearTimeout(this.timer);
    this.pixels();
    const png = this.visible.length ? this.raster.toDataURL("image/png").split(",")[1] : "";
    const strokes = another ? [] : fitting(this.strokes, this.data.largest);
    this.setTriggerValue("drawn", { drawing: this.drawing, png, strokes, another });
  }

  /* -- the answer -- */

  blank() {
    this.link.drawing.clear();
    this.link.lastDrawing = null;
    for (const name of ["input", "reconstruction"]) {
      const canvas = this.find(`.draw-${name}`);
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    }
    this.find(".draw-class").textContent = this.find(".draw-cost").textContent = "";
    this.find(".draw-votes").replaceChildren();
    this.answers = 0;
    this.root.dataset.answers = 0;
    this.root.dataset.class = "";
  }

  show({ input, reconstruction, labels, nll, kl, mean }) {
    if (!this.visible.length) return;
    const { shape, classes, usual } = this.data;
    paint(this.find(".draw-input"), input, shape);
    paint(this.find(".draw-reconstruction"), reconstruction, shape);
    const counts = new Map();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    const ranked = [...counts].sort((one, other) => other[1] - one[1]);
    const name = (label) => classes[label] ?? String(label);
    this.find(".draw-class").textContent = ranked.length ? `Like ${name(ranked[0][0])}` : "";
    this.find(".draw-votes").replaceChildren(...ranked.slice(0, SHOWN_VOTES).map(([label, count]) => {
      const row = document.createElement("li"), bar = document.createElement("i"), share = document.createElement("span");
      bar.style.width = `${(100 * count) / labels.length}%`;
      share.append(bar);
      const words = [name(label), `${count}`].map((text) => Object.assign(document.createElement("span"), { textContent: text }));
      row.append(words[0], share, words[1]);
      row.title = `${count} of the ${labels.length} nearest codes are ${name(label)}`;
      return row;
    }));
    const cost = `${nll.toFixed(1)} nats at the mean code${Number.isFinite(kl) ? ` + ${kl.toFixed(1)} of KL` : ""}`;
    this.find(".draw-cost").textContent = usual === null ? cost : `${cost}; held-out images ${usual.toFixed(1)} at theirs`;
    this.say("");
    this.code = mean;
    this.answers += 1;
    this.root.dataset.answers = this.answers;
    this.root.dataset.class = ranked.length ? name(ranked[0][0]) : "";
  }

  destroy() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.asked);
    this.link.close();
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".draw");
  root.draw ??= new Draw(root);
  root.draw.update(data, setTriggerValue);
  return () => {
    if (!root.isConnected && root.draw) {
      root.draw.destroy();
      root.draw = null;
    }
  };
}
