/* The importance-weighted estimate of log p(x), growing with K while one watches. */

/* The estimate and whether it may be believed: the effective sample size stands beside it. */
function sayEstimate({ samples, log_likelihood: value, standard_error: error, effective, claimed }) {
  const size = effective < 10 ? effective.toFixed(1) : Math.round(effective).toLocaleString("en");
  const draws = samples.toLocaleString("en"), figure = make("strong", { textContent: `${claimed ? "" : "≥ "}${nats(value)}` });
  if (!claimed) return [figure, ` nats, not claimed: effective sample size ${size} of K = ${draws}`];
  return [figure, ` ± ${error.toFixed(2)} nats with K = ${draws}`, make("small", { textContent: ` (effective sample size ${size})` })];
}

/* What the nats are nats of, where that misleads. */
function noteOf({ constant, floor }) {
  if (constant) return "Log of a Gaussian's density, which may exceed 1: it may be above 0. It compares only with a Gaussian's on the same images.";
  return floor > 0.05 ? "A Bernoulli over grey levels is no density of grey images: these nats compare only with other Bernoullis' on the same images." : "";
}

const GROWN = { width: 250, height: 74, left: 8, right: 8, top: 8, base: 54 };

class Likelihood {
  constructor(root, link) {
    this.root = root;
    this.link = link;
    this.button = make("button", { type: "button", className: "post-plain" });
    this.button.addEventListener("click", () => (this.abort ? this.stop("Stopped.") : this.start()));
    this.words = make("p", { className: "post-likelihood-words" });
    this.words.setAttribute("aria-live", "polite");
    this.chart = make("div");
    this.note = make("p", { className: "post-note post-likelihood-note" });
    root.append(make("div", { className: "post-likelihood-head" }, make("span", { className: "post-symbol", innerHTML: "log p(<i>x</i>)" }), this.button), this.words, this.chart, this.note);
  }

  open(data) {
    this.cancel();
    this.data = data;
    this.found = [];
    this.root.hidden = data.terms.kl === null;
    if (this.root.hidden) return;
    delete this.root.dataset.samples;
    this.words.textContent = "The ELBO is a lower bound on log p(x). K weighted draws of z near the mode of p(z|x) estimate log p(x) itself.";
    this.note.textContent = noteOf(data.terms);
    this.label();
    this.draw();
  }

  label() { this.button.textContent = this.abort ? "Stop" : this.found.length ? "Again" : "Estimate"; }

  cancel() {
    this.abort?.abort();
    this.abort = null;
  }

  stop(words) {
    this.cancel();
    if (words) this.words.append(` ${words}`);
    this.label();
  }

  async start() {
    const abort = this.abort = new AbortController(), { data } = this;
    this.found = [];
    this.label();
    this.words.textContent = "Finding the mode of p(z|x)…";
    try {
      const response = await this.link.post("/likelihood/{name}", fromBase64(data.pictures.input), { signal: abort.signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (abort.signal.aborted) return;
        const lines = (rest + (value ?? "")).split("\n");
        rest = done ? "" : lines.pop();
        for (const line of lines) if (line) this.take(JSON.parse(line));
        if (done) break;
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      this.words.textContent = error.message;
    }
    if (this.abort === abort) this.stop();
  }

  take(estimate) {
    if (estimate.error) throw new Error(estimate.error);
    this.found.push(estimate);
    const { samples, effective, claimed } = estimate;
    this.root.dataset.samples = samples;
    this.root.dataset.effective = effective;
    this.root.dataset.claimed = claimed;
    this.words.replaceChildren(...sayEstimate(estimate));
    this.words.title = claimed
      ? "Standard error by the delta method, over draws."
      : "In expectation the estimate lies below log p(x). With so few effective draws it may lie far below: it is a lower bound and no more.";
    this.draw();
  }

  draw() {
    const { found } = this;
    if (!found.length) {
      this.chart.replaceChildren();
      return;
    }
    const { terms } = this.data, elbo = -(terms.nll + terms.kl);
    const { width, height, left, right, top, base } = GROWN;
    const values = found.flatMap((one) => [one.log_likelihood - (one.standard_error ?? 0), one.log_likelihood + (one.standard_error ?? 0)]);
    const low = Math.min(elbo, ...values), high = Math.max(elbo + 1, ...values);
    const x = (samples) => left + (Math.log2(samples) / 12) * (width - left - right);
    const y = (value) => base - ((value - low) / (high - low)) * (base - top);
    const chart = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "post-grown", "aria-label": `Estimates of log p(x) for K = 1 to ${found.at(-1).samples}, and the ELBO, ${nats(elbo)}` });
    chart.append(draw("line", { x1: left, x2: width - right, y1: y(elbo), y2: y(elbo), class: "post-elbo" }));
    chart.append(draw("text", { x: width - right, y: y(elbo) - 4, "text-anchor": "end", class: "post-chart-text" }, `ELBO ${nats(elbo)}`));
    for (const one of found) {
      const error = one.standard_error ?? 0;
      chart.append(draw("line", { x1: x(one.samples), x2: x(one.samples), y1: y(one.log_likelihood - error), y2: y(one.log_likelihood + error), class: "post-error" }));
    }
    chart.append(draw("polyline", { points: found.map((one) => `${x(one.samples)},${y(one.log_likelihood)}`).join(" "), class: "post-growth" }));
    for (const one of found) chart.append(draw("circle", { cx: x(one.samples), cy: y(one.log_likelihood), r: 2.5, class: one.claimed ? "post-claimed" : "post-unclaimed" }));
    for (const samples of [1, 16, 256, 4096]) chart.append(draw("text", { x: x(samples), y: height - 4, "text-anchor": samples === 1 ? "start" : samples === 4096 ? "end" : "middle", class: "post-chart-text" }, samples === 1 ? "K = 1" : samples.toLocaleString("en")));
    this.chart.replaceChildren(chart);
  }
}
