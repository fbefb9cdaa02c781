/* One plane of a latent space. Plotly draws what Python worked out; decoded pictures fade in over it
   as one zooms, and the ends of a path can be dragged. */

const CELL = 46;             // px of a picture
const FADE_FROM = 1.25, FADE_TO = 2.2; // times zoomed in
const STRONGEST = 0.92;
const MOST_CELLS = 400, MOST_KEPT = 1600;
const REST = 120;            // ms without movement
const CLICK_REACH = 4;       // px
const STEP = 0.02, FINE = 0.004; // of the width shown, a key press
const ZOOM = 1.5;
const WAY_COLOUR = "#d0206f";

let plotlyLoading = null;
function loadPlotly(path) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotlyLoading = null; reject(new Error("Plotly did not load.")); };
    document.head.append(script);
  });
  return plotlyLoading;
}

class PlaneView {
  constructor(root) {
    this.root = root;
    this.plot = Object.assign(document.createElement("div"), { className: "plane-plot" });
    this.over = Object.assign(document.createElement("canvas"), { className: "plane-over" });
    this.note = Object.assign(document.createElement("p"), { className: "plane-note" });
    this.note.setAttribute("role", "status");
    const bar = Object.assign(document.createElement("div"), { className: "plane-bar" });
    for (const [text, label, action] of [
      ["+", "Zoom in", () => this.zoomBy(1 / ZOOM)], ["−", "Zoom out", () => this.zoomBy(ZOOM)], ["⤢", "Show all", () => this.home()],
    ]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, title: label });
      button.setAttribute("aria-label", label);
      button.addEventListener("click", action);
      bar.append(button);
    }
    root.append(this.plot, this.over, bar, this.note);
    // It never connects: pictures alone are asked of it, by plain requests.
    this.link = new Link({
      onState: () => {}, onOpen: () => {}, onFrame: () => {}, onGhost: () => {}, onTruth: () => {},
      onPicture: () => {}, onView: () => {},
    });
    this.kept = new Map();
    this.ends = [];
    this.drawn = 0;
    this.resize = new ResizeObserver(() => {
      // It is told of its going, too.
      if (this.ready && this.plot.isConnected && this.plot.clientWidth) this.Plotly.Plots.resize(this.plot);
    });
    this.resize.observe(root);
    this.watchClicks();
  }

  async update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    const { base, name, token, tag } = data;
    this.link.target = { base, name, token, tag };
    const text = JSON.stringify([data.figure, data.extent]);
    const space = JSON.stringify([name, tag, data.centre, data.basis, data.pin]);
    if (space !== this.space) this.kept.clear();
    const sameSpace = space === this.space;
    this.space = space;
    this.data = data;
    this.across = null;
    this.root.dataset.model = name;
    try {
      this.Plotly = await loadPlotly(data.plotly);
      const theme = `${this.style("--st-text-color")} ${this.style("--st-background-color")}`;
      if (text !== this.text || theme !== this.theme) {
        const range = sameSpace && this.ready && JSON.stringify(data.extent) === this.extent ? this.range() : null;
        this.text = text;
        this.theme = theme;
        this.extent = JSON.stringify(data.extent);
        const { layout } = data.figure, ink = this.style("--st-text-color") || "#222";
        const axis = (name_, at) => ({ ...layout[name_], color: ink, range: range ? range[at] : layout[name_].range });
        await this.Plotly.react(this.plot, data.figure.data, {
          ...layout, height: undefined, autosize: true, margin: { l: 40, r: 6, t: 6, b: 36 },
          font: { color: ink, family: getComputedStyle(this.root).fontFamily, size: 11 },
          xaxis: axis("xaxis", 0), yaxis: axis("yaxis", 1),
        }, { displayModeBar: false, scrollZoom: true, responsive: false, doubleClick: "reset", showTips: false });
      }
    } catch (error) {
      this.note.textContent = `The plane could not be drawn: ${error.message}`;
      // Nor may the former one stand there in its place.
      this.show(false);
      return;
    }
    this.show(true);
    if (!this.ready) {
      this.ready = true;
      for (const event of ["plotly_relayouting", "plotly_relayout", "plotly_afterplot"]) this.plot.on(event, () => this.moved());
    }
    this.showEnds();
    this.moved();
    this.root.dataset.drawn = ++this.drawn;
  }

  show(on) {
    for (const part of [this.plot, this.over, ...this.ends]) part.style.visibility = on ? "" : "hidden";
  }

  style(name) { return getComputedStyle(this.root).getPropertyValue(name).trim(); }

  get axes() { return this.plot._fullLayout; }

  range() { return [[...this.axes.xaxis.range].map(Number), [...this.axes.yaxis.range].map(Number)]; }

  pixel([x, y]) {
    const { xaxis, yaxis } = this.axes;
    return [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)];
  }

  spot(clientX, clientY) {
    const box = this.plot.getBoundingClientRect(), { xaxis, yaxis } = this.axes;
    return [xaxis.p2d(clientX - box.left - xaxis._offset), yaxis.p2d(clientY - box.top - yaxis._offset)];
  }

  inside(clientX, clientY) {
    const box = this.plot.getBoundingClientRect(), { xaxis, yaxis } = this.axes;
    const x = clientX - box.left - xaxis._offset, y = clientY - box.top - yaxis._offset;
    return x >= 0 && y >= 0 && x <= xaxis._length && y <= yaxis._length;
  }

  zoomBy(factor) {
    if (!this.ready) return;
    const [x, y] = this.range().map(([low, high]) => {
      const middle = (low + high) / 2, half = ((high - low) / 2) * factor;
      return [middle - half, middle + half];
    });
    this.Plotly.relayout(this.plot, { "xaxis.range": x, "yaxis.range": y });
  }

  home() {
    if (!this.ready) return;
    const [left, right, low, high] = this.data.extent;
    this.Plotly.relayout(this.plot, { "xaxis.range": [left, right], "yaxis.range": [low, high] });
  }

  get zoom() {
    const [[left, right]] = this.range();
    this.across ??= Math.abs(this.data.extent[1] - this.data.extent[0]);
    return this.across / Math.abs(right - left);
  }

  moved() {
    if (!this.ready || !this.axes?.xaxis) return;
    this.placeEnds();
    this.draw();
    clearTimeout(this.timer);
    if (this.data.manifold) this.timer = setTimeout(() => this.fill(), REST);
    this.note.textContent = !this.data.manifold ? "" : this.strength > 0
      ? "Decoded pictures of the spots they cover." : "Zoom in (wheel, pinch, +): decoded pictures appear.";
  }

  /* -- decoded pictures -- */

  get strength() { return STRONGEST * Math.min(1, Math.max(0, (this.zoom - FADE_FROM) / (FADE_TO - FADE_FROM))); }

  /* The cells in view: a lattice that stands still on the plane while one moves, and halves as one zooms. */
  cells() {
    const [[left, right], [low, high]] = this.range(), { xaxis } = this.axes;
    const unit = (right - left) / xaxis._length;
    let step = 2 ** Math.ceil(Math.log2(unit * CELL));
    let found;
    do {
      found = [];
      for (let j = Math.floor(low / step); j * step < high; j += 1) {
        for (let i = Math.floor(left / step); i * step < right; i += 1) found.push([i, j]);
      }
      step *= 2;
    } while (found.length > MOST_CELLS);
    step /= 2;
    return { step, side: step / unit, found };
  }

  key(step, [i, j]) { return `${step},${i},${j}`; }

  /* centre + what the pin has across the plane + spot @ basis. */
  code([x, y]) {
    const { centre, basis, pin } = this.data;
    const offset = pin.map((value, axis) => value - centre[axis]);
    const along = basis.map((row) => row.reduce((sum, weight, axis) => sum + weight * offset[axis], 0));
    return pin.map((value, axis) => value + (x - along[0]) * basis[0][axis] + (y - along[1]) * basis[1][axis]);
  }

  async fill() {
    if (!this.ready || this.strength <= 0) return;
    const { step, found } = this.cells();
    const missing = found.filter((cell) => !this.kept.has(this.key(step, cell)));
    if (!missing.length || this.filling) return;
    this.filling = true;
    const { space } = this;
    try {
      const codes = missing.flatMap(([i, j]) => this.code([(i + 0.5) * step, (j + 0.5) * step]));
      const { list, shape } = await this.link.pictures(Float32Array.from(codes), 64);
      if (space === this.space) {
        missing.forEach((cell, at) => this.kept.set(this.key(step, cell), picture(list[at], shape)));
        while (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value);
        this.draw();
      }
    } catch (error) {
      this.note.textContent = `Pictures could not be decoded: ${error.message}`;
      return;
    } finally { this.filling = false; }
    this.fill();
  }

  draw() {
    const ratio = Math.min(2, window.devicePixelRatio || 1), { clientWidth: width, clientHeight: height } = this.plot;
    Object.assign(this.over, { width: width * ratio, height: height * ratio });
    Object.assign(this.over.style, { width: `${width}px`, height: `${height}px` });
    const strength = this.data.manifold ? this.strength : 0;
    this.root.dataset.strength = strength.toFixed(2);
    this.root.dataset.pictures = 0;
    const context = this.over.getContext("2d"), { xaxis, yaxis } = this.axes;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.beginPath();
    context.rect(xaxis._offset, yaxis._offset, xaxis._length, yaxis._length);
    context.clip();
    if (strength) this.drawPictures(context, strength);
    this.drawWays(context);
  }

  drawPictures(context, strength) {
    context.imageSmoothingEnabled = false;
    context.globalAlpha = strength;
    const { step, side, found } = this.cells();
    let shown = 0;
    for (const cell of found) {
      const image = this.kept.get(this.key(step, cell));
      if (!image) continue;
      const [x, y] = this.pixel([(cell[0] + 0.5) * step, (cell[1] + 0.5) * step]);
      const size = Math.min(side, 2 * CELL) - 1, scale = size / Math.max(image.width, image.height);
      context.drawImage(image, x - (image.width * scale) / 2, y - (image.height * scale) / 2, image.width * scale, image.height * scale);
      shown += 1;
    }
    this.root.dataset.pictures = shown;
  }

  drawWays(context) {
    context.globalAlpha = 1;
    context.lineJoin = "round";
    this.data.ways.forEach((places, at) => {
      for (const [colour, width] of [["#fff", 5], [WAY_COLOUR, 2.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.setLineDash(at ? [2, 5] : []);
        context.beginPath();
        for (const place of places) context.lineTo(...this.pixel(place));
        context.stroke();
      }
    });
    context.setLineDash([]);
  }

  /* -- ends of a path -- */

  showEnds() {
    const { ends } = this.data;
    while (this.ends.length > ends.length) this.ends.pop().remove();
    while (this.ends.length < ends.length) this.ends.push(this.makeEnd(this.ends.length));
    this.places = ends.map((place) => [...place]);
    this.placeEnds();
  }

  makeEnd(at) {
    const letter = "AB"[at];
    const end = Object.assign(document.createElement("button"), { type: "button", className: "plane-end", textContent: letter });
    end.setAttribute("aria-label", `End ${letter}: drag it, or move it with the arrow keys and set it with Enter`);
    end.addEventListener("pointerdown", (event) => {
      end.setPointerCapture(event.pointerId);
      this.dragging = at;
      event.preventDefault();
      end.focus();
    });
    end.addEventListener("pointermove", (event) => {
      if (this.dragging !== at) return;
      this.places[at] = this.spot(event.clientX, event.clientY);
      this.placeEnds();
    });
    const drop = () => {
      if (this.dragging !== at) return;
      this.dragging = null;
      this.put(at);
    };
    end.addEventListener("pointerup", drop);
    end.addEventListener("pointercancel", drop);
    end.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      if (event.key in steps) {
        const [[left, right]] = this.range(), size = (right - left) * (event.shiftKey ? FINE : STEP);
        this.places[at] = this.places[at].map((value, axis) => value + size * steps[event.key][axis]);
        this.placeEnds();
      } else if (event.key === "Enter" || event.key === " ") this.put(at);
      else return;
      event.preventDefault();
    });
    this.root.append(end);
    return end;
  }

  placeEnds() {
    if (!this.ready || !this.places) return;
    this.ends.forEach((end, at) => {
      const [x, y] = this.pixel(this.places[at]);
      end.style.left = `${x}px`;
      end.style.top = `${y}px`;
    });
  }

  put(end) {
    const [x, y] = this.places[end];
    this.setTriggerValue("moved", { end, x, y });
  }

  /* A click puts the nearer end there. */
  watchClicks() {
    let down = null;
    this.plot.addEventListener("pointerdown", (event) => { down = [event.clientX, event.clientY]; }, true);
    window.addEventListener("pointerup", this.onUp = (event) => {
      const from = down;
      down = null;
      if (!from || !this.ready || !this.data.ends.length || !this.inside(event.clientX, event.clientY)) return;
      if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) > CLICK_REACH) return;
      const box = this.plot.getBoundingClientRect();
      const away = this.places.map((place) => {
        const [x, y] = this.pixel(place);
        return Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top));
      });
      const end = away[0] <= away[1] ? 0 : 1;
      this.places[end] = this.spot(event.clientX, event.clientY);
      this.placeEnds();
      this.put(end);
    }, true);
  }

  destroy() {
    this.resize.disconnect();
    clearTimeout(this.timer);
    window.removeEventListener("pointerup", this.onUp, true);
    this.link.close();
    if (this.Plotly && this.ready) this.Plotly.purge(this.plot);
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".plane");
  root.view ??= new PlaneView(root);
  root.view.update(data, setTriggerValue);
  return () => {
    if (!root.isConnected && root.view) {
      root.view.destroy();
      root.view = null;
    }
  };
}
