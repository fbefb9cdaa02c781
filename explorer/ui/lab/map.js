/* The map: Plotly's points, and an overlay of what moves live above them. */

const CARD_DELAY = 125;      // ms a pointer rests on a point before its picture is asked for

/* Pixels, H x W x C, onto a canvas. */
function paint(canvas, pixels, [height, width, channels]) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const out = image.data;
  for (let from = 0, to = 0; to < out.length; to += 4, from += channels) {
    out[to] = pixels[from];
    out[to + 1] = pixels[channels === 3 ? from + 1 : from];
    out[to + 2] = pixels[channels === 3 ? from + 2 : from];
    out[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

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

function hasWebGL() {
  try {
    return !!document.createElement("canvas").getContext("webgl");
  } catch { return false; }
}

/* Plotly reads a little HTML in names. */
function legendName(name) {
  const short = name.length > 24 ? `${name.slice(0, 23)}…` : name;
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

class LatentMap {
  /* hooks: onPick(code), askPicture(row) -> sequence number of the request */
  constructor(root, hooks) {
    this.root = root;
    this.hooks = hooks;
    this.find = (selector) => root.querySelector(selector);
    this.plot = this.find(".lab-plot");
    this.marker = this.find(".lab-marker");
    this.ring = this.find(".lab-ring");
    this.card = this.find(".lab-card");
    this.corner = [0, 0];
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.plot);
  }

  /* Forget the model before: its points can be seen until the new ones are painted, no more. */
  clear(data) {
    this.data = data;
    this.points = null;
    this.place = null;
    this.unhover();
    this.marker.style.visibility = "hidden";
    this.find(".lab-map-note").textContent = data.note;
  }

  async draw() {
    const { data } = this;
    const [Plotly, points] = await Promise.all([
      loadPlotly(data.plotly), this.fetchPoints(data),
    ]).catch((error) => { this.showError(error); return []; });
    // Another model may have been picked while these were on their way.
    if (!points || this.data.tag !== data.tag || !this.root.isConnected) return;
    this.Plotly = Plotly;
    this.points = points;
    await Plotly.react(this.plot, this.traces(), this.layout(), {
      displaylogo: false, responsive: false, scrollZoom: true,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    });
    if (!this.plot.dataset.bound) {
      this.plot.dataset.bound = "yes";
      this.plot.on("plotly_click", (event) => this.pick(event.points[0].customdata));
      this.plot.on("plotly_hover", (event) => this.hover(event.points[0].customdata));
      this.plot.on("plotly_unhover", () => this.unhover());
      this.plot.on("plotly_relayouting", () => this.mark());
      this.plot.on("plotly_afterplot", () => this.mark());
    }
    this.fit();
    this.root.dataset.map = data.name;
  }

  showError(error) {
    this.find(".lab-map-note").textContent = `The map could not be drawn: ${error.message}`;
    if (this.Plotly && this.plot._fullLayout) this.Plotly.react(this.plot, [], this.layout());
  }

  /* See OpenedModel.points for the format. */
  async fetchPoints(data) {
    const response = await fetch(`${data.base}/points/${encodeURIComponent(data.name)}`, {
      headers: { "X-Explorer-Token": data.token },
    });
    if (!response.ok) throw new Error(await response.text());
    const buffer = await response.arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    const header = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
    const { count, latent_dim: latentDim } = JSON.parse(header);
    let offset = 4 + length;
    const take = (Kind, size) => {
      const array = new Kind(buffer, offset, size);
      offset += 4 * size;
      return array;
    };
    return {
      count, latentDim,
      places: take(Float32Array, 2 * count),
      codes: take(Float32Array, latentDim * count),
      labels: take(Int32Array, count),
      index: take(Int32Array, count),
    };
  }

  traces() {
    const { points, data } = this;
    const groups = data.classes.length ? data.classes : ["held-out images"];
    const type = hasWebGL() ? "scattergl" : "scatter";
    const size = points.count > 3000 ? 4 : points.count > 800 ? 6 : 8;
    return groups.map((name, group) => {
      const rows = [];
      for (let row = 0; row < points.count; row += 1) {
        if (!data.classes.length || points.labels[row] === group) rows.push(row);
      }
      return {
        type, mode: "markers", name: legendName(name),
        x: Float32Array.from(rows, (row) => points.places[2 * row]),
        y: Float32Array.from(rows, (row) => points.places[2 * row + 1]),
        customdata: rows,
        hoverinfo: "none",
        showlegend: data.classes.length > 0,
        marker: { size, opacity: 0.8, color: data.colours[group % data.colours.length] },
      };
    }).filter((trace) => trace.customdata.length);
  }

  layout() {
    const style = getComputedStyle(this.root);
    const text = style.getPropertyValue("--st-text-color").trim() || "#222";
    const ground = style.getPropertyValue("--st-background-color").trim() || "#fff";
    const { data } = this;
    const narrow = this.root.clientWidth < 700;
    const axis = (title) => ({
      title: data.exact ? { text: title, standoff: 4 } : undefined,
      showticklabels: data.exact, zeroline: data.exact, zerolinecolor: "rgba(128,128,128,0.45)",
      gridcolor: "rgba(128,128,128,0.18)", showgrid: data.exact, color: text,
      automargin: data.exact,
    });
    return {
      paper_bgcolor: ground, plot_bgcolor: ground,
      font: { color: text, family: style.fontFamily, size: 12 },
      margin: { l: data.exact ? 36 : 8, r: 8, t: 30, b: data.exact ? 32 : 8 },
      xaxis: axis("z1"),
      yaxis: { ...axis(data.axes.length > 1 ? "z2" : ""), scaleanchor: "x" },
      dragmode: "pan", hovermode: "closest", uirevision: data.name + data.tag,
      legend: narrow
        ? { orientation: "h", y: -0.02, yanchor: "top", itemsizing: "constant" }
        : { itemsizing: "constant", bgcolor: "rgba(0,0,0,0)", font: { size: 12 } },
      showlegend: true,
    };
  }

  /* After the page's theme changed. */
  theme() {
    if (!this.Plotly || !this.plot._fullLayout) return;
    const text = getComputedStyle(this.root).getPropertyValue("--st-text-color");
    if (this.themed === text) return;
    this.themed = text;
    this.Plotly.relayout(this.plot, this.layout());
  }

  fit() {
    // Kept, since reading it while a slider moves makes the browser lay out the page.
    this.corner = [this.plot.offsetLeft + this.plot.clientLeft, this.plot.offsetTop + this.plot.clientTop];
    if (this.Plotly && this.plot._fullLayout && this.plot.clientWidth) {
      this.Plotly.Plots.resize(this.plot);
    }
  }

  /* A place on the map in pixels of the map's own box. */
  pixel(place) {
    const layout = this.plot._fullLayout;
    if (!layout || !layout.xaxis || !place) return null;
    const { xaxis, yaxis } = layout;
    const x = xaxis.l2p(place[0]), y = yaxis.l2p(place[1]);
    return {
      x: x + xaxis._offset + this.corner[0],
      y: y + yaxis._offset + this.corner[1],
      inside: x >= 0 && y >= 0 && x <= xaxis._length && y <= yaxis._length,
    };
  }

  put(element, place) {
    const spot = this.pixel(place);
    element.style.visibility = spot && spot.inside ? "visible" : "hidden";
    if (spot) element.style.transform = `translate(${spot.x}px, ${spot.y}px)`;
  }

  /* Where the sliders' code lies. */
  move(place) {
    this.place = place;
    this.mark();
  }

  mark() {
    this.put(this.marker, this.place);
    if (this.points && this.hovered !== undefined) this.put(this.ring, this.placeOf(this.hovered));
  }

  placeOf(row) { return [this.points.places[2 * row], this.points.places[2 * row + 1]]; }

  pick(row) {
    if (!this.points) return;
    const { codes, latentDim } = this.points;
    this.hooks.onPick(codes.slice(row * latentDim, (row + 1) * latentDim));
  }

  hover(row) {
    if (!this.points) return;
    this.hovered = row;
    this.put(this.ring, this.placeOf(row));
    clearTimeout(this.cardTimer);
    this.cardTimer = setTimeout(() => {
      if (this.hovered !== undefined) this.asked = this.hooks.askPicture(this.hovered);
    }, CARD_DELAY);
  }

  unhover() {
    this.hovered = this.asked = undefined;
    clearTimeout(this.cardTimer);
    this.card.hidden = true;
    this.ring.style.visibility = "hidden";
  }

  showCard(answer) {
    if (answer.sequence !== this.asked || this.hovered === undefined || !this.points) return;
    const { card, points, data, hovered } = this;
    const label = points.labels[hovered], index = points.index[hovered];
    const title = document.createElement("b"), kind = document.createElement("span");
    title.textContent = label >= 0 ? data.classes[label] : `Image ${index}`;
    kind.textContent = answer.real
      ? `held-out image ${index}`
      : `reconstruction of image ${index}: the images are not at hand`;
    card.querySelector("figcaption").replaceChildren(title, kind);
    paint(card.querySelector("canvas"), answer.pixels, data.shape);
    card.hidden = false;
    const spot = this.pixel(this.placeOf(hovered));
    const box = this.find(".lab-map");
    const right = spot.x + 16 + card.offsetWidth <= box.clientWidth;
    const left = right ? spot.x + 16 : spot.x - 16 - card.offsetWidth;
    const most = box.clientHeight - card.offsetHeight - 4;
    card.style.left = `${Math.max(4, left)}px`;
    card.style.top = `${Math.min(Math.max(4, spot.y - card.offsetHeight / 2), most)}px`;
  }

  destroy() {
    clearTimeout(this.cardTimer);
    this.resize.disconnect();
    if (this.Plotly) this.Plotly.purge(this.plot);
  }
}
