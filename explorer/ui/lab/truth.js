/* The truth about a spot: asked of the server while one moves, shown beside the picture. */

const TRUTH_EVERY = 110, TRUTH_AT_LEAST = 600;    // ms

class Truth {
  constructor(lab) {
    this.lab = lab;
    this.pin = null;    // what is so at the pin
  }

  /* For another model: nothing of the former one is shown, wanted or waited for. */
  blank() {
    clearTimeout(this.timer);
    this.timer = this.next = this.pin = this.nearest = null;
    this.lab.busy("truth", false);
    const panel = this.lab.find(".lab-truth");
    for (const words of panel.querySelectorAll("dd b, dd i, dd span")) words.textContent = "";
    for (const told of panel.querySelectorAll("[title]")) told.removeAttribute("title");
    for (const meter of panel.querySelectorAll("meter")) meter.value = 0;
    panel.querySelector(".lab-badge").hidden = true;
    this.blankNearest();
  }

  blankNearest() {
    const canvas = this.lab.find('[data-fact="nearest"] canvas');
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  /* about: "pin" or "ghost". */
  ask(about, code, now = false) {
    this.lab.busy("truth", true);
    this.next = { about, code: Float32Array.from(code) };
    if (now) {
      clearTimeout(this.timer);
      this.timer = null;
      this.send();
    } else {
      // On a busy machine pictures come first: the truth is asked for more rarely there.
      const pause = Math.min(TRUTH_AT_LEAST, Math.max(TRUTH_EVERY, 5 * this.lab.link.slots.pinned.lag));
      this.timer ??= setTimeout(() => this.send(), pause);
    }
  }

  send() {
    const { link, latents, ghostCode } = this.lab;
    this.timer = null;
    const { about, code } = this.next ?? {};
    this.next = null;
    const wanted = code?.length === latents.length && (about !== "ghost" || ghostCode);
    if (wanted && link.open) link.truth(code, about);
    this.lab.busy("truth", !link.slots.truth.quiet);
  }

  receive(facts, about) {
    this.lab.busy("truth", !!this.next || !this.lab.link.slots.truth.quiet);
    if (about === "pin") this.pin = facts;
    // While one looks elsewhere, the pin's facts wait; and those of where one no longer looks go.
    if ((about === "ghost") === !!this.lab.ghostCode) this.show(facts);
  }

  /* After looking elsewhere. */
  showPin() { if (this.pin) this.show(this.pin); }

  show(facts) {
    const { lab } = this;
    const fact = (name, selector) => lab.find(`[data-fact="${name}"] ${selector}`);
    const badge = fact("spot", ".lab-badge");
    badge.hidden = !facts.hole;
    badge.textContent = "in a hole";
    badge.title = "Its 5th nearest code is further away than for 95 % of the held-out codes: the decoder has seen nothing here.";
    const density = facts.density;
    fact("density", "meter").value = density ?? 0;
    fact("density", "span").textContent = density === null ? "–" : `denser than at ${Math.round(density)} %`;
    fact("density", "dt").title = "Share of the held-out codes that lie as sparsely or more, by the distance to the 5th nearest code";
    fact("radius", "meter").value = facts.radius_quantile ?? 0;
    fact("radius", "span").textContent = `${shortNumber(facts.radius)} · prior's ${percent(facts.radius_quantile)}`;
    fact("radius", "dt").title = `|z|, and the share of draws from N(0, I) that lie within it (chi with ${lab.latents.length} degrees of freedom)`;
    fact("cycle", "span").textContent = facts.cycle === null ? "–" : shortNumber(facts.cycle);
    fact("cycle", "dt").title = "|encode(decode(z)) − z|: how far the encoder puts the decoded picture from this code";
    const { nearest } = facts;
    fact("nearest", "span").textContent = `${lab.labelOf(nearest.label, nearest.index)} at ${shortNumber(nearest.distance)}`;
    fact("nearest", "dd").title = `Held-out image ${nearest.index}, the nearest in the latent space`;
    const key = `${lab.data.tag} ${nearest.row}`;
    if (key !== this.nearest?.key) {
      this.nearest = { key, row: nearest.row };
      this.showNearest();
    }
  }

  /* One request at a time: while the code moves, what is nearest changes faster than pictures come. */
  async showNearest() {
    if (this.asked) return;
    this.asked = true;
    this.lab.busy("nearest", true);
    const { nearest, lab } = this;
    const found = await lab.link.pictures(Uint32Array.of(nearest.row), THUMB_SIDE).catch(() => null);
    this.asked = false;
    lab.busy("nearest", false);
    if (nearest !== this.nearest) {
      if (this.nearest) this.showNearest();
    } else if (found) paint(lab.find('[data-fact="nearest"] canvas'), found.list[0], found.shape);
    else this.blankNearest();
  }

  destroy() { clearTimeout(this.timer); }
}

function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${share < 0.1 || share > 0.99 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;
}
