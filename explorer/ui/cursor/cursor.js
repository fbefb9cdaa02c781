/* One cursor that drives several decoders: the same noise, on each model's own scale or as it is.

   Every model has a socket of its own (lab/link.js). Nothing here waits for a run of the script. */

const PAD_REACH = 3.5;       // standard deviations from the pad's middle to its edge
const KEY_SHARE = 0.02, KEY_FINE_SHARE = 0.004;
const TRUTH_PAUSE = 150;     // ms

function normal() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

function ordinal(number) {
  const ending = { 1: "st", 2: "nd", 3: "rd" }[number % 10];
  return number + (ending && Math.floor(number / 10) % 10 !== 1 ? ending : "th");
}

/* One model's picture and what is true of its code. */
class Contestant {
  constructor(model, target) {
    this.model = model;
    this.frames = 0;
    this.element = document.createElement("section");
    this.element.className = "cursor-model";
    this.element.dataset.model = model.name;
    this.element.setAttribute("aria-label", model.name);
    const heading = Object.assign(document.createElement("h4"), { textContent: model.title, title: model.name });
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `What ${model.name} decodes from the shared code`);
    const [height, width] = model.shape;
    Object.assign(this.canvas, { width, height });
    const frame = document.createElement("div");
    frame.className = "cursor-frame";
    frame.append(this.canvas);
    this.facts = Object.assign(document.createElement("p"), { className: "cursor-facts" });
    this.place = Object.assign(document.createElement("b"), { className: "cursor-place" });
    this.words = document.createElement("span");
    this.words.textContent = "Loading the model…";
    this.facts.append(this.place, this.words);
    this.element.append(heading, frame, this.facts);
    this.link = new Link({
      onState: (phase, text) => {
        this.element.dataset.phase = phase;
        if (phase !== "live") { this.words.textContent = text; this.place.textContent = ""; }
      },
      onOpen: () => {},
      onFrame: (answer) => {
        paint(this.canvas, answer.pixels, model.shape);
        this.frames += 1;
        this.askTruth(answer.code);
      },
      onGhost: () => {}, onPicture: () => {}, onView: () => {},
      // An answer about the code on the other scale is none about this one.
      onTruth: (facts, fair) => { if (fair === this.fair) this.showTruth(facts); },
    });
    this.link.connect(target);
  }

  /* z = m + R eps; as built m is 0 and R the identity. */
  code(noise, fair) {
    const { latent_dim: latentDim, mean, root } = this.model;
    const mine = noise.slice(0, latentDim);
    if (!fair) return Float32Array.from(mine);
    return Float32Array.from(mean, (value, axis) => value + root[axis].reduce((sum, weight, other) => sum + weight * mine[other], 0));
  }

  decode(noise, fair) {
    if (this.fair !== undefined && fair !== this.fair) this.blank();
    this.fair = fair;
    this.link.decode(this.code(noise, fair));
  }

  /* For the other scale: what was read off the former code goes. */
  blank() {
    clearTimeout(this.timer);
    this.timer = null;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.place.textContent = this.words.textContent = "";
    delete this.place.dataset.hole;
  }

  askTruth(code) {
    this.latest = code;
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.link.open) this.link.truth(this.latest, this.fair);
    }, TRUTH_PAUSE);
  }

  showTruth(facts) {
    this.place.dataset.hole = facts.hole;
    this.place.textContent = facts.hole ? "in a prior hole" : "among the encodings";
    const label = this.model.classes[facts.nearest.label];
    const image = label === undefined ? "distance" : `a ${label}, distance`;
    const density = facts.density === null ? "" : `; density: ${ordinal(Math.round(facts.density))} percentile of the encoded images`;
    this.words.textContent = `nearest image: ${image} ${facts.nearest.distance.toPrecision(3)}${density}`;
  }

  destroy() {
    clearTimeout(this.timer);
    this.link.close();
  }
}

