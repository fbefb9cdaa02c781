/* The map: a surface to move on.

   Plotly gives the frame, its tools (moving, zooming, box, lasso) and the view in three dimensions;
   the points lie on a layer of our own below it, and all that moves live on a canvas above it. */

const CARD_DELAY = 125;      // ms a pointer rests on a point before its picture is asked for
const REST_DELAY = 140;      // ms without movement after which everything is drawn
const REACH = 7;             // px from a point within which the pointer is on it
const CLICK_REACH = 4;       // px that a click may move
const GLIDE_MS = 650;
const MOST_IMAGES = 400;     // pictures on the map at once
const SHADE_FROM = 20_000;   // points in view from which their density is shaded by itself
const SHADE_SIDE = 192;      // cells a side
const KEY_STEP = 10, KEY_FINE = 1;    // px
const STRIP_SHARE = 0.5;     // of the map's height that the points of a single latent axis take
const GOLDEN = 0.6180339887;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/* Plotly, out of the Python package. */
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

/* Whether a spot lies in a polygon, by the crossings of a ray. */
function insidePolygon(x, y, across, up) {
  let inside = false;
  for (let at = 0, before = across.length - 1; at < across.length; before = at, at += 1) {
    const cuts = (up[at] > y) !== (up[before] > y);
    if (cuts && x < ((across[before] - across[at]) * (y - up[at])) / (up[before] - up[at]) + across[at]) inside = !inside;
  }
  return inside;
}

