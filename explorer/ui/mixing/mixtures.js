/* How codes are mixed: the same as explorer/latent/corners.py, which says where it comes from. */

const NO_MEAN = 1e-6, ROUNDS = 60, SETTLED_STEP = 1e-10, ON_EDGE = 1e-9;

const dot = (one, other) => one.reduce((sum, value, at) => sum + value * other[at], 0);
const norm = (vector) => Math.sqrt(dot(vector, vector));
const cross = ([a, b], [c, d]) => a * d - b * c;
const minus = (one, other) => one.map((value, at) => value - other[at]);

/* Where the corners lie in the unit square, y up. */
function cornerPlaces(count) {
  if (count === 2) return [[0, 0.5], [1, 0.5]];
  if (count === 4) return [[0, 0], [1, 0], [1, 1], [0, 1]];
  return Array.from({ length: count }, (_, at) => {
    const angle = Math.PI / 2 - (2 * Math.PI * at) / count;
    return [0.5 + 0.5 * Math.cos(angle), 0.5 + 0.5 * Math.sin(angle)];
  });
}

/* The nearest place within the corners' polygon. */
function moveInside(corners, [x, y]) {
  const within = (value) => Math.min(1, Math.max(0, value));
  if (corners.length === 2) return [within(x), 0.5];
  if (corners.length === 4) return [within(x), within(y)];
  const edges = corners.map((corner, at) => minus(corners[(at + 1) % corners.length], corner));
  if (edges.every((edge, at) => cross(edge, minus([x, y], corners[at])) <= 0)) return [x, y];
  let best = null, least = Infinity;
  edges.forEach((edge, at) => {
    const share = within(dot(minus([x, y], corners[at]), edge) / dot(edge, edge));
    const spot = [corners[at][0] + share * edge[0], corners[at][1] + share * edge[1]];
    const away = Math.hypot(spot[0] - x, spot[1] - y);
    if (away < least) { least = away; best = spot; }
  });
  return best;
}

/* How much of each corner there is at a spot. */
function cornerWeights(count, spot) {
  const corners = cornerPlaces(count), [x, y] = moveInside(corners, spot);
  if (count === 2) return [1 - x, x];
  if (count === 4) return [(1 - x) * (1 - y), x * (1 - y), x * y, (1 - x) * y];
  const next = (at) => (at + 1) % count, before = (at) => (at + count - 1) % count;
  const edges = corners.map((corner, at) => {
    const area = Math.abs(cross(minus(corner, [x, y]), minus(corners[next(at)], [x, y])));
    return area < ON_EDGE ? 0 : area;
  });
  const weights = corners.map((corner, at) => {
    const around = Math.abs(cross(minus(corner, corners[before(at)]), minus(corners[next(at)], corner)));
    return edges.reduce((product, edge, other) => (other === at || other === before(at) ? product : product * edge), around);
  });
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/* Along the path, from 0 to the number of legs. */
function pathWeights(count, along, legs) {
  const leg = Math.min(legs - 1, Math.floor(along)), share = along - leg;
  const weights = new Array(count).fill(0);
  weights[leg] += 1 - share;
  weights[(leg + 1) % count] += share;
  return weights;
}

/* What weights become when mixtures move along arcs about the origin. */
function arcWeights(codes, shares) {
  const norms = codes.map(norm);
  if (norms.some((length) => !length)) return shares;
  const units = codes.map((code, at) => Array.from(code, (value) => value / norms[at]));
  const mix = (weights, vectors) => vectors[0].map((_, axis) => weights.reduce((sum, weight, at) => sum + weight * vectors[at][axis], 0));
  let mean = mix(shares, units);
  const length = norm(mean);
  if (length < NO_MEAN) return shares;
  mean = mean.map((value) => value / length);
  const angles = () => units.map((unit) => {
    const angle = 2 * Math.atan2(norm(minus(unit, mean)), norm(unit.map((value, axis) => value + mean[axis])));
    return [Math.cos(angle), angle < NO_MEAN ? 1 : angle / Math.max(Math.sin(angle), NO_MEAN)];
  });
  for (let round = 0; round < ROUNDS; round += 1) {
    const seen = angles();
    const step = mix(shares.map((share, at) => share * seen[at][1]), units.map((unit, at) => unit.map((value, axis) => value - seen[at][0] * mean[axis])));
    const size = norm(step);
    if (size < SETTLED_STEP) break;
    mean = mean.map((value, axis) => Math.cos(size) * value + (Math.sin(size) * step[axis]) / size);
    const whole = norm(mean);
    mean = mean.map((value) => value / whole);
  }
  const seen = angles();
  const whole = shares.reduce((sum, share, at) => sum + share * seen[at][1] * seen[at][0], 0);
  return whole > NO_MEAN ? shares.map((share, at) => (share * seen[at][1]) / whole) : shares;
}

function blend(codes, weights) {
  return Float32Array.from(codes[0], (_, axis) => codes.reduce((sum, code, at) => sum + weights[at] * code[axis], 0));
}
