/* One picture's posterior: its pictures, its bound and its code, each lighting the others. Nothing
   here waits for a run of the script. */

const OFF = "No live connection: the picture of z follows when you let go.";

function normal() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

class Posterior {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.link = new Link({
      onState: (phase, words) => {
        root.dataset.phase = phase;
        this.find(".post-status").textContent = phase === "live" ? "" : phase === "offline" ? OFF : words;
      },
      onOpen: () => {}, onGhost: () => {}, onPicture: () => {}, onView: () => {}, onTruth: () => {},
      onFrame: ({ pixels }) => this.showHand(pixels),
    });
    this.likelihood = new Likelihood(this.find(".post-likelihood"), this.link);
    this.axes = new Axes(this.find(".post-axes"), {
      onEps: (axis, value) => { this.noise[axis] = value; this.move(); },
      onSettle: () => this.settle(),
    });
    this.plane = new Plane(this.find(".post-plane"));
    this.pinned = "";
    root.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") this.light(this.keyOf(event.target) ?? this.pinned); });
    root.addEventListener("pointerleave", () => this.light(this.pinned));
    root.addEventListener("focusin", (event) => { const key = this.keyOf(event.target); if (key) this.light(key); });
    root.addEventListener("focusout", () => this.light(this.pinned));
    root.addEventListener("click", (event) => this.click(event));
  }

  keyOf(target) { return target.closest("[data-light]")?.dataset.light; }

  update(data) {
    this.data = data;
    const { line } = data, key = JSON.stringify([line.base, line.token, line.name, line.tag]);
    if (key !== this.key) {
      this.key = key;
      this.link.forget();
      this.find(".post-status").textContent = "";
      // An autoencoder's code does not move here: there is nothing to decode.
      if (data.code.deviation) {
        this.link.connect({ base: line.base, name: line.name, token: line.token, tag: line.tag, latentDim: line.latent_dim });
        this.find(".post-status").textContent = "Connecting…";
      } else this.root.dataset.phase = "still";
    }
    const state = `${data.id} ${JSON.stringify(data.terms)} ${data.code.names.join()}`;
    if (state === this.state) return;
    const same = data.id === this.id;
    this.state = state;
    this.id = data.id;
    this.open(same);
  }

  open(same) {
    const { data } = this, { shape } = data.line, { pictures } = data;
    const [height, width, channels] = shape;
    this.root.setAttribute("aria-label", `What the model makes of ${data.title}`);
    this.variational = data.code.deviation !== null;
    this.root.dataset.variational = this.variational;
    this.input = fromBase64(pictures.input);
    this.reconstruction = fromBase64(pictures.reconstruction);
    paint(this.canvasOf("reconstruction"), this.reconstruction, shape);
    this.showDifference(height, width, channels);
    this.say("reconstruction", this.variational ? "of the mean code" : "of its code");
    this.find('[data-show="spread"]').hidden = this.find(".post-draws").hidden = this.find(".post-hand").hidden = !this.variational;
    if (this.variational) this.showDraws(shape);
    this.find(".post-equation").replaceChildren(...buildEquation(data));
    this.find(".post-chart").replaceChildren(buildBar(data));
    this.axes.open(data);
    this.plane.open(data);
    if (!same) {
      this.likelihood.open(data);
      this.noise = new Float64Array(data.line.latent_dim);
      this.pinned = "";
      if (this.variational) paint(this.canvasOf("hand"), this.reconstruction, shape);
    }
    this.lit = null;
    this.light(this.pinned);
    this.move();
    this.root.dataset.picture = data.id;
  }

  canvasOf(name) { return this.find(`[data-show="${name}"] canvas`); }

  say(name, words) { this.find(`[data-show="${name}"] figcaption span`).textContent = words; }

  showDifference(height, width, channels) {
    const difference = differenceOf(this.reconstruction, this.input, height * width, channels);
    const most = Math.max(...difference.map(Math.abs), 1 / 255);
    paintSigned(this.canvasOf("difference"), [height, width], (at) => difference[at] / most, [235, 235, 235]);
    this.say("difference", `−${most.toFixed(2)} … +${most.toFixed(2)}, brighter`);
  }

  showDraws(shape) {
    const { draws, noise, spread } = this.data.pictures, pixels = fromBase64(draws);
    const [height, width, channels] = shape, size = height * width * channels;
    const amounts = fromBase64(spread.bytes);
    paintAmounts(this.canvasOf("spread"), shape, (at) => amounts[at] / 255, () => [20, 20, 24]);
    this.say("spread", `0 … ${spread.most.toFixed(2)}, std. dev.`);
    this.find(".post-draws-grid").replaceChildren(...noise.map((eps, at) => {
      const button = make("button", { type: "button", title: `Take the ε of draw ${at + 1}` }, picture(pixels.subarray(at * size, (at + 1) * size), shape));
      button.dataset.draw = at;
      button.setAttribute("aria-label", `Draw ${at + 1} of the posterior: take its ε`);
      return button;
    }));
  }

  /* -- eps by hand -- */

  get code() {
    const { mean, deviation } = this.data.code;
    return Float32Array.from(mean, (value, axis) => value + (deviation ? this.noise[axis] * deviation[axis] : 0));
  }

  move() {
    const { code } = this;
    this.axes.show(this.noise, code);
    this.plane.show(code);
    if (!this.variational) return;
    this.link.decode(code);
    const length = Math.hypot(...this.noise);
    this.find(".post-hand-words").textContent = length
      ? `|ε| = ${length.toFixed(2)}; a draw has about ${Math.sqrt(this.noise.length).toFixed(1)}`
      : "all ε are 0: the mean code";
  }

  /* Without a socket, a plain request. */
  async settle() {
    if (this.link.open || !this.variational) return;
    const { code } = this, [height, width] = this.data.line.shape;
    try {
      const { list } = await this.link.pictures(code, Math.max(height, width));
      this.showHand(list[0]);
    } catch (error) {
      this.find(".post-status").textContent = error.message;
    }
  }

  showHand(pixels) {
    if (!this.data || !this.variational) return;
    const { shape } = this.data.line;
    if (pixels.length !== shape[0] * shape[1] * shape[2]) return;
    paint(this.canvasOf("hand"), pixels, shape);
    this.root.dataset.frames = Number(this.root.dataset.frames ?? 0) + 1;
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { draw: drawn, do: action, light: key } = button.dataset;
    if (drawn !== undefined) this.noise = Float64Array.from(this.data.pictures.noise[drawn]);
    else if (action === "mean") this.noise = this.noise.map(() => 0);
    else if (action === "draw") this.noise = this.noise.map(normal);
    else {
      if (key) {
        this.pinned = this.pinned === key ? "" : key;
        this.light(this.pinned || key);
        for (const one of this.root.querySelectorAll("[data-light]")) one.setAttribute("aria-pressed", one.dataset.light === this.pinned);
      }
      return;
    }
    this.move();
    this.settle();
  }

  /* -- light: which part a term comes from -- */

  light(key) {
    if (key === this.lit) return;
    this.lit = key;
    this.root.dataset.lit = key;
    for (const one of this.root.querySelectorAll("[data-light], [data-part]")) one.toggleAttribute("data-on", (one.dataset.light ?? one.dataset.part) === key);
    this.root.querySelector(".post-axes-list")?.toggleAttribute("data-on", key === "kl");
    const { line, pictures, terms, code } = this.data, { shape } = line, canvas = this.canvasOf("input");
    const under = dimmedPixels(this.input, shape[2]);
    const axis = key.startsWith("axis-") ? Number(key.slice(5)) : null;
    const change = axis === null ? null : pictures.changes.find(([one]) => one === axis)?.[1];
    const weighted = terms.kl !== null && terms.beta !== 1 ? ` Trained with the KL weighted by β = ${terms.beta}; the bound counts it once.` : "";
    let words = `Hover or focus a term or an axis: what it comes from lights up.${weighted}`, caption = "what the model gets";
    if (key === "nll") {
      const amounts = fromBase64(pictures.cost.bytes);
      paintAmounts(canvas, shape, (at) => amounts[at] / 255, under);
      caption = `0 … ${nats(pictures.cost.most)} nats a pixel`;
      const rest = terms.constant ? `${nats(terms.constant)} of the ${nats(terms.nll)} nats are the Gaussian's constant, the rest lies where the pixels are lit.` : `${nats(terms.nll)} nats, paid where the pixels are lit.`;
      words = terms.floor > 0.05 && !terms.constant ? `${rest} Grey pixels alone cost ${nats(terms.floor)}: no decoder could spare those.` : rest;
    } else if (change) {
      const amounts = fromBase64(change.bytes, Int8Array);
      paintSigned(canvas, shape, (at) => amounts[at] / 127, [235, 235, 235]);
      caption = `−${change.most.toFixed(2)} … +${change.most.toFixed(2)} brightness`;
      words = `What ${code.names[axis]} adds to the picture: with it minus with the axis at ${code.kl ? "0" : "its mean"}. It saves ${nats(code.saved[axis])} nats${code.kl ? ` and costs ${nats(code.kl[axis])}` : ""}.`;
    } else {
      paint(canvas, this.input, shape);
      if (key === "kl") words = `${nats(terms.kl)} nats in ${code.used} of ${code.order.length} axes: the bars below add up to them.`;
      else if (axis !== null) words = `${code.names[axis]} does next to nothing to this picture.`;
    }
    this.say("input", caption);
    this.find('[data-show="input"]').toggleAttribute("data-on", key === "nll" || !!change);
    this.find(".post-lit").textContent = words;
  }

  destroy() {
    this.likelihood.cancel();
    this.plane.destroy();
    this.link.close();
  }
}

export default function show({ parentElement, data }) {
  const root = parentElement.querySelector(".post");
  root.posterior ??= new Posterior(root);
  root.posterior.update(data);
  return () => {
    if (!root.isConnected && root.posterior) {
      root.posterior.destroy();
      root.posterior = null;
    }
  };
}
