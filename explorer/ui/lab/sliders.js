/* The sliders: one a latent axis, the most informative first. */

const THUMB = 16;            // px, as in lab.css
const FIRST = 8;             // sliders shown before "more"
const OVERSHOOT = 1.5;       // times the range that holds 99 % of the codes
const STRIP_STEPS = 9;
const KEY_STEPS = 80, KEY_FINE_STEPS = 400;    // of that range

function axisLabel(index, names) { return names[index] || `z${index + 1}`; }

class Sliders {
  /* hooks: onPress(), onMove(axis, value), onRelease(), onKey(), onSet(axis, value), onReset(axis),
     onName(axis, name), onUnfold() */
  constructor(root, hooks) {
    this.root = root;
    this.hooks = checkedHooks("Sliders", hooks, [
      "onPress", "onMove", "onRelease", "onKey", "onSet", "onReset", "onName", "onRefused", "onUnfold",
    ]);
    this.box = root.querySelector(".lab-sliders");
    this.more = root.querySelector(".lab-more");
    this.more.addEventListener("click", () => this.fold(!this.folded));
    this.pressed = new Set();    // axes whose sliders are held
    this.locked = new Set();
    this.moved = new Set();
    this.rows = [];
  }

  build({ axes, unit, names, naming }) {
    this.pressed.clear();
    this.locked.clear();
    this.names = { ...names };
    this.naming = naming;
    this.unit = unit;
    this.most = Math.max(...axes.map((axis) => axis.information), 1e-9);
    this.rows = [];
    this.axes = axes;
    this.box.replaceChildren(...axes.map((axis) => this.buildRow(axis)));
    this.more.hidden = axes.length <= FIRST;
    this.fold(true);
  }

  fold(folded) {
    this.folded = folded;
    this.axes.forEach((axis, place) => { this.rows[axis.index].row.hidden = folded && place >= FIRST; });
    const rest = this.axes.slice(FIRST), inactive = rest.filter((axis) => !axis.active).length;
    this.more.setAttribute("aria-expanded", !folded);
    this.more.textContent = folded
      ? `${rest.length} more${inactive ? ` (${inactive} inactive)` : ""}`
      : "Fewer sliders";
    if (!folded) this.hooks.onUnfold();
  }

  buildRow(axis) {
    const make = (tag, properties = {}, ...children) => {
      const element = Object.assign(document.createElement(tag), properties);
      element.append(...children);
      return element;
    };
    const id = `lab-axis-${axis.index}`;
    const middle = (axis.low + axis.high) / 2, half = (OVERSHOOT * (axis.high - axis.low)) / 2;
    const low = middle - half, high = middle + half;
    const lock = make("button", { type: "button", className: "lab-lock", textContent: "" });
    const name = make("button", { type: "button", className: "lab-name" });
    const input = make("input", { type: "range", id, min: low, max: high, step: "any" });
    const share = make("i", { className: "lab-share" });
    share.style.width = `${Math.max(0, (100 * axis.information) / this.most)}%`;
    const track = make("div", { className: "lab-track" }, make("i", { className: "lab-usual" }), input, share);
    const number = make("input", { type: "number", className: "lab-number", step: "any" });
    const strip = make("canvas", { className: "lab-strip", hidden: true });
    const row = make("div", { className: "lab-axis" }, lock, name, track, number, strip);
    Object.assign(row.dataset, { axis: axis.index, active: axis.active });
    this.rows[axis.index] = { row, input, number, strip, name, lock, axis, low, high };
    this.bind(this.rows[axis.index]);
    this.showName(axis.index);
    this.showLock(axis.index);
    return row;
  }

