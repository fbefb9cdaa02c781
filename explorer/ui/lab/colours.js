/* What the points' colours say, and the legend that says what they say. */

// matplotlib's viridis (N. Smith and S. van der Walt, CC0): even steps in lightness, also to
// colour-blind eyes.
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
const NO_VALUE = [150, 150, 150];
const STEPS = 256;

function ramp() {
  const stops = VIRIDIS.map(toRgb), table = new Uint8Array(3 * STEPS);
  for (let step = 0; step < STEPS; step += 1) {
    const at = (step / (STEPS - 1)) * (stops.length - 1), from = Math.min(stops.length - 2, Math.floor(at));
    for (let part = 0; part < 3; part += 1) {
      table[3 * step + part] = stops[from][part] + (at - from) * (stops[from + 1][part] - stops[from][part]);
    }
  }
  return table;
}

class Colouring {
  /* hooks: onSelect(group, name), onToggle() */
  constructor(root, hooks) {
    this.box = root.querySelector(".lab-legend");
    this.hooks = checkedHooks("Colouring", hooks, ["onSelect", "onToggle"]);
    this.hidden = new Set();
    this.box.addEventListener("click", (event) => this.click(event));
  }

  /* For another model: no colours until there are its own. */
  clear() {
    Object.assign(this, { labels: null, names: [], values: null, scale: null, hidden: new Set() });
    this.box.replaceChildren();
  }

  /* labels: (N,) group of each point or -1; names and colours of the groups. */
  byGroup(labels, names, colours, { title = "", key = "class" } = {}) {
    Object.assign(this, { labels, names, key, title, values: null, scale: null });
    this.rgb = colours.map(toRgb);
    this.colours = colours;
    this.hidden = new Set();
    this.counts = new Uint32Array(names.length);
    for (const label of labels) if (label >= 0) this.counts[label] += 1;
    this.legend();
  }

  byValue(values, header) {
    Object.assign(this, { values, key: header.what, title: header.title, labels: null, names: [], scale: header });
    this.table ??= ramp();
    this.hidden = new Set();
    this.legend();
  }

  plain(count, colour) {
    this.byGroup(new Int16Array(count).fill(0), ["held-out images"], [colour], { key: "class" });
  }

  shown(row) { return !this.hidden.size || !this.labels || !this.hidden.has(this.labels[row]); }

  rgbOf(row) {
    if (this.labels) {
      const label = this.labels[row];
      return label < 0 ? NO_VALUE : this.rgb[label];
    }
    const value = this.values[row];
    if (!Number.isFinite(value)) return NO_VALUE;
    const { low, high } = this.scale;
    const step = Math.min(STEPS - 1, Math.max(0, Math.round(((value - low) / (high - low || 1)) * (STEPS - 1))));
    return [this.table[3 * step], this.table[3 * step + 1], this.table[3 * step + 2]];
  }

  /* chosen: (N,) bytes, 0 for points outside every selection; or null. */
  painter(chosen, count) {
    const alpha = count > 30_000 ? 130 : 205;
    return (row, out, at) => {
      const [red, green, blue] = this.rgbOf(row);
      out[at] = red;
      out[at + 1] = green;
      out[at + 2] = blue;
      out[at + 3] = !this.shown(row) ? 0 : chosen && !chosen[row] ? 28 : alpha;
    };
  }

  css(row, chosen) {
    const [red, green, blue] = this.rgbOf(row);
    return `rgba(${red},${green},${blue},${chosen && !chosen[row] ? 0.15 : 1})`;
  }

  /* -- the legend -- */

  legend() {
    if (this.labels) {
      this.box.replaceChildren(...this.names.map((name, group) => this.entry(name, group)).filter((entry) => entry));
      return;
    }
    const { title, unit, low, high } = this.scale;
    const bar = document.createElement("i");
    bar.className = "lab-ramp";
    bar.style.background = `linear-gradient(to right, ${VIRIDIS.join(",")})`;
    const words = (value) => Object.assign(document.createElement("span"), { textContent: value });
    this.box.replaceChildren(
      words(unit && !title.includes(unit) ? `${title}, ${unit}` : title), words(shortNumber(low)), bar, words(shortNumber(high)),
      Object.assign(words("1 % to 99 %"), { className: "lab-faint" }),
    );
  }

  entry(name, group) {
    if (!this.counts[group]) return null;
    const item = document.createElement("span");
    item.className = "lab-key";
    item.dataset.group = group;
    const eye = Object.assign(document.createElement("button"), { type: "button", className: "lab-swatch", title: `Hide or show ${name}` });
    eye.style.setProperty("--colour", this.colours[group]);
    eye.setAttribute("aria-label", `Show ${name}`);
    eye.setAttribute("aria-pressed", !this.hidden.has(group));
    const word = Object.assign(document.createElement("button"), { type: "button", className: "lab-pick", title: `Select ${name}` });
    word.append(name, Object.assign(document.createElement("small"), { textContent: this.counts[group].toLocaleString("en") }));
    word.setAttribute("aria-label", `Select ${name}, ${this.counts[group]} points`);
    item.append(eye, word);
    return item;
  }

  click(event) {
    const button = event.target.closest("button");
    if (!button || !this.labels) return;
    const group = Number(button.parentElement.dataset.group);
    if (button.className === "lab-pick") {
      this.hooks.onSelect(group, this.names[group]);
      return;
    }
    if (!this.hidden.delete(group)) this.hidden.add(group);
    button.setAttribute("aria-pressed", !this.hidden.has(group));
    this.hooks.onToggle();
  }
}

function shortNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
}
