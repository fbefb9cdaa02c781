/* What lies on and under the map at rest: the points' own pictures, and the decoder's of each spot. */

const MAP_IMAGE = 32;        // px a side of a picture on the map

class Dressing {
  constructor(lab) { this.lab = lab; }

  dress() {
    this.images();
    this.tiles();
  }

  /* Where one has zoomed in far enough, points become their images. */
  async images() {
    const { map, link } = this.lab;
    const asked = this.imagesAsked = Symbol("asked");
    const done = () => { if (asked === this.imagesAsked) this.lab.busy("images", false); };
    this.lab.busy("images", true);
    const zoomed = map.home && map.span() < 0.5 * (map.home[0][1] - map.home[0][0]);
    const { rows, total } = zoomed ? map.rowsInView(MOST_IMAGES) : { rows: [], total: 0 };
    if (!total || total > MOST_IMAGES) {
      if (map.images) { map.images = null; map.want("over"); }
      done();
      return;
    }
    const side = Math.min(46, Math.max(16, 0.62 * Math.sqrt((map.area.width * map.area.height) / total)));
    const known = map.images?.cache ?? new Map();
    const missing = rows.filter((row) => !known.has(row));
    try {
      if (missing.length) {
        const { list, shape } = await link.pictures(Uint32Array.from(missing), MAP_IMAGE);
        if (asked !== this.imagesAsked) return;
        missing.forEach((row, place) => known.set(row, picture(list[place], shape)));
      }
    } catch { return; } finally { done(); }
    map.images = { side, cache: known, list: rows.map((row) => ({ row, canvas: known.get(row) })) };
    map.want("over");
  }

  /* On a plane of the latent space, the decodings of a grid over the view. */
  async tiles() {
    const { map, link, plane, latents, data } = this.lab;
    const asked = this.tilesAsked = Symbol("asked");
    const drop = () => {
      this.lab.busy("tiles", false);
      if (map.tiles) { map.tiles = null; map.want("under"); }
    };
    if (!plane || !this.lab.tilesOn || plane.basis.length !== 2 || latents.length < 2) {
      drop();
      return;
    }
    this.lab.busy("tiles", true);
    const [height, width] = data.shape;
    const unit = Math.max(30, Math.min(64, 1.4 * Math.max(height, width)));
    const columns = Math.max(2, Math.min(20, Math.round(map.area.width / unit)));
    const lines = Math.max(2, Math.min(20, Math.round(map.area.height / unit)));
    const { left, right, low, high } = map.viewBox();
    const stepX = (right - left) / columns, stepY = (high - low) / lines;
    const size = latents.length, codes = new Float32Array(columns * lines * size), boxes = [];
    for (let line = 0; line < lines; line += 1) {
      for (let column = 0; column < columns; column += 1) {
        const x = left + column * stepX, y = high - line * stepY;
        codes.set(this.lab.codeOnPlane([x + stepX / 2, y - stepY / 2]), boxes.length * size);
        boxes.push({ left: x, right: x + stepX, high: y, low: y - stepY });
      }
    }
    // Those of the former code or view would be wrong by now.
    if (!codes.every((value) => Math.abs(value) <= LARGEST_LATENT)) { drop(); return; }
    try {
      const { list, shape } = await link.pictures(codes, MAP_IMAGE);
      if (asked !== this.tilesAsked) return;
      map.tiles = boxes.map((box, place) => ({ box, canvas: map.inked(list[place], shape) }));
      map.want("under");
      this.lab.busy("tiles", false);
    } catch { if (asked === this.tilesAsked) drop(); }
  }
}