  showName(index) {
    const { name, input, number, axis, lock, strip } = this.rows[index];
    const label = axisLabel(index, this.names);
    const facts = `axis ${index + 1}, ${axis.information.toFixed(2)} ${this.unit}${axis.active ? "" : ", inactive"}`;
    name.textContent = label;
    name.title = `${label}: ${facts}. ${this.naming || "Click to name it."}`;
    name.setAttribute("aria-label", `Name axis ${index + 1}, now ${label}`);
    input.setAttribute("aria-label", `${label}, ${facts}`);
    input.title = `${facts}. Double click or Delete resets it. The band holds 99 % of the codes; the ends go ${OVERSHOOT} times as far.`;
    number.setAttribute("aria-label", `Value of ${label}`);
    strip.title = `Nine decodings along ${label}; click one to go there`;
    strip.setAttribute("role", "img");
    strip.setAttribute("aria-label", `Nine decodings along ${label}`);
    lock.setAttribute("aria-label", `Lock ${label}`);
  }

  showLock(index) {
    const { lock, row } = this.rows[index], locked = this.locked.has(index);
    lock.setAttribute("aria-pressed", locked);
    lock.title = locked ? "Locked: nothing but its own slider moves this axis" : "Lock this axis";
    row.dataset.locked = locked;
  }

