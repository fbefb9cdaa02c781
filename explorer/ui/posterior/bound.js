/* The bound of one picture: the equation with its numbers, and the same on one bar above the
   held-out images' histogram. */

const SVG = "http://www.w3.org/2000/svg";
const CHART = { width: 300, height: 120, left: 4, right: 4, bar: 18, top: 15, base: 94 };

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function nats(value) {
  const text = Math.abs(value) < 10 ? value.toFixed(2) : Math.abs(value) < 1000 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
  return minus(text);
}

/* A figure's sign as it is typeset; none before zeros. */
function minus(text) { return text.replace(/^-(?=[0.]*$)/, "").replace("-", "−"); }

function percentile(share) {
  if (share === 0) return "below all others";
  if (share === 100) return "above all others";
  const number = Math.round(share), rest = number % 100;
  const ending = rest > 10 && rest < 14 ? "th" : ["th", "st", "nd", "rd"][number % 10] ?? "th";
  return `${number}${ending} percentile`;
}

const amount = (value) => make("strong", { textContent: `${nats(value)} ` }, make("small", { textContent: "nats" }));

/* A term of the equation: a button that lights the part which it comes from. */
function buildTerm(key, symbol, value, note, label) {
  const button = make("button", { type: "button", className: "post-term" },
    make("span", { className: "post-symbol", innerHTML: symbol }),
    amount(value),
    make("small", { textContent: note }));
  button.dataset.light = key;
  button.setAttribute("aria-label", label);
  button.title = label;
  button.setAttribute("aria-pressed", false);
  return button;
}

function buildEquation({ terms, kind }) {
  const { nll, nll_error: error, kl, held_out: held } = terms;
  const rank = (share) => (share === null || share === undefined ? "" : percentile(share));
  const sign = (text) => make("span", { className: "post-sign", textContent: text });
  if (kl === null) {
    return [buildTerm("nll", "−log p(<i>x</i>|<i>z</i>)", nll, rank(held?.nll_share), `Reconstruction: ${nats(nll)} nats. Lights the pixels that cost them.`),
      make("p", { className: "post-note", textContent: `${kind === "AE" ? "An autoencoder's" : "Its"} code is one point and not a distribution: there is no KL term, no ε to draw, and no bound on log p(x). What the code costs is not counted at all.` })];
  }
  const total = nll + kl, give = `± ${error.toFixed(2)}`;
  return [
    make("span", { className: "post-term post-sum" },
      make("span", { className: "post-symbol", innerHTML: "−ELBO(<i>x</i>)" }),
      amount(total),
      make("small", { textContent: [give, rank(held?.share)].filter(Boolean).join(", "), title: "± is the standard error over 32 draws of the posterior." })),
    sign("="),
    buildTerm("nll", "E<sub><i>q</i></sub>[−log p(<i>x</i>|<i>z</i>)]", nll, [give, rank(held?.nll_share)].filter(Boolean).join(", "), `Reconstruction term: ${nats(nll)} nats, the mean over 32 draws of the posterior, ± ${error.toFixed(2)}. Lights the pixels that cost them.`),
    sign("+"),
    buildTerm("kl", "KL(<i>q</i>(<i>z</i>|<i>x</i>) ‖ p(<i>z</i>))", kl, rank(held?.kl_share), `KL term: ${nats(kl)} nats. Lights the axes that cost them.`),
  ];
}

/* Reconstruction and KL on one bar; below it what held-out images cost. */
function buildBar({ terms }) {
  const { nll, kl, constant, held_out: held } = terms;
  const total = nll + (kl ?? 0), { width, height, left, right, bar, top, base } = CHART;
  const figure = kl === null ? "reconstruction NLL" : "−ELBO";
  const start = Math.min(0, constant);
  const end = Math.max(total, held?.high ?? total * 1.3, start + 1) ;
  const x = (value) => left + ((value - start) / (end * 1.02 - start * 1.02)) * (width - left - right);
  const chart = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "post-bar" });
  const words = [`This picture: ${nats(total)} nats, ${nats(nll)} of reconstruction${kl === null ? "" : ` and ${nats(kl)} of KL`}.`];
  const segment = (key, from, to, name) => {
    const part = draw("rect", { x: x(from), y: top, width: Math.max(1, x(to) - x(from)), height: bar, class: "post-segment", "data-part": key });
    part.append(draw("title", {}, `${name}: ${nats(to - from)} nats`));
    chart.append(part);
  };
  segment("nll", start, nll, "Reconstruction");
  if (kl !== null) segment("kl", nll, total, "KL");
  chart.append(draw("text", { x: left, y: top - 6, class: "post-chart-text" }, `this picture, ${nats(total)} nats`));
  if (held) {
    const tallest = Math.max(...held.bars), step = (held.high - held.low) / held.bars.length;
    held.bars.forEach((count, at) => {
      const size = (count / tallest) * (base - top - bar - 10);
      if (count) chart.append(draw("rect", { x: x(held.low + at * step), y: base - size, width: Math.max(0.6, x(step) - x(0) - 0.6), height: size, class: "post-histogram" }));
    });
    chart.append(draw("line", { x1: x(total), x2: x(total), y1: top + bar, y2: base, class: "post-here" }));
    words.push(`Its ${figure} is higher than that of ${Math.round(held.share)} % of ${held.count.toLocaleString("en")} held-out images.`);
  }
  chart.append(draw("line", { x1: left, x2: width - right, y1: base, y2: base, class: "post-axis" }));
  for (const value of ticks(start, end)) {
    chart.append(draw("text", { x: x(value), y: base + 12, "text-anchor": value === start ? "start" : "middle", class: "post-chart-text" }, nats(value).replace(/\.0+$/, "")));
  }
  const caption = held ? `nats; higher ${kl === null ? "NLL" : figure} than ${Math.round(held.share)} % of ${held.count.toLocaleString("en")} held-out images` : "nats";
  chart.append(draw("text", { x: width - right, y: height - 4, "text-anchor": "end", class: "post-chart-text" }, caption));
  chart.setAttribute("aria-label", words.join(" "));
  return chart;
}

function ticks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power, found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
  return found;
}
