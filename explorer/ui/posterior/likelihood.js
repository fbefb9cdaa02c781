/* The importance-weighted estimate of log p(x), growing with K while one watches. */

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
    root.append(make("div", { className: "post-likelihood-head" }, make("span", { className: "post-symbol", innerHTML: "log p(<i>x</i>)" }), this.button), this.words, this.chart);
  }

  open(data) {
    this.cancel();
    this.data = data;
    this.found = [];
    this.root.hidden = data.terms.kl === null;
    if (this.root.hidden) return;
    this.words.textContent = "The ELBO is a lower bound. With K weighted draws of the posterior it rises towards log p(x).";
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
    this.words.textContent = "Drawing…";
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
    const { samples, log_likelihood: value, standard_error: error, effective } = estimate;
    this.root.dataset.samples = samples;
    this.words.replaceChildren(make("strong", { textContent: nats(value) }),
      ` ${error === null ? "" : `± ${error.toFixed(2)} `}nats with K = ${samples.toLocaleString("en")}`,
      make("small", { textContent: samples > 1 ? ` (${effective < 10 ? effective.toFixed(1) : Math.round(effective)} draws carry it)` : "" }));
    this.words.title = "Standard error by the delta method. Where few draws carry the estimate, it lies too low by more than that.";
    this.draw();
  }

  draw() {
    const { found } = this;
    if (!found.length) {
      this.chart.replaceChildren();
      return;
    }
    // Of the very draws of the estimate: another draw's ELBO could by chance lie above it.
    const { elbo } = found.at(-1);
    const { width, height, left, right, top, base } = GROWN;
    const values = found.flatMap((one) => [one.log_likelihood - (one.standard_error ?? 0), one.log_likelihood + (one.standard_error ?? 0)]);
    const low = Math.min(elbo, ...values), high = Math.max(elbo + 1, ...values);
    const x = (samples) => left + (Math.log2(samples) / 12) * (width - left - right);
    const y = (value) => base - ((value - low) / (high - low)) * (base - top);
    const chart = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "post-grown", "aria-label": `Estimates of log p(x) for K = 1 to ${found.at(-1).samples}, above the ELBO of ${nats(elbo)}` });
    chart.append(draw("line", { x1: left, x2: width - right, y1: y(elbo), y2: y(elbo), class: "post-elbo" }));
    chart.append(draw("text", { x: width - right, y: y(elbo) - 4, "text-anchor": "end", class: "post-chart-text" }, `ELBO ${nats(elbo)}`));
    for (const one of found) {
      const error = one.standard_error ?? 0;
      chart.append(draw("line", { x1: x(one.samples), x2: x(one.samples), y1: y(one.log_likelihood - error), y2: y(one.log_likelihood + error), class: "post-error" }));
    }
    chart.append(draw("polyline", { points: found.map((one) => `${x(one.samples)},${y(one.log_likelihood)}`).join(" "), class: "post-growth" }));
    for (const samples of [1, 16, 256, 4096]) chart.append(draw("text", { x: x(samples), y: height - 4, "text-anchor": samples === 1 ? "start" : samples === 4096 ? "end" : "middle", class: "post-chart-text" }, samples === 1 ? "K = 1" : samples.toLocaleString("en")));
    this.chart.replaceChildren(chart);
  }
}