  bind(entry) {
    const { row, input, number, strip, name, lock, axis, low, high } = entry;
    const { index } = axis;
    const move = (value) => this.hooks.onMove(index, Math.fround(value));
    input.addEventListener("input", () => move(Number(input.value)));
    let box = null;    // read once a drag: reading it makes the browser lay out the page
    input.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.pressed.add(index);
      this.hooks.onPress();
      box = input.getBoundingClientRect();
    });
    // A range input speaks once a screen frame; the pointer itself speaks earlier.
    if ("onpointerrawupdate" in window) {
      input.addEventListener("pointerrawupdate", (event) => {
        if (!this.pressed.has(index) || !(event.buttons & 1)) return;
        const share = (event.clientX - box.left - THUMB / 2) / (box.width - THUMB);
        const value = low + Math.min(1, Math.max(0, share)) * (high - low);
        input.value = value;
        move(value);
      });
    }
    const release = () => {
      if (!this.pressed.delete(index)) return;
      this.showValue(index);
      this.hooks.onRelease();
    };
    input.addEventListener("pointerup", release);
    input.addEventListener("pointercancel", release);
    // The browser's own last word, which some of them say instead of pointerup.
    input.addEventListener("change", () => {
      if (this.pressed.has(index)) release();
      else this.hooks.onKey();
    });
    input.addEventListener("dblclick", () => this.hooks.onReset(axis));
    input.addEventListener("keydown", (event) => {
      const step = (axis.high - axis.low) / (event.shiftKey ? KEY_FINE_STEPS : KEY_STEPS);
      const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
      if (event.key === "Delete" || event.key === "Backspace") {
        event.preventDefault();
        this.hooks.onReset(axis);
      } else if (event.key in steps) {
        event.preventDefault();
        const value = this.latents[index] + steps[event.key] * step;
        move(Math.min(high, Math.max(low, value)));
        input.value = this.latents[index];
        this.hooks.onKey();
      }
    });
    number.addEventListener("change", () => {
      const value = Math.fround(Number(number.value));
      if (number.value.trim() === "" || !Number.isFinite(value) || Math.abs(value) > 1e6) this.showValue(index, true);
      else this.hooks.onSet(index, value);
    });
    number.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.showValue(index, true); number.blur(); }
    });
    strip.addEventListener("click", (event) => {
      const box = strip.getBoundingClientRect();
      const step = Math.min(STRIP_STEPS - 1, Math.floor(((event.clientX - box.left) / box.width) * STRIP_STEPS));
      this.hooks.onSet(index, Math.fround(this.stripValues(index)[step]));
    });
    name.addEventListener("click", () => this.rename(row, index));
    lock.addEventListener("click", () => {
      if (!this.locked.delete(index)) this.locked.add(index);
      this.showLock(index);
    });
  }

  rename(row, index) {
    const { name } = this.rows[index];
    if (this.naming) { this.hooks.onRefused(this.naming); return; }
    const input = Object.assign(document.createElement("input"), {
      className: "lab-rename", maxLength: 40, value: this.names[index] ?? "", placeholder: `z${index + 1}`,
    });
    input.setAttribute("aria-label", `New name of axis ${index + 1}`);
    name.replaceWith(input);
    input.focus();
    input.select();
    let done = false;
    const finish = (keep) => {
      if (done) return;
      done = true;
      const text = input.value.trim();
      const former = this.names[index] ?? "";
      input.replaceWith(name);
      if (keep && text !== former) this.hooks.onName(index, text);
      if (document.activeElement === document.body) name.focus();
    };
    input.addEventListener("blur", () => finish(true));
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      // Or the same press would be one of the button that comes back.
      if (event.key === "Enter") { event.preventDefault(); finish(true); }
      if (event.key === "Escape") finish(false);
    });
  }

  setNames(names) {
    this.names = { ...names };
    this.axes.forEach((axis) => this.showName(axis.index));
  }

  /* -- values -- */

  show(latents) {
    this.latents = latents;
    this.rows.forEach((_, index) => {
      if (!this.pressed.has(index)) this.rows[index].input.value = latents[index];
      this.showValue(index);
    });
  }

  /* In the next frame: a mouse may speak more often than the screen is drawn. */
  showValueSoon(index) {
    this.stale ??= requestAnimationFrame(() => {
      this.stale = null;
      for (const one of this.moved) if (this.rows[one]) this.showValue(one);
      this.moved.clear();
    });
    this.moved.add(index);
  }

  /* A number that is being typed stays, unless it is taken back. */
  showValue(index, anew = false) {
    const { input, number, axis, row } = this.rows[index];
    const value = this.latents[index];
    const text = (Math.abs(value) < 0.0005 ? 0 : value).toFixed(3);
    if (anew || document.activeElement !== number || number.value === "") number.value = text;
    const beyond = value < axis.low || value > axis.high;
    if (row.dataset.beyond !== String(beyond)) row.dataset.beyond = beyond;
    const title = beyond ? "Beyond the range that holds 99 % of the codes." : "";
    if (number.title !== title) number.title = title;
    // Nothing reads values aloud at the pace of a drag; its end says the last one.
    if (!this.pressed.has(index)) input.setAttribute("aria-valuetext", text);
  }

  refreshNumbers() {
    this.rows.forEach(({ number }, index) => {
      if (document.activeElement === number) number.value = (Math.abs(this.latents[index]) < 0.0005 ? 0 : this.latents[index]).toFixed(3);
    });
  }

  /* NaN where an axis is free; undefined when none is locked. */
  held() {
    if (!this.locked.size) return undefined;
    return Float32Array.from(this.latents, (value, index) => (this.locked.has(index) ? value : NaN));
  }

  /* A code with the locked axes as they are. */
  keepLocked(code) { return this.keepLockedAt(this.latents, code); }

  keepLockedAt(base, code) {
    const kept = Float32Array.from(code);
    for (const index of this.locked) kept[index] = base[index];
    return kept;
  }

  /* -- strips -- */

  stripValues(index) {
    const { axis } = this.rows[index];
    return Array.from({ length: STRIP_STEPS }, (_, step) => axis.low + (step / (STRIP_STEPS - 1)) * (axis.high - axis.low));
  }

  shownAxes() {
    return this.axes.filter((axis) => !this.rows[axis.index].row.hidden).map((axis) => axis.index);
  }

  stripCodes(indices) {
    const size = this.latents.length;
    const codes = new Float32Array(indices.length * STRIP_STEPS * size);
    indices.forEach((index, line) => this.stripValues(index).forEach((value, step) => {
      const from = (line * STRIP_STEPS + step) * size;
      codes.set(this.latents, from);
      codes[from + index] = value;
    }));
    return codes;
  }

  showStrips(indices, pictures) {
    const { list, shape } = pictures;
    const [height, width] = shape;
    indices.forEach((index, line) => {
      const { strip } = this.rows[index];
      strip.width = width * STRIP_STEPS;
      strip.height = height;
      const context = strip.getContext("2d");
      for (let step = 0; step < STRIP_STEPS; step += 1) {
        context.putImageData(toImage(list[line * STRIP_STEPS + step], shape), step * width, 0);
      }
      strip.hidden = false;
    });
  }

  hideStrips() {
    this.rows.forEach(({ strip }) => { strip.hidden = true; });
  }
}
