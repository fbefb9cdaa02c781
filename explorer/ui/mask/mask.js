/* What is painted over a picture, pixel by pixel of the model's input. */

const LONGEST = 320;         // px of the canvas's longer side, about
const HIDDEN = "rgb(128,128,128)";
const KEY_STEP = 2;

class Mask {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.canvas = this.find(".mask-canvas");
    this.size = this.find(".mask-size");
    this.hide = true;
    root.addEventListener("click", (event) => {
      const { tool, do: action } = event.target.closest("button")?.dataset ?? {};
      if (tool) this.pick(tool);
      else if (action) this[action]();
    });
    this.size.addEventListener("input", () => this.drawSoon());
    this.bindPointer();
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => { this.cursor = null; this.drawSoon(); });
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    const other = data.picture !== this.data?.picture;
    this.data = data;
    if (!other) return;
    this.scale = Math.max(1, Math.round(LONGEST / Math.max(data.width, data.height)));
    Object.assign(this.canvas, { width: data.width * this.scale, height: data.height * this.scale });
    const bytes = Uint8Array.from(atob(data.mask), (letter) => letter.charCodeAt(0));
    this.mask = Uint8Array.from({ length: data.width * data.height }, (_, at) => (bytes[at >> 3] >> (7 - (at & 7))) & 1);
    this.image = new Image();
    this.image.onload = () => this.drawSoon();
    this.image.src = data.source;
    this.drawSoon();
    this.say();
  }

  pick(tool) {
    this.hide = tool === "hide";
    for (const button of this.root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }

  clear() {
    this.mask.fill(0);
    this.done();
  }

  square() {
    const { width, height, share } = this.data;
    const side = Math.max(1, Math.round(share * Math.min(width, height)));
    const left = Math.floor(Math.random() * (width - side + 1)), top = Math.floor(Math.random() * (height - side + 1));
    this.mask.fill(0);
    for (let y = top; y < top + side; y += 1) this.mask.fill(1, y * width + left, y * width + left + side);
    this.done();
  }

  done() {
    this.drawSoon();
    this.say();
    const bytes = new Uint8Array(Math.ceil(this.mask.length / 8));
    this.mask.forEach((on, at) => { if (on) bytes[at >> 3] |= 0x80 >> (at & 7); });
    this.setTriggerValue("painted", { picture: this.data.picture, mask: btoa(String.fromCharCode(...bytes)) });
  }

  /* A round spot of the brush about a place in pixels of the picture. */
  dab(x, y) {
    const { width, height } = this.data, radius = Number(this.size.value) / 2;
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(height - 1, Math.floor(y + radius)); row += 1) {
      for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(width - 1, Math.floor(x + radius)); column += 1) {
        const inside = Math.hypot(column + 0.5 - x, row + 0.5 - y) <= Math.max(radius, 0.71);
        if (inside) this.mask[row * width + column] = Number(this.hide);
      }
    }
  }

  stroke(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let step = 0; step <= steps; step += 1) {
      const share = step / steps;
      this.dab(from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1]));
    }
    this.drawSoon();
  }

  bindPointer() {
    const { canvas } = this;
    let last = null, box = null;
    const place = (event) => [((event.clientX - box.left) / box.width) * this.data.width, ((event.clientY - box.top) / box.height) * this.data.height];
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || last) return;
      canvas.setPointerCapture(event.pointerId);
      this.cursor = null;
      box = canvas.getBoundingClientRect();
      last = place(event);
      this.stroke(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      for (const one of event.getCoalescedEvents?.() ?? [event]) {
        const next = place(one);
        this.stroke(last, next);
        last = next;
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => {
        if (!last) return;
        last = null;
        this.done();
      });
    }
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { width, height } = this.data;
    this.cursor ??= [width / 2, height / 2];
    if (event.key in steps) {
      const size = event.shiftKey ? 1 : KEY_STEP, [across, down] = steps[event.key];
      this.cursor = [Math.min(width - 0.5, Math.max(0.5, this.cursor[0] + size * across)), Math.min(height - 0.5, Math.max(0.5, this.cursor[1] + size * down))];
      this.drawSoon();
    } else if (event.key === " ") {
      this.stroke(this.cursor, this.cursor);
      this.done();
    } else return;
    event.preventDefault();
  }

  /* Once a screen frame at most, however often the pointer reports. */
  drawSoon() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.draw();
    });
  }

  /* Told when the hand rests: it is read aloud. */
  say() {
    const count = this.mask.reduce((sum, on) => sum + on, 0), share = Math.round((100 * count) / this.mask.length);
    this.find(".mask-note").textContent = count ? `${share || "<1"} % of the picture is hidden.` : "Paint over a part of the picture.";
  }

  draw() {
    const { width, height } = this.data, { scale } = this, context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    // What was painted before must go also where there is no picture yet.
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.image.complete && this.image.naturalWidth) context.drawImage(this.image, 0, 0, width * scale, height * scale);
    let count = 0;
    context.fillStyle = HIDDEN;
    this.mask.forEach((on, at) => {
      if (!on) return;
      count += 1;
      context.fillRect((at % width) * scale, Math.floor(at / width) * scale, scale, scale);
    });
    if (this.cursor) {
      context.strokeStyle = "#d0206f";
      context.lineWidth = 3;
      context.beginPath();
      context.arc(this.cursor[0] * scale, this.cursor[1] * scale, Math.max(4, (Number(this.size.value) / 2) * scale), 0, 2 * Math.PI);
      context.stroke();
    }
    this.root.dataset.hidden = count;
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".mask");
  root.painter ??= new Mask(root);
  root.painter.update(data, setTriggerValue);
}
