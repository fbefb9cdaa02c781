/* The lab: map, sliders and decoded picture, live over one WebSocket.

   Streamlit calls the default export again whenever its data change, so what must last stands in
   a Lab object kept on the root element. Streamlit is told only settled codes. */

const SETTLE_DELAY = 250;    // ms after the last key press
const MOST_UNDO = 200;
const THUMB = 16;            // px, as in lab.css

function gaussian() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

class Lab {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.picture = this.find(".lab-picture");
    this.latents = new Float32Array(0);
    this.pressed = new Set();    // axes whose sliders are held
    this.frames = 0;
    this.link = new Link({
      onState: (phase, text) => this.showState(phase, text),
      onFrame: (answer) => this.showFrame(answer),
      onPicture: (answer) => this.map.showCard(answer),
    });
    this.map = new LatentMap(root, {
      onPick: (code) => { if (code.length === this.latents.length) this.go(code); },
      askPicture: (row) => this.link.picture(row),
    });
    this.find(".lab-buttons").addEventListener("click", (event) => this.press(event.target.dataset.do));
    this.onKey = (event) => this.shortcut(event);
    document.addEventListener("keydown", this.onKey);
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
      this.map.theme();
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
    clearTimeout(this.settleTimer);
    this.history = [];
    this.future = [];
    this.pushed = undefined;
    this.pressed.clear();
    this.map.clear(data);
    const [height, width] = data.shape;
    this.picture.style.aspectRatio = `${width} / ${height}`;
    if (this.picture.width !== width || this.picture.height !== height) {
      Object.assign(this.picture, { width, height });
    }
    this.buildSliders();
    this.find(".lab-hint").textContent = data.hint;
    this.link.drawn = 0;
    this.link.sequence = 0;
    this.link.attempts = 0;
    this.showState("starting", "Loading the model…");
    this.setLatents(Float32Array.from(data.start));
    this.settled = this.latents.slice();
    this.link.connect(this.target());
    this.buttons();
    this.map.draw();
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
    const move = (value) => {
      if (value === this.latents[axis.index]) return;
      this.latents[axis.index] = value;
      this.showValue(axis.index);
      this.link.decode(this.latents.slice());
    };
    input.addEventListener("input", () => move(Math.fround(Number(input.value))));
    let box = null;    // read once a drag: reading it makes the browser lay out the page
    input.addEventListener("pointerdown", () => {
      this.pressed.add(axis.index);
      box = input.getBoundingClientRect();
    });
    // A range input speaks once a screen frame; the pointer itself speaks earlier.
    if ("onpointerrawupdate" in window) {
      input.addEventListener("pointerrawupdate", (event) => {
        if (!this.pressed.has(axis.index) || !(event.buttons & 1)) return;
        const share = (event.clientX - box.left - THUMB / 2) / (box.width - THUMB);
        const value = axis.low + Math.min(1, Math.max(0, share)) * (axis.high - axis.low);
        input.value = value;
        move(Math.fround(value));
      });
    }
    const release = () => { if (this.pressed.delete(axis.index)) this.settle(); };
    input.addEventListener("pointerup", release);
    input.addEventListener("pointercancel", release);
    // The browser's own last word, which some of them say instead of pointerup.
    input.addEventListener("change", () => {
      if (this.pressed.has(axis.index)) release();
      else this.settleSoon();
    });
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
    output.value = (Math.abs(value) < 0.005 ? 0 : value).toFixed(2);
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
    // A drag goes on: its own end settles, so that nothing runs while it lasts.
    if (this.pressed.size) return;
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
    this.settle();    // what a key changed a moment ago is a step of its own
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
    this.map.move(answer.place);
  }

  destroy() {
    this.link.close();
    this.map.destroy();
    document.removeEventListener("keydown", this.onKey);
    clearTimeout(this.settleTimer);
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