class LatentMap {
  /* hooks: onPick(row), onSpot(spot), onDrag(spot, phase), onHover(spot | null), onSelect(rows, words),
     onRest(), onEscape(), askPicture(row) -> number of the request, caption(row, answer) -> [title, text...],
     shown(row) -> whether its class is shown, colourOf(row) -> CSS, axisName(number) -> "" for none,
     onBusy(what, whether it is under way) */
  constructor(root, hooks) {
    this.root = root;
    this.hooks = checkedHooks("LatentMap", hooks, [
      "onPick", "onSpot", "onDrag", "onHover", "onSelect", "onRest", "onEscape", "askPicture", "caption",
      "shown", "colourOf", "axisName", "onBusy",
    ]);
    this.find = (selector) => root.querySelector(selector);
    this.box = this.find(".lab-map");
    this.plot = this.find(".lab-plot");
    this.marker = this.find(".lab-marker");
    this.card = this.find(".lab-card");
    this.under = this.find(".lab-under");
    this.over = this.find(".lab-over");
    this.layer = new PointLayer(this.find(".lab-points"));
    this.trail = new Trail(this.box, this.over);
    this.solid = new SolidView(this);
    this.tool = "pan";
    this.shading = "auto";
    this.wanted = new Set();
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.box);
    this.listen();
  }

  get flat() { return this.points?.dims === 2; }

  /* Whether the map is a single latent axis: what is up or down of it means nothing. */
  get line() { return this.flat && !!this.points.plane?.basis[1].every((value) => value === 0); }

  /* A spot of the map, on the axis itself where there is only one. */
  onLine(spot) { return this.line ? [spot[0], 0] : spot; }

  clear(data) {
    this.data = data;
    this.points = null;
    this.place = this.ghost = this.cursor = this.keyed = this.range = this.dragging = null;
    this.moving = false;
    clearTimeout(this.restTimer);
    // Plotly's axes, and what it draws in three dimensions, until it draws those of the other model.
    this.plot.style.visibility = "hidden";
    this.trail.clear();
    this.images = this.tiles = this.shade = null;
    this.outline = null;
    this.unhover();
    this.layer.endGlide();
    this.layer.setPlaces(new Float32Array(0), 0);
    this.layer.draw();
    this.marker.style.visibility = "hidden";
    this.find(".lab-empty").hidden = false;
    this.find(".lab-shown").textContent = "";
    for (const name of ["map", "view", "dims"]) delete this.root.dataset[name];
    this.want("over", "under");
  }

  /* points: { places, count, dims, plane, exact, view }; glides from the former map if there is one. */
  async show(points, plotly) {
    const glides = this.flat && points.dims === 2 && !STILL.matches && this.range && this.plot._fullLayout;
    if (glides) this.layer.keepFormer(this.transform());
    this.points = points;
    this.outline = this.images = this.tiles = this.shade = null;
    this.trail.clear();
    this.pointerLeft();
    this.Plotly = plotly;
    this.root.dataset.dims = points.dims;
    if (points.dims === 3) {
      this.layer.setPlaces(new Float32Array(0), 0);
    } else {
      if (this.line) this.spreadOut();
      this.layer.setPlaces(points.places, points.count);
      this.home = this.homeRange();
    }
    await this.react();
    if (this.points !== points) return;    // another model or map has come meanwhile
    this.plot.style.visibility = "";
    this.find(".lab-empty").hidden = true;
    if (!this.plot.dataset.bound) this.bindPlotly();
    this.layer.rank = null;
    if (glides && this.layer.former) this.glide();
    else this.layer.endGlide();
    this.rest();
    this.root.dataset.map = this.data.name;
    this.root.dataset.view = points.view;
  }

  showError(error) {
    this.find(".lab-empty").hidden = true;
    this.find(".lab-map-note").textContent = `The map could not be drawn: ${error.message}`;
  }

  /* The points of a single axis, spread over a strip so that they do not cover each other. */
  spreadOut() {
    const { places, count } = this.points;
    let left = Infinity, right = -Infinity;
    for (let row = 0; row < count; row += 1) {
      left = Math.min(left, places[2 * row]);
      right = Math.max(right, places[2 * row]);
    }
    const { clientWidth: width, clientHeight: height } = this.box;
    const strip = STRIP_SHARE * height * ((right - left || 1) / Math.max(width, 50));
    for (let row = 0; row < count; row += 1) places[2 * row + 1] = strip * (((row + 0.5) * GOLDEN) % 1 - 0.5);
  }

  /* -- Plotly's frame -- */

  homeRange() {
    const { left, right, low, high } = this.layer.grid.bounds;
    const { clientWidth: width, clientHeight: height } = this.box;
    const spanX = right - left || 1, spanY = high - low || 1;
    const unit = Math.max(spanX / Math.max(width - 24, 50), spanY / Math.max(height - 24, 50)) * 1.04;
    const middleX = (left + right) / 2, middleY = (low + high) / 2;
    return [
      [middleX - (unit * width) / 2, middleX + (unit * width) / 2],
      [middleY - (unit * height) / 2, middleY + (unit * height) / 2],
    ];
  }

  layout() {
    const style = getComputedStyle(this.root);
    const text = style.getPropertyValue("--st-text-color").trim() || "#222";
    this.text = this.root.dataset.ink = text;
    this.ground = style.getPropertyValue("--st-background-color").trim() || "#fff";
    const common = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { color: text, family: style.fontFamily, size: 11 }, hovermode: false,
      uirevision: `${this.data.name}${this.data.tag}${this.points.view}`,
    };
    const { plane, exact } = this.points;
    // Opaque: Plotly's three dimensions paint a colour that is half transparent as a bright one.
    const [ink, ground] = [text, this.ground].map(toRgb);
    const grid = `rgb(${ink.map((value, part) => Math.round(ground[part] + 0.16 * (value - ground[part]))).join(",")})`;
    if (!this.flat) {
      const axis = (number) => ({
        title: { text: exact ? this.hooks.axisName(number) : "" }, showticklabels: exact, showspikes: false,
        gridcolor: grid, zeroline: exact, color: text, backgroundcolor: "rgba(0,0,0,0)",
      });
      return {
        ...common, hovermode: "closest", margin: { l: 0, r: 0, t: 0, b: 0 },
        scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "data", dragmode: "orbit" },
      };
    }
    const { line } = this;
    const axis = (number) => {
      const told = exact && !(line && number === 1);
      return {
        title: told ? { text: this.hooks.axisName(number), standoff: 3 } : undefined,
        showticklabels: told, zeroline: told, zerolinecolor: "rgba(128,128,128,0.45)",
        gridcolor: "rgba(128,128,128,0.14)", showgrid: told, color: text,
        // Plotly writes into the arrays that it is given.
        range: [...(this.range ?? this.home)[number]],
      };
    };
    return {
      ...common, margin: exact ? { l: line ? 4 : 44, r: 4, t: 4, b: 36 } : { l: 0, r: 0, t: 0, b: 0 },
      xaxis: axis(0), yaxis: { ...axis(1), scaleanchor: "x" },
      dragmode: this.tool, selections: [],
      newselection: { line: { color: text, width: 1.5 } },
    };
  }

  async react() {
    this.range = null;
    const traces = this.flat ? [] : this.solid.traces();
    await this.Plotly.react(this.plot, traces, this.layout(), {
      displayModeBar: false, responsive: false, scrollZoom: true, doubleClick: false, showTips: false,
    });
    this.readRange();
  }

  bindPlotly() {
    this.plot.dataset.bound = "yes";
    // Where Plotly measures texts, far outside the page, is nothing for a screen reader.
    document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
    this.plot.on("plotly_relayouting", () => this.moved());
    this.plot.on("plotly_relayout", () => this.moved());
    this.plot.on("plotly_selected", (event) => this.selected(event));
    this.plot.on("plotly_hover", (event) => {
      const row = event.points[0].customdata;
      if (!this.flat && row >= 0) this.hover(row);
    });
    this.plot.on("plotly_unhover", () => { if (!this.flat) this.unhover(); });
  }

  readRange() {
    const layout = this.plot._fullLayout;
    if (!this.flat || !layout?.xaxis) return;
    const { xaxis, yaxis } = layout;
    this.range = [[...xaxis.range].map(Number), [...yaxis.range].map(Number)];
    this.area = { x: xaxis._offset, y: yaxis._offset, width: xaxis._length, height: yaxis._length };
  }

  /* Data to clip space of the plot's area. */
  transform([x, y] = this.range) {
    const scaleX = 2 / (x[1] - x[0]), scaleY = 2 / (y[1] - y[0]);
    return [scaleX, scaleY, -1 - x[0] * scaleX, -1 - y[0] * scaleY];
  }

  span() { return this.range[0][1] - this.range[0][0]; }

  pointSize() {
    const { count } = this.points;
    const size = count > 30_000 ? 2.5 : count > 3000 ? 4 : count > 800 ? 6 : 8;
    const zoomed = (this.home[0][1] - this.home[0][0]) / this.span();
    return size * Math.min(2.2, Math.max(1, zoomed ** 0.35));
  }

  fit() {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    for (const canvas of [this.under, this.over, this.layer.canvas]) {
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
    }
    this.ratio = ratio;
    if (this.Plotly && this.plot._fullLayout) {
      Promise.resolve(this.Plotly.Plots.resize(this.plot)).then(() => this.rest());
    }
  }

  /* After the page's theme changed. */
  theme() {
    if (!this.Plotly || !this.points || !this.plot._fullLayout) return false;
    const text = getComputedStyle(this.root).getPropertyValue("--st-text-color").trim();
    if (this.text === text) return false;
    this.tiles = null;    // they are drawn with the former theme's ink
    this.Plotly.relayout(this.plot, this.layout());
    this.rest();
    return true;
  }

  /* -- drawing: whatever is wanted is drawn once in the next frame -- */

  want(...parts) {
    for (const part of parts) this.wanted.add(part);
    this.hooks.onBusy("drawing", true);
    this.frame ??= requestAnimationFrame((now) => {
      this.frame = null;
      const wanted = this.wanted;
      this.wanted = new Set();
      if (!this.root.isConnected) return;
      if (wanted.has("points")) this.drawPoints(now);
      if (wanted.has("under")) this.drawUnder();
      if (wanted.has("over")) this.drawOver(now);
      if (wanted.has("trail")) this.drawTrail(now);
      this.hooks.onBusy("drawing", this.moving || this.layer.glide < 1 || this.trail.length > 0 || !!this.frame);
    });
  }

  drawPoints(now) {
    if (!this.points) return;
    if (!this.flat || !this.range) { this.layer.draw(); return; }
    const moving = this.moving || this.layer.glide < 1;
    if (moving && this.drawnAt) this.layer.pace(now - this.drawnAt);
    this.drawnAt = moving ? now : null;
    this.layer.look(this.transform(), this.area, this.pointSize(), this.ratio);
    this.layer.draw(moving);
    this.frames = (this.frames ?? 0) + 1;
  }

  /* The view changed and may go on changing. */
  moved() {
    if (!this.flat) return;
    this.readRange();
    this.moving = true;
    this.want("points", "under", "over", "trail");
    this.put(this.marker, this.place);
    clearTimeout(this.restTimer);
    this.restTimer = setTimeout(() => this.rest(), REST_DELAY);
  }

  /* The view came to rest: everything is drawn. */
  rest() {
    clearTimeout(this.restTimer);
    this.moving = false;
    // A class that was hidden meanwhile is no longer under the pointer.
    if (this.points && this.hovered !== undefined && !this.hooks.shown(this.hovered)) this.unhover();
    this.readRange();
    this.put(this.marker, this.place);
    if (this.points && this.flat && this.range) {
      const box = this.viewBox();
      const { drawn, inside } = this.layer.choose(box, this.hooks.shown);
      this.tellShown(drawn, inside);
      this.makeShade(box);
      this.hooks.onRest();
    }
    this.want("points", "under", "over");
  }

  viewBox() {
    const [x, y] = this.range;
    return { left: x[0], right: x[1], low: y[0], high: y[1] };
  }

  rowsInView(most) {
    const rows = [];
    const { left, right, low, high } = this.viewBox();
    const { places } = this.points;
    let total = 0;
    this.layer.grid.within(left, right, low, high, (row) => {
      const x = places[2 * row], y = places[2 * row + 1];
      if (x < left || x > right || y < low || y > high || !this.hooks.shown(row)) return;
      total += 1;
      if (total <= most) rows.push(row);
    });
    return { rows, total };
  }

  tellShown(drawn, inside) {
    const { count } = this.points;
    const number = (value) => value.toLocaleString("en");
    let words = "";
    if (!this.layer.gl) words = `Drawn without WebGL: ${number(drawn)} of ${number(count)} points.`;
    else if (inside > drawn) words = `The shade shows how all ${number(inside)} points in view lie; ${number(drawn)} of them are drawn. Zoom in for every point.`;
    else if (count > MOST_DRAWN) words = `All ${number(inside)} points in view are drawn, of ${number(count)}.`;
    this.find(".lab-shown").textContent = words;
  }

  shades(inside) {
    return this.shading === "on" || (this.shading === "auto" && inside > SHADE_FROM);
  }

  makeShade(box) {
    this.shade = null;
    const likely = this.shading === "on" || (this.shading === "auto" && this.points.count > SHADE_FROM);
    if (!likely) return;
    const { cells, inside } = this.layer.density(box, SHADE_SIDE, this.hooks.shown);
    if (!this.shades(inside) || !inside) return;
    const most = Math.log1p(cells.reduce((best, cell) => Math.max(best, cell), 0));
    const image = new ImageData(SHADE_SIDE, SHADE_SIDE);
    const [red, green, blue] = toRgb(getComputedStyle(this.root).getPropertyValue("--st-primary-color").trim() || "#3f90da");
    for (let cell = 0; cell < cells.length; cell += 1) {
      image.data.set([red, green, blue, 205 * (Math.log1p(cells[cell]) / most) ** 1.4], 4 * cell);
    }
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SHADE_SIDE;
    canvas.getContext("2d").putImageData(image, 0, 0);
    this.shade = { canvas, box };
  }

  /* A picture without its ground: grey strokes take the page's own ink, colours stay. */
  inked(pixels, [height, width, channels]) {
    const ground = 255 * (this.data.background ?? 0);
    const image = toImage(pixels, [height, width, channels]);
    const ink = toRgb(this.text), out = image.data, most = Math.max(ground, 255 - ground);
    if (channels === 1) {
      for (let at = 0; at < out.length; at += 4) {
        const strength = Math.abs(out[at] - ground) / most;
        out.set([...ink, 255 * strength], at);
      }
    }
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /* A box of the map in pixels. */
  boxPixels({ left, right, low, high }) {
    const from = this.pixel([left, high]), to = this.pixel([right, low]);
    return [from.x, from.y, to.x - from.x, to.y - from.y];
  }

  open(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    return context;
  }

  drawUnder() {
    if (!this.ratio) return;
    const context = this.open(this.under);
    if (!this.points || !this.flat || !this.range) return;
    context.save();
    context.beginPath();
    context.rect(this.area.x, this.area.y, this.area.width, this.area.height);
    context.clip();
    if (this.shade) context.drawImage(this.shade.canvas, ...this.boxPixels(this.shade.box));
    if (this.tiles) {
      context.imageSmoothingEnabled = false;
      context.globalAlpha = this.data.shape[2] === 1 ? 0.42 : 0.6;
      for (const tile of this.tiles) context.drawImage(tile.canvas, ...this.boxPixels(tile.box));
    }
    context.restore();
  }

  drawOver(now) {
    if (!this.ratio) return;
    const context = this.open(this.over);
    if (this.points && !this.flat && this.keyed && this.hovered !== undefined) {
      this.drawRingAt(context, this.keyed, 8);
    }
    if (!this.points || !this.flat || !this.range) return;
    context.save();
    context.beginPath();
    context.rect(this.area.x, this.area.y, this.area.width, this.area.height);
    context.clip();
    this.drawImages(context);
    this.drawPrior(context);
    this.drawOutline(context);
    if (this.hovered !== undefined) this.drawRing(context, this.placeOf(this.hovered), 8);
    if (this.cursor) this.drawCross(context, this.cursor);
    context.restore();
  }

  drawImages(context) {
    if (!this.images || this.moving) return;
    const { side, list } = this.images;
    context.imageSmoothingEnabled = side > 40;
    for (const { row, canvas } of list) {
      if (!this.hooks.shown(row)) continue;
      const spot = this.pixel(this.placeOf(row));
      const scale = side / Math.max(canvas.width, canvas.height);
      const width = canvas.width * scale, height = canvas.height * scale;
      context.drawImage(canvas, spot.x - width / 2, spot.y - height / 2, width, height);
      context.strokeStyle = this.hooks.colourOf(row);
      context.lineWidth = 1.5;
      context.strokeRect(spot.x - width / 2, spot.y - height / 2, width, height);
    }
  }

  /* The prior's 1, 2 and 3 sigma, where the map is a plane of the latent space: circles, or of a
     single axis the ends of intervals. */
  drawPrior(context) {
    const { plane } = this.points;
    if (!plane || plane.basis.length !== 2) return;
    const middle = plane.basis.map((row) => -row.reduce((sum, value, axis) => sum + value * plane.centre[axis], 0));
    const centre = this.pixel(middle);
    const unit = this.area.width / this.span();
    context.font = "600 12px sans-serif";
    context.globalAlpha = 0.85;
    const { line, area } = this;
    for (const radius of line ? [-3, -2, -1, 1, 2, 3] : [1, 2, 3]) {
      const across = line ? radius * unit : radius * unit * Math.SQRT1_2;
      const words = `${radius}σ`.replace("-", "−"), wide = context.measureText(words).width + 3;
      // Before its mark where it would not be seen whole behind it.
      const after = !line || centre.x + across + wide < area.x + area.width;
      const x = centre.x + across + (after ? 3 : -wide), y = line ? area.y + 14 : centre.y - across - 3;
      for (const [colour, width, dash] of [[this.ground, 3.5, []], [this.text, 1.5, [5, 4]]]) {
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.setLineDash(dash);
        context.beginPath();
        if (line) {
          context.moveTo(centre.x + across, area.y);
          context.lineTo(centre.x + across, area.y + area.height);
        } else context.arc(centre.x, centre.y, radius * unit, 0, 2 * Math.PI);
        context.stroke();
      }
      context.setLineDash([]);
      context.strokeStyle = this.ground;
      context.lineWidth = 3;
      context.strokeText(words, x, y);
      context.fillStyle = this.text;
      context.fillText(words, x, y);
    }
    context.globalAlpha = 1;
  }

  drawTrail(now) {
    if (!this.points || !this.flat || !this.range || !this.ratio) { this.trail.clear(); return; }
    const seen = { pixel: (place) => this.pixel(place), area: this.area, ratio: this.ratio, colour: this.text };
    // It fades by steps: sixty pictures a second of a fading line would cost more than the line.
    clearTimeout(this.trailTimer);
    const pause = this.trail.draw(now, seen);
    if (pause !== null) this.trailTimer = setTimeout(() => this.want("trail"), pause);
  }

  drawRing(context, place, radius) { this.drawRingAt(context, this.pixel(place), radius); }

  drawRingAt(context, spot, radius) {
    for (const [colour, width] of [[this.ground, 5], [this.text, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(spot.x, spot.y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  drawCross(context, place) {
    const spot = this.pixel(place);
    for (const [colour, width] of [[this.ground, 4], [this.text, 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(spot.x - 9, spot.y);
      context.lineTo(spot.x + 9, spot.y);
      context.moveTo(spot.x, spot.y - 9);
      context.lineTo(spot.x, spot.y + 9);
      context.stroke();
    }
  }

  /* What the keyboard has selected so far. */
  drawOutline(context) {
    if (!this.outline) return;
    const corners = this.outlineCorners().map((place) => this.pixel(place));
    context.strokeStyle = this.text;
    context.lineWidth = 1.5;
    context.setLineDash([4, 3]);
    context.beginPath();
    corners.forEach(({ x, y }, at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }

  glide() {
    const start = performance.now();
    const step = (now) => {
      if (this.layer.former === null || !this.root.isConnected) return;
      // A frame's time may lie before the call that started the glide.
      const share = Math.min(1, Math.max(0, (now - start) / GLIDE_MS));
      this.layer.glide = share * share * (3 - 2 * share);
      if (share === 1) {
        this.layer.endGlide();
        this.rest();
        return;
      }
      this.want("points");
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /* -- places and pixels -- */

  /* A place on the map in pixels of the map's own box. */
  pixel(place) {
    const { area, range } = this;
    const x = ((place[0] - range[0][0]) / (range[0][1] - range[0][0])) * area.width;
    const y = (1 - (place[1] - range[1][0]) / (range[1][1] - range[1][0])) * area.height;
    return { x: x + area.x, y: y + area.y, inside: x >= 0 && y >= 0 && x <= area.width && y <= area.height };
  }

  /* The spot of the map at a pixel of the page. */
  spotAt(clientX, clientY) {
    const box = this.box.getBoundingClientRect();
    const { area, range } = this;
    const x = (clientX - box.left - area.x) / area.width, y = (clientY - box.top - area.y) / area.height;
    if (!(x >= 0 && y >= 0 && x <= 1 && y <= 1)) return null;
    return [range[0][0] + x * (range[0][1] - range[0][0]), range[1][1] - y * (range[1][1] - range[1][0])];
  }

  placeOf(row) {
    const { dims, places } = this.points;
    return Array.from(places.subarray(dims * row, dims * (row + 1)));
  }

  put(element, place) {
    const shown = place && this.flat && this.range;
    const spot = shown ? this.pixel(place) : null;
    element.style.visibility = spot?.inside ? "visible" : "hidden";
    if (spot) element.style.transform = `translate(${spot.x}px, ${spot.y}px)`;
  }

  /* Where the pinned code lies; with a trail while a slider moves. */
  move(place, { trail = false } = {}) {
    if (this.dragging) return;
    this.place = place;
    this.put(this.marker, place);
    if (trail && !STILL.matches) {
      this.trail.add(place);
      this.want("trail");
    }
    if (!this.flat && this.points) this.solid.move();
  }

  /* -- pointer -- */

  listen() {
    const raw = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
    this.box.addEventListener(raw, (event) => this.pointerAt(event));
    this.box.addEventListener("pointerleave", () => this.pointerLeft());
    this.box.addEventListener("pointerdown", (event) => {
      this.pressedAt = event.button === 0 && !event.target.closest(".lab-marker, .lab-axes-choice") ? [event.clientX, event.clientY] : null;
    }, true);
    // Plotly ends its drags on a layer over the whole page; the window hears of it first.
    this.onUp = (event) => this.clicked(event);
    window.addEventListener("pointerup", this.onUp, true);
    this.marker.addEventListener("pointerdown", (event) => this.startDrag(event));
    this.marker.addEventListener(raw, (event) => this.drag(event));
    this.marker.addEventListener("pointerup", (event) => this.endDrag(event));
    this.marker.addEventListener("pointercancel", () => this.cancelDrag());
    // Over the marker the wheel zooms as it does beside it.
    this.marker.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.plot.querySelector(".nsewdrag")?.dispatchEvent(new WheelEvent("wheel", event));
    }, { passive: false });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => { if (this.cursor || this.keyed) this.pointerLeft(); });
  }

  pointerAt(event) {
    if (event.target.closest(".lab-axes-choice")) { this.pointerLeft(); return; }
    if (!this.points || !this.flat || !this.range || this.dragging || event.pointerType === "touch") {
      this.pointer = [event.clientX, event.clientY];
      if (this.keyed) this.unhover();
      return;
    }
    this.pointer = [event.clientX, event.clientY];
    if (event.buttons || this.moving) return;
    const spot = this.spotAt(event.clientX, event.clientY);
    if (!spot) { this.pointerLeft(); return; }
    this.cursor = null;
    this.look(spot);
  }

  /* The pointer, or the keyboard's cursor, is at a spot. */
  look(spot) {
    this.ghost = spot;
    this.hooks.onHover(spot);
    const unit = this.span() / this.area.width;
    const row = this.layer.grid?.nearest(spot, REACH * unit, this.hooks.shown);
    if (row === undefined) this.unhover();
    else if (row !== this.hovered) this.hover(row);
  }

  pointerLeft() {
    if (!this.ghost && this.hovered === undefined) return;
    this.ghost = this.cursor = null;
    this.unhover();
    this.hooks.onHover(null);
    this.want("over");
  }

  hover(row) {
    this.hovered = row;
    this.asked = undefined;
    this.card.hidden = true;
    this.want("over");
    clearTimeout(this.cardTimer);
    this.cardTimer = setTimeout(() => {
      if (this.hovered !== undefined) this.asked = this.hooks.askPicture(this.hovered);
    }, CARD_DELAY);
  }

  unhover() {
    if (this.hovered !== undefined) this.want("over");
    this.hovered = this.asked = undefined;
    this.keyed = null;
    clearTimeout(this.cardTimer);
    this.card.hidden = true;
  }

  showCard(answer) {
    if (answer.sequence !== this.asked || this.hovered === undefined || !this.points) return;
    const { card, hovered } = this;
    const [title, ...lines] = this.hooks.caption(hovered, answer);
    const heading = document.createElement("b");
    heading.textContent = title;
    card.querySelector("figcaption").replaceChildren(heading, ...lines.map((line) => {
      const words = document.createElement("span");
      words.textContent = line;
      return words;
    }));
    paint(card.querySelector("canvas"), answer.pixels, this.data.shape);
    card.hidden = false;
    const box = this.box.getBoundingClientRect();
    const spot = this.flat ? this.pixel(this.placeOf(hovered))
      : { x: this.pointer[0] - box.left, y: this.pointer[1] - box.top };
    const right = spot.x + 16 + card.offsetWidth <= box.width;
    const left = right ? spot.x + 16 : spot.x - 16 - card.offsetWidth;
    const most = box.height - card.offsetHeight - 4;
    card.style.left = `${Math.max(4, left)}px`;
    card.style.top = `${Math.min(Math.max(4, spot.y - card.offsetHeight / 2), most)}px`;
  }

  clicked(event) {
    const from = this.pressedAt;
    if (!from) return;
    this.pressedAt = null;
    const away = Math.hypot(event.clientX - from[0], event.clientY - from[1]);
    if (!this.points || away > CLICK_REACH) return;
    if (!this.flat) {
      if (this.hovered !== undefined && !this.keyed) this.hooks.onPick(this.hovered);
      return;
    }
    const spot = this.spotAt(event.clientX, event.clientY);
    if (!spot) return;
    const unit = this.span() / this.area.width;
    this.pinAt(spot, this.layer.grid?.nearest(spot, REACH * unit, this.hooks.shown));
  }

  pinAt(spot, row) {
    this.cursor = null;
    if (row === undefined) this.hooks.onSpot(spot);
    else this.hooks.onPick(row);
  }

  /* -- dragging the pinned marker -- */

  startDrag(event) {
    if (event.button !== 0 || !this.points || !this.flat) return;
    event.preventDefault();
    event.stopPropagation();
    this.marker.setPointerCapture(event.pointerId);
    this.dragging = { from: this.place };
    this.pointerLeft();
    this.box.focus({ preventScroll: true });
    this.hooks.onDrag(this.place, "start");
  }

  drag(event) {
    if (!this.dragging) return;
    event.stopPropagation();
    const under = this.spotAt(event.clientX, event.clientY);
    if (!under) return;
    const spot = this.onLine(under);
    this.place = spot;
    this.put(this.marker, spot);
    if (!STILL.matches) this.trail.add(spot);
    this.want("over", "trail");
    this.hooks.onDrag(spot, "move");
  }

  endDrag(event) {
    if (!this.dragging) return;
    event.stopPropagation();
    this.dragging = null;
    this.hooks.onDrag(this.place, "end");
  }

  cancelDrag() {
    if (!this.dragging) return false;
    this.place = this.dragging.from;
    this.dragging = null;
    this.put(this.marker, this.place);
    this.hooks.onDrag(this.place, "cancel");
    return true;
  }

  /* -- keyboard -- */

  key(event) {
    if (event.target !== this.box || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const letter = event.key.toLowerCase();
    if (event.key in steps) this.keyStep(steps[event.key], event);
    else if (event.key === "+" || event.key === "=") this.zoom(1 / 1.4);
    else if (event.key === "-") this.zoom(1.4);
    else if (event.key === "0") this.goHome();
    else if (event.key === "Enter") this.keyEnter();
    else if (event.key === " " && this.outline?.kind === "lasso") this.outline.corners.push(this.cursor);
    else if (letter === "b" && this.flat) this.startOutline("box");
    else if (letter === "l" && this.flat) this.startOutline("lasso");
    else if (event.key === "Escape") this.escape();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  keyStep([across, up], event) {
    if (!this.points) return;
    if (!this.flat) {
      if (event.altKey) this.solid.step(across, up);
      else this.solid.orbit(across, up);
      return;
    }
    const unit = (this.span() / this.area.width) * (event.shiftKey ? KEY_FINE : KEY_STEP);
    const looks = this.outline || event.altKey;
    const from = looks ? this.cursor ?? this.place : this.place;
    if (!from) return;
    const keep = (value, [low, high]) => Math.min(high, Math.max(low, value));
    const whole = this.range.map(([low, high], axis) =>
      [Math.min(low, this.home[axis][0]), Math.max(high, this.home[axis][1])]);
    const spot = [keep(from[0] + across * unit, whole[0]), keep(from[1] + up * unit, whole[1])];
    this.follow(spot);
    if (looks) {
      this.cursor = spot;
      this.want("over");
      if (!this.outline) this.look(spot);
      return;
    }
    this.cursor = null;
    const place = this.onLine(spot);
    this.place = place;
    this.put(this.marker, place);
    if (!STILL.matches) this.trail.add(place);
    this.want("over", "trail");
    this.hooks.onDrag(place, "key");
  }

  /* Moves a view that is zoomed in, so that a spot lies in it and not at its very edge. */
  follow(spot) {
    const moved = this.range.map(([low, high], axis) => {
      const room = 0.04 * (high - low);
      const home = this.home[axis];
      const under = Math.max(low - home[0], 0), over = Math.max(home[1] - high, 0);
      const back = Math.min(Math.max(low + room - spot[axis], 0), under);
      const on = Math.min(Math.max(spot[axis] - high + room, 0), over);
      return [low - back + on, high - back + on];
    });
    if (moved.some(([low], axis) => low !== this.range[axis][0])) this.setRange(moved);
  }

  keyEnter() {
    if (this.outline) {
      const corners = this.outlineCorners();
      const { kind } = this.outline;
      this.outline = this.cursor = null;
      this.want("over");
      this.selectWithin(corners.map(([x]) => x), corners.map(([, y]) => y), kind);
    } else if (!this.flat) {
      const row = this.hovered;
      this.unhover();
      if (row !== undefined) this.hooks.onPick(row);
    } else if (this.cursor) {
      const spot = this.cursor, row = this.hovered;
      this.pointerLeft();
      this.pinAt(spot, row);
    }
  }

  startOutline(kind) {
    if (!this.points) return;
    const middle = [0, 1].map((axis) => (this.range[axis][0] + this.range[axis][1]) / 2);
    const corner = Array.from(this.cursor ?? this.place ?? middle).slice(0, 2);
    this.pointerLeft();
    this.outline = { kind, corners: [corner] };
    this.cursor = corner;
    this.want("over");
  }

  outlineCorners() {
    const { kind, corners } = this.outline;
    if (kind === "lasso") return [...corners, this.cursor];
    const [from, to] = [corners[0], this.cursor];
    return [from, [to[0], from[1]], to, [from[0], to[1]]];
  }

  escape() {
    if (this.outline) this.outline = this.cursor = null;
    else if (this.cursor) this.pointerLeft();
    else if (this.keyed) this.unhover();
    else if (!this.cancelDrag()) this.hooks.onEscape();
    this.want("over");
  }

  zoom(factor) {
    if (!this.points) return;
    if (!this.flat) { this.solid.zoom(factor); return; }
    const scaled = this.range.map(([low, high]) => {
      const middle = (low + high) / 2, half = ((high - low) / 2) * factor;
      return [middle - half, middle + half];
    });
    this.setRange(scaled);
  }

  goHome() {
    if (!this.points) return;
    if (this.flat) this.setRange(this.home = this.homeRange());
    else this.solid.look(HOME_EYE);
  }

  setRange([x, y]) {
    this.Plotly.relayout(this.plot, { "xaxis.range": [...x], "yaxis.range": [...y] });
  }

  /* -- selection, by Plotly's own box and lasso -- */

  setTool(tool) {
    this.tool = tool;
    this.outline = null;
    if (this.Plotly && this.points && this.flat) this.Plotly.relayout(this.plot, { dragmode: tool });
  }

  selected(event) {
    if (!event || !this.points || !this.flat) return;
    const { lassoPoints, range } = event;
    if (lassoPoints) this.selectWithin(lassoPoints.x, lassoPoints.y, "lasso");
    else if (range) {
      const [left, right] = [...range.x].sort((a, b) => a - b), [low, high] = [...range.y].sort((a, b) => a - b);
      this.selectWithin([left, right, right, left], [low, low, high, high], "box");
    }
    // The points themselves show what is selected; an outline would lie about another view.
    if (this.plot.layout.selections?.length) this.Plotly.relayout(this.plot, { selections: [] });
  }

  selectWithin(across, up, kind) {
    const { places } = this.points;
    const rows = [];
    this.layer.grid.within(Math.min(...across), Math.max(...across), Math.min(...up), Math.max(...up), (row) => {
      if (this.hooks.shown(row) && insidePolygon(places[2 * row], places[2 * row + 1], across, up)) rows.push(row);
    });
    this.hooks.onSelect(Uint32Array.from(rows).sort(), kind);
  }

  destroy() {
    clearTimeout(this.cardTimer);
    clearTimeout(this.restTimer);
    this.solid.destroy();
    clearTimeout(this.trailTimer);
    cancelAnimationFrame(this.frame);
    window.removeEventListener("pointerup", this.onUp, true);
    this.resize.disconnect();
    this.layer.destroy();
    if (this.Plotly) this.Plotly.purge(this.plot);
  }
}
