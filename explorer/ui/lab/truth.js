/* Diagnostics for a code: asked of the server while one moves, shown beside the picture. */

const TRUTH_EVERY = 110, TRUTH_AT_LEAST = 600;    // ms
const BLEND_SHARE = 0.15;    // of a class that is named

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
    panel.querySelector('[data-fact="density"]').hidden = false;
    panel.querySelector('[data-fact="map"]').hidden = true;
    delete panel.dataset.empty;
    this.blankNearest();
  }

  blankNearest() {
    const canvas = this.lab.find('[data-fact="nearest"] canvas');
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  /* about: "pin" or "ghost". */
  ask(about, code, now = false) {
    this.lab.busy("truth", true);
    this.next = { about, code: Float32Array.from(code), at: about === "pin" ? this.lab.pinAt : this.lab.ghostAt };
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
    const { about, code, at } = this.next ?? {};
    this.next = null;
    const wanted = code?.length === latents.length && (about !== "ghost" || ghostCode);
    if (wanted && link.open) link.truth(code, { about, at }, at.spot);
    this.lab.busy("truth", !link.slots.truth.quiet);
  }

  receive(received, { about, at }) {
    const facts = { ...received, at };
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
    lab.showExactness(facts.at);
    this.showDensity(facts, fact);
    // All of it is about the code; where that is a guess for a position, about the blend alone.
    const name = (own, blends) => (facts.map ? `The blend’s ${blends}` : own);
    const images = facts.radius_of === "images";
    fact("radius", "meter").value = facts.radius_quantile ?? 0;
    fact("radius", "span").textContent = `${shortNumber(facts.radius)}, ${percentileWords(100 * (facts.radius_quantile ?? 1))}`;
    fact("radius", "dt").textContent = `${name("‖z‖", "‖z‖")} ${images ? "among encoded images" : "under N(0, I)"}`;
    fact("radius", "dt").title = images
      ? "The norm of z, and the share of the encoded images whose code has no larger one. An autoencoder has no prior to compare it with."
      : `The norm of z, and the share of draws from the prior N(0, I) that have no larger one (chi with ${lab.latents.length} degrees of freedom)`;
    fact("cycle", "span").textContent = facts.cycle === null ? "–" : shortNumber(facts.cycle);
    fact("cycle", "dt").textContent = name("Re-encoding error", "re-encoding error");
    fact("cycle", "dt").title = "‖E(D(z)) − z‖: how far the encoder puts the decoded image from this code";
    const { nearest } = facts;
    fact("nearest", "span").textContent = `${lab.labelOf(nearest.label, nearest.index)}, distance ${shortNumber(nearest.distance)}`;
    fact("nearest", "dt").textContent = name("Nearest image", "nearest image");
    fact("nearest", "dd").title = `Held-out image ${nearest.index}, the nearest in the latent space`;
    const key = `${lab.data.tag} ${nearest.row}`;
    if (key !== this.nearest?.key) {
      this.nearest = { key, row: nearest.row };
      this.showNearest();
    }
  }

  /* In empty land of a map the code is a blend whose own density says nothing about the position. */
  showDensity({ density, hole, map }, fact) {
    const empty = !!map?.empty;
    fact("density", "meter").closest("[data-fact]").hidden = empty;
    fact("map", "span").closest("[data-fact]").hidden = !empty;
    this.lab.find(".lab-truth").dataset.empty = empty;
    if (empty) {
      fact("map", "span").textContent = this.blendWords(map.blend);
      fact("map", "dd").title = `The nearest point of the map lies ${shortNumber(map.distance)} away; 99 % of the points have five others within ${shortNumber(map.usual)}. How dense the codes are here is not known: the blend is drawn to where they are dense.`;
      return;
    }
    const badge = fact("density", ".lab-badge");
    badge.hidden = !hole;
    badge.textContent = "sparse";
    badge.title = `${SPARSE} (distance to the 5th nearest). By construction 5 % of the encodings are.`;
    fact("density", "meter").value = density ?? 0;
    fact("density", "span").textContent = density === null ? "–" : percentileWords(density);
    fact("density", "dt").textContent = `${map ? "The blend’s density" : "Density"} among encoded images`;
    fact("density", "dt").title = "Share of the encoded images that lie as sparsely or more, by the distance to the 5th nearest encoding"
      + (this.lab.data.kl ? " (z ~ q(z|x) of the held-out images)." : ".")
      + (map ? " It is that of the decoded code, a blend of the nearest points' codes, which lies denser than their images do." : "");
  }

  /* shares: [class, its share of the blend], largest first; null without classes. */
  blendWords(shares) {
    const names = (shares ?? []).filter(([label, share]) => share >= BLEND_SHARE && this.lab.data.classes[label] !== undefined)
      .map(([label]) => this.lab.data.classes[label]);
    const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names.join("");
    return `What you see is a blend of the nearest images' codes${list && `: ${list}`}`;
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