class SharedCursor {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.pad = this.find(".cursor-pad");
    this.canvas = this.pad.querySelector("canvas");
    this.contestants = [];
    const raw = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
    this.pad.addEventListener(raw, (event) => this.follow(event));
    this.pad.addEventListener("pointerdown", (event) => {
      this.held = event.pointerType === "mouse" ? !this.held : false;
      this.follow(event, true);
      this.draw();
    });
    this.pad.addEventListener("keydown", (event) => this.key(event));
    this.find('[data-do="draw"]').addEventListener("click", () => this.another());
    for (const name of ["x", "y"]) this.find(`.cursor-${name}`).addEventListener("change", () => this.changeAxes(name));
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.pad);
  }

  update(data) {
    const key = JSON.stringify([data.token, data.models.map((model) => [model.name, model.tag])]);
    const fairChanged = this.data && this.data.fair !== data.fair;
    this.data = data;
    if (key !== this.key_) {
      this.key_ = key;
      this.open();
    } else if (fairChanged) this.send();
    this.draw();
  }

  open() {
    const { data } = this;
    for (const contestant of this.contestants) contestant.destroy();
    this.contestants = data.models.map((model) => new Contestant(model, {
      base: data.base, name: model.name, token: data.token, tag: model.tag, latentDim: model.latent_dim,
    }));
    this.find(".cursor-models").replaceChildren(...this.contestants.map((contestant) => contestant.element));
    const size = Math.max(...data.models.map((model) => model.latent_dim));
    if (!this.noise || this.noise.length !== size) {
      this.noise = Float64Array.from({ length: size }, normal);
      this.axes = [0, Math.min(1, size - 1)];
      for (const name of ["x", "y"]) {
        this.find(`.cursor-${name}`).replaceChildren(...Array.from({ length: size }, (_, axis) => new Option(`ε${axis + 1}`, axis)));
      }
      this.find(".cursor-x").value = this.axes[0];
      this.find(".cursor-y").value = this.axes[1];
      this.find(".cursor-y").parentElement.style.display = size === 1 ? "none" : "";
    }
    this.send();
  }

  send() {
    for (const contestant of this.contestants) contestant.decode(this.noise, this.data.fair);
    const words = this.data.fair ? "z = m + S^½ ε: samples of each model's fitted Gaussian." : "z = ε ~ N(0, I) in every model.";
    this.find(".cursor-note").textContent = `${words} ${this.held ? "Held: click to let it go." : "Move over the pad; click to hold."}`;
  }

  set(x, y) {
    this.noise[this.axes[0]] = x;
    if (this.axes[1] !== this.axes[0]) this.noise[this.axes[1]] = y;
    this.send();
    this.draw();
  }

  follow(event, force = false) {
    if (!this.noise || (this.held && !force)) return;
    const box = this.pad.getBoundingClientRect();
    const x = (2 * (event.clientX - box.left)) / box.width - 1, y = 1 - (2 * (event.clientY - box.top)) / box.height;
    if (Math.abs(x) <= 1 && Math.abs(y) <= 1) this.set(PAD_REACH * x, PAD_REACH * y);
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key in steps) {
      const size = 2 * PAD_REACH * (event.shiftKey ? KEY_FINE_SHARE : KEY_SHARE);
      const keep = (value) => Math.min(PAD_REACH, Math.max(-PAD_REACH, value));
      const [across, up] = steps[event.key];
      this.set(keep(this.noise[this.axes[0]] + across * size), keep(this.noise[this.axes[1]] + up * size));
    } else if (event.key.toLowerCase() === "r") this.another();
    else if (event.key === "Enter") { this.held = !this.held; this.send(); this.draw(); }
    else return;
    event.preventDefault();
  }

  another() {
    const [x, y] = this.axes;
    const keep = [this.noise[x], this.noise[y]];
    this.noise = this.noise.map(normal);
    [this.noise[x], this.noise[y]] = keep;
    this.send();
  }

  changeAxes(name) {
    const which = name === "x" ? 0 : 1, other = this.find(`.cursor-${name === "x" ? "y" : "x"}`);
    this.axes[which] = Number(this.find(`.cursor-${name}`).value);
    if (this.axes[0] === this.axes[1] && this.noise.length > 1) {
      this.axes[1 - which] = (this.axes[which] + 1) % this.noise.length;
      other.value = this.axes[1 - which];
    }
    this.draw();
  }

  draw() {
    if (!this.noise) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1), side = this.pad.clientWidth;
    if (!side) return;
    if (this.canvas.width !== side * ratio) Object.assign(this.canvas, { width: side * ratio, height: side * ratio });
    const context = this.canvas.getContext("2d");
    const text = getComputedStyle(this.root).getPropertyValue("--st-text-color").trim() || "#222";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, side, side);
    const at = (value) => (side / 2) * (1 + value / PAD_REACH);
    context.strokeStyle = text;
    context.fillStyle = text;
    context.font = "10px sans-serif";
    // Of a single axis there is nothing up or down: an interval has ends where a plane has circles.
    const line = this.noise.length === 1;
    for (const radius of line ? [-3, -2, -1, 1, 2, 3] : [1, 2, 3]) {
      context.globalAlpha = 0.35;
      context.setLineDash([3, 3]);
      context.beginPath();
      if (line) {
        context.moveTo(at(radius), 0);
        context.lineTo(at(radius), side);
      } else context.arc(side / 2, side / 2, (radius * side) / 2 / PAD_REACH, 0, 2 * Math.PI);
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 0.6;
      const words = `${radius}σ`.replace("-", "−");
      if (line) context.fillText(words, at(radius) + 2, 10);
      else context.fillText(words, at(radius * Math.SQRT1_2) + 2, at(-radius * Math.SQRT1_2) - 2);
    }
    context.globalAlpha = 1;
    const x = at(this.noise[this.axes[0]]), y = line ? side / 2 : side - at(this.noise[this.axes[1]]);
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    context.stroke();
    if (this.held) context.fill();
    context.lineWidth = 1;
  }

  destroy() {
    this.resize.disconnect();
    for (const contestant of this.contestants) contestant.destroy();
  }
}

export default function show({ parentElement, data }) {
  const root = parentElement.querySelector(".cursor");
  root.cursor ??= new SharedCursor(root);
  root.cursor.update(data);
  return () => {
    if (!root.isConnected && root.cursor) {
      root.cursor.destroy();
      root.cursor = null;
    }
  };
}
