/* The points of a map: drawn with WebGL, or on a plain canvas where there is none; found by a grid.

   Places are data of the map, (N, 2). Points are drawn in a shuffled order, so that the first of them
   are a fair sample of all: that is what is drawn while the view moves. */

const MOST_DRAWN = 150_000;     // at rest; beyond that the density stands for the rest
const FIRST_BUDGET = 40_000, LEAST_BUDGET = 4_000;    // while the view moves
const SLOW_FRAME = 55, QUICK_FRAME = 30;              // ms
const PLAIN_DRAWN = 20_000, PLAIN_BUDGET = 4_000;     // without WebGL

const VERTEX = `
attribute vec2 place, before;
attribute vec4 colour;
uniform vec4 view, former;   // scale x, scale y, shift x, shift y: data to clip space
uniform float size, glide;
varying vec4 paint;
void main() {
  vec2 spot = place * view.xy + view.zw;
  if (glide < 1.0) spot = mix(before * former.xy + former.zw, spot, glide);
  gl_Position = vec4(spot, 0.0, 1.0);
  if (colour.a == 0.0) gl_Position = vec4(2.0, 2.0, 0.0, 1.0);
  gl_PointSize = size;
  paint = colour;
}`;
const FRAGMENT = `
precision highp float;
uniform float size;
varying vec4 paint;
void main() {
  float away = length(gl_PointCoord - 0.5) * size;
  float cover = clamp(0.5 * size - away + 0.5, 0.0, 1.0);
  gl_FragColor = vec4(paint.rgb, 1.0) * (paint.a * cover);
}`;

/* A generator of its own, so that every browser shuffles alike. */
function shuffled(count) {
  const order = new Uint32Array(count);
  let state = 0x9e3779b9;
  for (let at = 0; at < count; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 4294967296) * (at + 1));
    order[at] = order[other];
    order[other] = at;
  }
  return order;
}

/* Which points lie near a spot: rows sorted into the cells of a grid over the places. */
class PlaceGrid {
  constructor(places, count) {
    this.places = places;
    this.count = count;
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let row = 0; row < count; row += 1) {
      const x = places[2 * row], y = places[2 * row + 1];
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < low) low = y;
      if (y > high) high = y;
    }
    this.bounds = { left, right, low, high };
    this.side = Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(count / 4))));
    this.width = (right - left) / this.side || 1;
    this.height = (high - low) / this.side || 1;
    this.starts = new Uint32Array(this.side * this.side + 1);
    const cells = new Uint32Array(count);
    for (let row = 0; row < count; row += 1) {
      cells[row] = this.cell(places[2 * row], places[2 * row + 1]);
      this.starts[cells[row] + 1] += 1;
    }
    for (let cell = 0; cell < this.starts.length - 1; cell += 1) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.rows = new Uint32Array(count);
    for (let row = 0; row < count; row += 1) this.rows[next[cells[row]]++] = row;
  }

  column(x) { return Math.min(this.side - 1, Math.max(0, Math.floor((x - this.bounds.left) / this.width))); }

  line(y) { return Math.min(this.side - 1, Math.max(0, Math.floor((y - this.bounds.low) / this.height))); }

  cell(x, y) { return this.line(y) * this.side + this.column(x); }

  /* Calls for every row in the cells that a box touches. */
  within(left, right, low, high, call) {
    const { bounds } = this;
    if (right < bounds.left || left > bounds.right || high < bounds.low || low > bounds.high) return;
    const first = this.column(left), last = this.column(right);
    for (let line = this.line(low); line <= this.line(high); line += 1) {
      const from = this.starts[line * this.side + first], to = this.starts[line * this.side + last + 1];
      for (let at = from; at < to; at += 1) call(this.rows[at]);
    }
  }

  /* The row nearest to a spot within this reach (data), or undefined. */
  nearest([x, y], reach, shown) {
    let best, most = reach * reach;
    this.within(x - reach, x + reach, y - reach, y + reach, (row) => {
      if (shown && !shown(row)) return;
      const across = this.places[2 * row] - x, up = this.places[2 * row + 1] - y;
      const away = across * across + up * up;
      if (away <= most) { most = away; best = row; }
    });
    return best;
  }
}

