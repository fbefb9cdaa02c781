/* The posterior at true scale on a plane of the latent space, among held-out codes. */

const MARGIN = 1.1, CLOSE = 5; // standard deviations shown from close by
const PRINCIPAL = "principal";

class Plane {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.bar = root.querySelector(".post-plane-bar");
    this.words = root.querySelector(".post-plane-words");
    this.root = root;
    this.close = false;
    this.bar.addEventListener("change", () => this.pick());
    this.bar.addEventListener("click", (event) => {
      if (event.target.closest("button")) { this.close = !this.close; this.draw(); }
    });
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.canvas);
  }

  open({ code, plane, codes, line }) {
    const size = line.latent_dim, { order, names, deviation } = code;
    this.size = size;
    this.code = code;
    this.principal = plane;
    this.codes = fromBase64(codes, Float32Array);
    const model = `${line.name}/${line.tag}`;
    if (model !== this.model) {
      this.model = model;
      this.which = plane ? PRINCIPAL : null;
      this.axes = [0, Math.min(1, size - 1)];
    }
    // The axes that this picture uses the most, unless others were picked.
    if (!this.picked) this.axes = size > 2 ? [...order.slice(0, 2)] : [0, size - 1];
    const button = deviation ? [make("button", { type: "button", className: "post-plain" })] : [];
    const pickers = size > 2 ? this.buildPickers(names) : [];
    this.bar.replaceChildren(...pickers, ...button);
    this.z = Float32Array.from(code.mean);
    this.draw();
  }

  buildPickers(names) {
    const which = make("select", {}, new Option("principal axes", PRINCIPAL), new Option("two axes", "axes"));
    which.setAttribute("aria-label", "Plane");
    which.value = this.which ?? "axes";
    const axes = [0, 1].map((at) => {
      const select = make("select", { hidden: this.which === PRINCIPAL }, ...names.map((name, axis) => new Option(name, axis)));
      select.setAttribute("aria-label", at ? "Axis upwards" : "Axis to the right");
      select.value = this.axes[at];
      return select;
    });
    return [which, ...axes];
  }

  pick() {
    const [which, ...axes] = this.bar.querySelectorAll("select");
    this.which = which.value === PRINCIPAL ? PRINCIPAL : null;
    const chosen = axes.map((select) => Number(select.value));
    if (chosen.join() !== this.axes.join()) this.picked = true;
    if (chosen[0] === chosen[1]) chosen[1] = (chosen[0] + 1) % this.size;
    this.axes = chosen;
    axes.forEach((select, at) => Object.assign(select, { hidden: this.which === PRINCIPAL, value: chosen[at] }));
    this.draw();
  }

  show(z) {
    this.z = z;
    this.draw();
  }

  place(code, from = 0) {
    if (this.which === PRINCIPAL) {
      const { centre, basis } = this.principal;
      return basis.map((axis) => axis.reduce((sum, weight, at) => sum + weight * (code[from + at] - centre[at]), 0));
    }
    const [x, y] = this.axes;
    return [code[from + x], x === y ? 0 : code[from + y]];
  }

  outlines() {
    const { mean, deviation } = this.code;
    if (!deviation) return [];
    if (this.which === PRINCIPAL) return this.principal.outlines;
    const [x, y] = this.axes;
    return [1, 2].map((reach) => Array.from({ length: 97 }, (_, at) => {
      const angle = (2 * Math.PI * at) / 96;
      return [mean[x] + reach * deviation[x] * Math.cos(angle), x === y ? 0 : mean[y] + reach * deviation[y] * Math.sin(angle)];
    }));
  }

  view(places, outlines) {
    const middle = this.place(this.code.mean);
    if (this.close && outlines.length) {
      const widest = Math.max(...outlines[0].map(([x, y]) => Math.hypot(x - middle[0], y - middle[1])), 1e-6);
      return { middle, half: CLOSE * widest };
    }
    const all = [...places, middle];
    const ends = [0, 1].map((at) => {
      const sorted = all.map((one) => one[at]).sort((one, other) => one - other);
      const cut = Math.floor(0.005 * sorted.length);
      return [Math.min(sorted[cut], middle[at]), Math.max(sorted[sorted.length - 1 - cut], middle[at])];
    });
    return {
      middle: ends.map(([low, high]) => (low + high) / 2),
      half: MARGIN * Math.max(...ends.map(([low, high]) => (high - low) / 2), 1e-6),
    };
  }

  draw() {
    if (!this.code) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1), side = this.canvas.clientWidth;
    if (!side) return;
    if (this.canvas.width !== Math.round(side * ratio)) Object.assign(this.canvas, { width: Math.round(side * ratio), height: Math.round(side * ratio) });
    const context = this.canvas.getContext("2d"), count = this.codes.length / this.size;
    const places = Array.from({ length: count }, (_, row) => this.place(this.codes, row * this.size));
    const outlines = this.outlines(), { middle, half } = this.view(places, outlines);
    const at = ([x, y]) => [(side / 2) * (1 + (x - middle[0]) / half), (side / 2) * (1 - (y - middle[1]) / half)];
    const text = getComputedStyle(this.root).getPropertyValue("--st-text-color").trim() || "#222";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, side, side);
    context.fillStyle = context.strokeStyle = text;
    context.globalAlpha = 0.28;
    for (const spot of places) {
      const [x, y] = at(spot);
      context.fillRect(x - 1, y - 1, 2, 2);
    }
    context.globalAlpha = 1;
    context.strokeStyle = context.fillStyle = "#d0206f";
    outlines.forEach((outline, number) => {
      context.lineWidth = number ? 1 : 1.5;
      context.setLineDash(number ? [3, 3] : []);
      context.beginPath();
      for (const spot of outline) context.lineTo(...at(spot));
      context.stroke();
    });
    context.setLineDash([]);
    const [x, y] = at(this.place(this.z));
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = "#fff";
    context.stroke();
    this.say();
  }

  say() {
    const { names, deviation } = this.code;
    const on = this.which === PRINCIPAL ? "the codes' principal axes" : this.size === 1 ? names[0] : this.axes.map((axis) => names[axis]).join(" and ");
    this.words.textContent = deviation
      ? "At true scale: 1 and 2 (dashed) standard deviations, z as a dot, held-out codes in grey."
      : "The code as a dot among held-out codes: it has no extent.";
    this.canvas.setAttribute("aria-label", `The ${deviation ? "posterior" : "code"} on ${on}. ${this.words.textContent}`);
    const button = this.bar.querySelector("button");
    if (button) button.textContent = this.close ? "All codes" : "Closer";
  }

  destroy() { this.resize.disconnect(); }
}
