/* The trail of the pinned code: a canvas only as large as the trail, so that a frame of it costs the
   browser a few thousand pixels and not the whole map's. */

const TRAIL_MS = 1500;
const TRAIL_EDGE = 3;        // px around its lines
const TRAIL_STEP = 64;       // px by which its canvas grows
const TRAIL_PACE = 60;       // ms between two drawings of a trail that only fades
const TRAIL_WAIT = 300;      // ms without a new place after which it only fades

class Trail {
  /* parent: the map's box; before: the element that the trail lies under. */
  constructor(parent, before) {
    this.canvas = Object.assign(document.createElement("canvas"), { className: "lab-trail", width: 0, height: 0 });
    this.canvas.setAttribute("aria-hidden", "true");
    parent.insertBefore(this.canvas, before);
    this.steps = [];
  }

  get length() { return this.steps.length; }

  add(place) { this.steps.push({ place, at: performance.now() }); }

  clear() {
    this.steps = [];
    this.hide();
  }

  hide() {
    if (this.canvas.width) this.canvas.width = this.canvas.height = 0;
    this.canvas.style.visibility = "hidden";
  }

  /* Draws what is left of it; in how many ms it is to be drawn again, null for never.
     pixel(place) -> where it lies, area: the box that it is seen in, both in px of the parent. */
  draw(now, { pixel, area, ratio, colour }) {
    this.steps = this.steps.filter(({ at }) => now - at < TRAIL_MS);
    if (this.steps.length < 2) {
      this.hide();
      return this.steps.length ? TRAIL_WAIT : null;
    }
    const spots = this.steps.map(({ place }) => pixel(place));
    const left = Math.max(area.x, Math.floor(Math.min(...spots.map(({ x }) => x)) - TRAIL_EDGE));
    const top = Math.max(area.y, Math.floor(Math.min(...spots.map(({ y }) => y)) - TRAIL_EDGE));
    const right = Math.min(area.x + area.width, Math.max(...spots.map(({ x }) => x)) + TRAIL_EDGE);
    const bottom = Math.min(area.y + area.height, Math.max(...spots.map(({ y }) => y)) + TRAIL_EDGE);
    if (!(right > left && bottom > top)) {
      this.hide();
      return TRAIL_WAIT;
    }
    const context = this.open(right - left, bottom - top, ratio);
    this.canvas.style.transform = `translate(${left}px, ${top}px)`;
    context.translate(-left, -top);
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    context.strokeStyle = colour;
    context.lineWidth = 2.5;
    context.lineCap = "round";
    for (let at = 1; at < spots.length; at += 1) {
      context.globalAlpha = 0.75 * (1 - (now - this.steps[at].at) / TRAIL_MS);
      context.beginPath();
      context.moveTo(spots[at - 1].x, spots[at - 1].y);
      context.lineTo(spots[at].x, spots[at].y);
      context.stroke();
    }
    return Math.max(TRAIL_PACE, TRAIL_WAIT - (now - this.steps.at(-1).at));
  }

  /* An empty canvas of at least this size; it shrinks only when it is far too large. */
  open(width, height, ratio) {
    const { canvas } = this;
    const fitting = (size) => Math.ceil(size / TRAIL_STEP) * TRAIL_STEP;
    const wanted = [fitting(width), fitting(height)];
    const now = [canvas.width / ratio, canvas.height / ratio];
    const fits = now[0] >= wanted[0] && now[1] >= wanted[1] && now[0] * now[1] <= 3 * wanted[0] * wanted[1];
    if (!fits) {
      canvas.width = Math.round(wanted[0] * ratio);
      canvas.height = Math.round(wanted[1] * ratio);
      canvas.style.width = `${wanted[0]}px`;
      canvas.style.height = `${wanted[1]}px`;
    }
    canvas.style.visibility = "visible";
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }
}