class PointLayer {
  constructor(canvas) {
    this.canvas = canvas;
    this.budget = FIRST_BUDGET;
    this.glide = 1;
    this.count = 0;
    this.start();
    // A browser may take the drawing context away, and give it back.
    canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.lost = true; });
    canvas.addEventListener("webglcontextrestored", () => {
      this.lost = false;
      this.start();
      if (this.places) this.upload();
      this.draw();
    });
  }

  start() {
    const options = { alpha: true, antialias: false, premultipliedAlpha: true };
    this.gl = this.canvas.getContext("webgl2", options);
    if (!this.gl) {
      this.plain = this.canvas.getContext("2d");
      return;
    }
    const { gl } = this;
    const shader = (kind, source) => {
      const made = gl.createShader(kind);
      gl.shaderSource(made, source);
      gl.compileShader(made);
      return made;
    };
    const program = this.program = gl.createProgram();
    gl.attachShader(program, shader(gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, shader(gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = {};
    for (const name of ["place", "before", "colour"]) this.at[name] = gl.getAttribLocation(program, name);
    for (const name of ["view", "former", "size", "glide"]) this.at[name] = gl.getUniformLocation(program, name);
    this.buffers = { place: gl.createBuffer(), before: gl.createBuffer(), colour: gl.createBuffer(), chosen: gl.createBuffer() };
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /* places (N, 2) of the map, or null for none. */
  setPlaces(places, count) {
    this.places = places;
    if (count !== this.count) {
      this.count = count;
      this.order = shuffled(count);
      this.colours = new Uint8Array(4 * count);
      this.former = null;
    }
    this.grid = count ? new PlaceGrid(places, count) : null;
    this.chosen = null;
    if (this.gl && count) this.upload();
  }

  upload() {
    const { gl, order, places, count } = this;
    const sorted = new Float32Array(2 * count);
    for (let at = 0; at < count; at += 1) {
      sorted[2 * at] = places[2 * order[at]];
      sorted[2 * at + 1] = places[2 * order[at] + 1];
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.place);
    gl.bufferData(gl.ARRAY_BUFFER, sorted, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.before);
    gl.bufferData(gl.ARRAY_BUFFER, this.former ?? new Float32Array(2), gl.STATIC_DRAW);
    this.sorted = count <= MOST_DRAWN ? sorted : null;
    this.uploadColours();
  }

  /* paint(row, out, at): writes four bytes, alpha 0 hides. */
  setColours(paint) {
    const { order, colours, count } = this;
    for (let at = 0; at < count; at += 1) paint(order[at], colours, 4 * at);
    if (this.gl) this.uploadColours();
  }

  uploadColours() {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.colour);
    gl.bufferData(gl.ARRAY_BUFFER, this.colours, gl.DYNAMIC_DRAW);
  }

  /* Before other places are set: these are where the points glide from. */
  keepFormer(transform) {
    if (!this.sorted || !this.gl) return;
    this.former = this.sorted;
    this.formerTransform = transform;
    this.glide = 0;
  }

  endGlide() {
    this.glide = 1;
    this.former = null;
  }

  /* The points in a box of the map are to be drawn; the others only as far as the rest allows.
     shown(row): whether its class is shown; what is hidden is neither drawn nor counted. */
  choose(box, shown) {
    this.chosen = null;
    if (!this.gl) {
      const many = this.order.reduce((sum, row) => sum + shown(row), 0);
      return { drawn: Math.min(many, PLAIN_DRAWN), inside: many };
    }
    if (this.count <= MOST_DRAWN) return { drawn: this.count, inside: this.count };
    const inside = [];
    let total = 0;
    const { left, right, low, high } = box;
    this.rank ??= this.ranks();
    this.grid.within(left, right, low, high, (row) => {
      if (!shown(row) || !this.inBox(row, box)) return;
      total += 1;
      if (total <= MOST_DRAWN) inside.push(this.rank[row]);
    });
    // In the shuffled order, so that the first of them are a fair sample too.
    if (total <= MOST_DRAWN) this.drawOnly(Uint32Array.from(inside).sort());
    else this.drawOnly(this.firstShown(shown));
    return { drawn: this.chosen.reduce((sum, rank) => sum + this.inBox(this.order[rank], box), 0), inside: total };
  }

  inBox(row, { left, right, low, high }) {
    const x = this.places[2 * row], y = this.places[2 * row + 1];
    return x >= left && x <= right && y >= low && y <= high;
  }

  /* As many of all the points as may be drawn. */
  firstShown(shown) {
    const found = new Uint32Array(MOST_DRAWN);
    let many = 0;
    for (let rank = 0; rank < this.count && many < MOST_DRAWN; rank += 1) {
      if (shown(this.order[rank])) { found[many] = rank; many += 1; }
    }
    return found.subarray(0, many);
  }

  drawOnly(ranks) {
    this.chosen = ranks;
    const { gl } = this;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.chosen);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, ranks, gl.DYNAMIC_DRAW);
  }

  ranks() {
    const rank = new Uint32Array(this.count);
    for (let at = 0; at < this.count; at += 1) rank[this.order[at]] = at;
    return rank;
  }

  /* transform: [scale x, scale y, shift x, shift y], data to clip space of the plot's box (pixels). */
  look(transform, box, size, ratio) {
    Object.assign(this, { transform, box, size, ratio });
  }

  /* How many are drawn while the view moves follows the time that a frame takes. */
  pace(milliseconds) {
    if (milliseconds > SLOW_FRAME) this.budget = Math.max(LEAST_BUDGET, this.budget * 0.6);
    else if (milliseconds < QUICK_FRAME) this.budget = Math.min(MOST_DRAWN, this.budget * 1.15);
  }

  /* Where there is nothing to draw, the canvas is left empty: what was drawn before must go. */
  draw(moving = false) {
    if (this.lost) return;
    this.clear();
    if (!this.count || !this.transform) return;
    if (!this.gl) { this.drawPlain(moving); return; }
    const { gl, at, box, canvas, ratio } = this;
    const bottom = canvas.height - (box.y + box.height) * ratio;
    gl.viewport(box.x * ratio, bottom, box.width * ratio, box.height * ratio);
    const bind = (name, size, kind, normal) => {
      if (at[name] < 0) return;
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.enableVertexAttribArray(at[name]);
      gl.vertexAttribPointer(at[name], size, kind, normal, 0, 0);
    };
    bind("place", 2, gl.FLOAT, false);
    bind("colour", 4, gl.UNSIGNED_BYTE, true);
    if (this.glide < 1 && this.former) {
      bind("before", 2, gl.FLOAT, false);
    } else if (at.before >= 0) {
      gl.disableVertexAttribArray(at.before);
      gl.vertexAttrib2f(at.before, 0, 0);
    }
    gl.uniform4fv(at.view, this.transform);
    gl.uniform4fv(at.former, this.formerTransform ?? this.transform);
    gl.uniform1f(at.glide, this.former ? this.glide : 1);
    gl.uniform1f(at.size, this.size * ratio);
    const most = moving ? Math.floor(this.budget) : MOST_DRAWN;
    if (this.chosen) {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.chosen);
      gl.drawElements(gl.POINTS, Math.min(this.chosen.length, most), gl.UNSIGNED_INT, 0);
    } else {
      gl.drawArrays(gl.POINTS, 0, Math.min(this.count, most));
    }
  }

  clear() {
    const { gl, plain, canvas } = this;
    if (!gl) {
      plain.setTransform(1, 0, 0, 1, 0, 0);
      plain.clearRect(0, 0, canvas.width, canvas.height);
      return;
    }
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  drawPlain(moving) {
    const { plain, box, transform, order, places, colours, ratio, count } = this;
    let left = moving ? PLAIN_BUDGET : PLAIN_DRAWN;
    const side = this.size * ratio;
    for (let at = 0; at < count && left; at += 1) {
      const row = order[at], alpha = colours[4 * at + 3];
      if (!alpha) continue;
      left -= 1;
      const x = (places[2 * row] * transform[0] + transform[2] + 1) / 2;
      const y = (1 - places[2 * row + 1] * transform[1] - transform[3]) / 2;
      if (x < 0 || y < 0 || x > 1 || y > 1) continue;
      plain.fillStyle = `rgba(${colours[4 * at]},${colours[4 * at + 1]},${colours[4 * at + 2]},${alpha / 255})`;
      plain.fillRect((box.x + x * box.width) * ratio - side / 2, (box.y + y * box.height) * ratio - side / 2, side, side);
    }
  }

  /* How the points lie in a box, as a picture of `side` x `side` shares of the fullest cell. */
  density(box, side, shown) {
    const cells = new Float32Array(side * side);
    const across = side / (box.right - box.left), up = side / (box.high - box.low);
    let inside = 0;
    const { places, count } = this;
    for (let row = 0; row < count; row += 1) {
      const x = Math.floor((places[2 * row] - box.left) * across);
      const y = Math.floor((box.high - places[2 * row + 1]) * up);
      if (x < 0 || y < 0 || x >= side || y >= side || !shown(row)) continue;
      cells[y * side + x] += 1;
      inside += 1;
    }
    blur(cells, side, 2);
    blur(cells, side, 2);
    return { cells, inside };
  }

  destroy() {
    if (!this.gl) return;
    for (const buffer of Object.values(this.buffers)) this.gl.deleteBuffer(buffer);
    // Browsers allow a page few contexts; a page left behind must not hold one.
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/* A box blur along both axes, in place. */
function blur(cells, side, radius) {
  const line = new Float32Array(side);
  for (const [step, stride] of [[1, side], [side, 1]]) {
    for (let row = 0; row < side; row += 1) {
      const start = row * stride;
      let sum = 0;
      for (let at = -radius; at < side; at += 1) {
        const enters = at + radius, leaves = at - radius - 1;
        if (enters < side) sum += cells[start + enters * step];
        if (leaves >= 0) sum -= line[leaves];
        if (at >= 0) line[at] = cells[start + at * step];
        if (at >= 0) cells[start + at * step] = sum / (2 * radius + 1);
        // The line keeps what the cells held, since the window still needs it.
      }
    }
  }
}
