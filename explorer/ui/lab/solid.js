/* The map in three dimensions, which Plotly draws. */

const SOLID_POINTS = 12_000;    // points drawn in three dimensions
const HOME_EYE = { x: 1.25, y: 1.25, z: 1.25 };

class SolidView {
  constructor(map) { this.map = map; }

  traces() {
    const { points, hooks, text, find } = this.map;
    const { places, count } = points;
    const every = shuffled(count).subarray(0, SOLID_POINTS * 2);
    const rows = [];
    for (const row of every) if (rows.length < SOLID_POINTS && hooks.shown(row)) rows.push(row);
    const column = (axis) => Float32Array.from(rows, (row) => places[3 * row + axis]);
    find(".lab-shown").textContent = count > SOLID_POINTS
      ? `${rows.length.toLocaleString("en")} of ${count.toLocaleString("en")} points are drawn in three dimensions.` : "";
    return [
      {
        type: "scatter3d", mode: "markers", x: column(0), y: column(1), z: column(2), customdata: rows,
        hoverinfo: "none", marker: { size: 2.5, opacity: 0.85, line: { width: 0 }, color: rows.map((row) => hooks.colourOf(row)) },
      },
      {
        type: "scatter3d", mode: "markers", ...this.pin(), customdata: [-1], hoverinfo: "none",
        marker: { size: 9, color: "rgba(0,0,0,0)", symbol: "circle-open", line: { width: 3, color: text }, opacity: 1 },
      },
    ];
  }

  pin() {
    const place = this.map.place?.length === 3 ? this.map.place : null;
    return { x: [place?.[0] ?? null], y: [place?.[1] ?? null], z: [place?.[2] ?? null] };
  }

  /* The pin follows the code, no more often than Plotly can draw. */
  move() {
    const { map } = this;
    if (this.timer || !map.Plotly) return;
    map.hooks.onBusy("solid", true);
    this.timer = setTimeout(async () => {
      this.timer = null;
      if (!map.flat && map.points && map.plot.data?.length === 2) {
        const { x, y, z } = this.pin();
        await map.Plotly.restyle(map.plot, { x: [x], y: [y], z: [z] }, [1]);
      }
      map.hooks.onBusy("solid", !!this.timer);
    }, 80);
  }

  /* Where places are seen, in pixels of the map's box; what lies behind the eye is not. */
  lens() {
    const scene = this.map.plot._fullLayout.scene?._scene;
    if (!scene?.glplot?.cameraParams) return null;
    const { model, view, projection } = scene.glplot.cameraParams;
    const frame = scene.container.getBoundingClientRect(), box = this.map.box.getBoundingClientRect();
    const turn = (matrix, [x, y, z, w]) => [0, 1, 2, 3].map((row) =>
      matrix[row] * x + matrix[4 + row] * y + matrix[8 + row] * z + matrix[12 + row] * w);
    return (place) => {
      const scaled = [0, 1, 2].map((axis) => place[axis] * scene.dataScale[axis]);
      const [x, y, , depth] = turn(projection, turn(view, turn(model, [...scaled, 1])));
      if (depth <= 0) return null;
      return {
        x: frame.left - box.left + (0.5 + 0.5 * x / depth) * frame.width,
        y: frame.top - box.top + (0.5 - 0.5 * y / depth) * frame.height,
      };
    };
  }

  /* Looks at the point that is nearest in a direction, from the one looked at or else the pin. */
  step(across, up) {
    const { map } = this;
    const lens = this.lens();
    const place = map.hovered !== undefined ? map.placeOf(map.hovered) : map.place;
    const from = lens && place?.length === 3 ? lens(place) : null;
    if (!from) return;
    let best, least = Infinity;
    for (const row of map.plot.data[0].customdata) {
      const spot = row === map.hovered ? null : lens(map.placeOf(row));
      if (!spot) continue;
      const x = spot.x - from.x, y = from.y - spot.y;
      const ahead = x * across + y * up, aside = Math.abs(x * up) + Math.abs(y * across);
      // Within 45 degrees of the arrow, and not the very pixel it stands on.
      if (ahead < 2 || aside > ahead) continue;
      const away = ahead + 2 * aside;
      if (away < least) [best, least] = [row, away];
    }
    if (best === undefined) return;
    const spot = lens(map.placeOf(best)), box = map.box.getBoundingClientRect();
    map.pointer = [box.left + spot.x, box.top + spot.y];
    map.keyed = spot;
    map.hover(best);
  }

  /* Where it is seen from: of the drawing itself, as Plotly's layout misses some turns. */
  eye() { return { ...(this.map.plot._fullLayout.scene?._scene?.getCamera().eye ?? HOME_EYE) }; }

  look(eye) { this.map.Plotly.relayout(this.map.plot, { "scene.camera.eye": { ...eye } }); }

  orbit(across, up) {
    this.map.unhover();
    const eye = this.eye(), angle = across * 0.15;
    this.look({
      x: eye.x * Math.cos(angle) - eye.y * Math.sin(angle),
      y: eye.x * Math.sin(angle) + eye.y * Math.cos(angle),
      z: eye.z + 0.15 * up,
    });
  }

  zoom(factor) {
    this.map.unhover();
    const { x, y, z } = this.eye();
    this.look({ x: x * factor, y: y * factor, z: z * factor });
  }

  destroy() { clearTimeout(this.timer); }
}
