/* How a picture was prepared, step by step. Every choice is a row of buttons; a crop is dragged on
   the upright picture itself. */

const FRAME = 82;            // px, a picture's longer side
const LEAST_CROP = 0.04;     // share of a side
const STEP = 0.02;

class Steps {
  constructor(root) {
    this.root = root;
    this.row = Object.assign(document.createElement("div"), { className: "steps-row" });
    this.choices = Object.assign(document.createElement("div"), { className: "steps-choices" });
    root.append(this.row, this.choices);
    this.choices.addEventListener("click", (event) => this.click(event));
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    const text = JSON.stringify(data);
    if (text === this.text) return;
    const same = this.data?.picture === data.picture, { scrollLeft } = this.row;
    const active = document.activeElement, focused = this.root.contains(active) ? active.dataset.focus : null;
    this.text = text;
    this.data = data;
    this.box = null;
    this.row.replaceChildren(...data.steps.map((step, at) => this.buildStep(step, at)));
    this.row.scrollLeft = same ? scrollLeft : 0;
    this.choices.replaceChildren(...data.choices.map((choice) => this.buildChoice(choice)), ...this.buildActions());
    if (focused) this.root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    this.root.dataset.picture = data.picture;
    this.root.dataset.steps = data.steps.map((step) => step.title).join("|");
  }

  buildStep(step, at) {
    const make = (tag, properties, ...children) => {
      const element = Object.assign(document.createElement(tag), properties);
      element.append(...children);
      return element;
    };
    const scale = FRAME / Math.max(step.width, step.height);
    const image = make("img", { src: step.source, alt: step.title, draggable: false, width: Math.max(1, Math.round(step.width * scale)), height: Math.max(1, Math.round(step.height * scale)) });
    // Small inputs are shown pixel by pixel, as the model gets them.
    if (scale > 1) image.style.imageRendering = "pixelated";
    const inner = make("div", {}, image);
    const figure = make("figure", { className: "steps-step" },
      make("div", { className: "steps-frame" }, inner),
      make("figcaption", {}, make("b", { textContent: step.title }), make("span", { textContent: step.detail, title: step.detail })));
    figure.dataset.upright = step.upright;
    figure.dataset.step = step.title;
    if (step.upright) this.bindCrop(inner, at);
    return figure;
  }

  buildChoice({ name, title, words, taken, guessed, options }) {
    const group = Object.assign(document.createElement("fieldset"), { className: "steps-choice", title: words });
    const row = Object.assign(document.createElement("div"), { className: "steps-options" });
    for (const [value, label] of [["auto", "Auto"], ...options]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
      button.setAttribute("aria-pressed", value === "auto" ? guessed : !guessed && value === taken);
      Object.assign(button.dataset, { choice: name, value, taken: value === taken, focus: `${name}-${value}` });
      if (value === taken) button.title = words;
      row.append(button);
    }
    group.append(Object.assign(document.createElement("legend"), { textContent: title }), row);
    return group;
  }

  buildActions() {
    const { crop, changed, others } = this.data, actions = [];
    const add = (kind, words, title) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "steps-plain", textContent: words, title });
      Object.assign(button.dataset, { kind, focus: kind });
      actions.push(button);
    };
    if (crop) add("uncrop", "Remove the crop", "Keep all of the picture");
    if (changed) add("guess", "Guess all anew", "Leave every choice to the guess");
    if (others && changed) add("all", "Same for all", "Choose the same for all pictures of the session (crops stay each picture's own)");
    return actions;
  }

  tell(kind, more = {}) { this.setTriggerValue("event", { kind, picture: this.data.picture, ...more }); }

  click(event) {
    const { choice, value, kind } = event.target.closest("button")?.dataset ?? {};
    if (choice) this.tell("choose", { choice, value });
    else if (kind === "uncrop") this.tell("crop", { crop: null });
    else if (kind) this.tell(kind);
  }

  /* -- the crop -- */

  bindCrop(inner, at) {
    inner.tabIndex = 0;
    inner.dataset.focus = `crop-${at}`;
    inner.title = "Drag to crop by hand";
    inner.setAttribute("role", "application");
    inner.setAttribute("aria-label", "Crop by hand: drag a box. With keys: arrows move the box, with Shift its lower right corner; Enter crops, Escape lets it be.");
    const mark = Object.assign(document.createElement("i"), { className: "steps-crop", hidden: true });
    inner.append(mark);
    const show = () => {
      const box = this.box ?? this.data.crop;
      mark.hidden = !box;
      if (!box) return;
      const [left, top, right, bottom] = box.map((share) => 100 * share);
      Object.assign(mark.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
    };
    show();
    const apply = () => {
      const { box } = this;
      this.box = null;
      if (!box || box[2] - box[0] < LEAST_CROP || box[3] - box[1] < LEAST_CROP) { show(); return; }
      this.tell("crop", { crop: box });
    };
    let from = null, frame = null;
    const place = (event) => [
      Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width)),
      Math.min(1, Math.max(0, (event.clientY - frame.top) / frame.height)),
    ];
    inner.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      inner.setPointerCapture(event.pointerId);
      frame = inner.getBoundingClientRect();
      from = place(event);
    });
    inner.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = place(event);
      this.box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
      show();
    });
    for (const name of ["pointerup", "pointercancel"]) {
      inner.addEventListener(name, () => {
        if (!from) return;
        from = null;
        apply();
      });
    }
    inner.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
      if (event.key in steps) {
        const [across, down] = steps[event.key];
        let [left, top, right, bottom] = this.box ?? this.data.crop ?? [0.1, 0.1, 0.9, 0.9];
        if (event.shiftKey) {
          right = Math.min(1, Math.max(left + LEAST_CROP, right + across));
          bottom = Math.min(1, Math.max(top + LEAST_CROP, bottom + down));
        } else {
          const x = Math.min(1 - right, Math.max(-left, across)), y = Math.min(1 - bottom, Math.max(-top, down));
          [left, right, top, bottom] = [left + x, right + x, top + y, bottom + y];
        }
        this.box = [left, top, right, bottom];
        show();
      } else if (event.key === "Enter") apply();
      else if (event.key === "Escape") { this.box = null; show(); }
      else return;
      event.preventDefault();
    });
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".steps");
  root.steps ??= new Steps(root);
  root.steps.update(data, setTriggerValue);
}
