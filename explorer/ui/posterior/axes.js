/* One row an axis: what it costs and saves, and its eps by hand. */

const REACH = 4;             // standard deviations

class Axes {
  /* hooks: onEps(axis, value), onSettle() */
  constructor(root, hooks) {
    this.root = root;
    this.hooks = checkedHooks("Axes", hooks, ["onEps", "onSettle"]);
    root.addEventListener("input", (event) => this.hooks.onEps(Number(event.target.dataset.axis), Number(event.target.value)));
    root.addEventListener("change", () => this.hooks.onSettle());
  }

  open({ code }) {
    const { kl, saved, order, used, names, deviation } = code;
    this.rows = new Map();
    const amounts = kl ?? saved.map((value) => Math.max(0, value)), most = Math.max(...amounts, 1e-6);
    const total = order.length;
    const words = kl
      ? `uses ${used} of ${total} ${total === 1 ? "axis" : "axes"} (0.1 nats or more each)`
      : `is shaped by ${used} of ${total} ${total === 1 ? "axis" : "axes"} (each saves 0.1 nats or more)`;
    const head = make("p", { className: "post-axes-head" }, make("b", { textContent: "Its code" }), ` ${words}`);
    const list = make("div", { className: "post-axes-list" }), columns = total > 6 ? 2 : 1;
    list.dataset.columns = columns;
    for (let column = 0, each = Math.ceil(total / columns); column < columns; column += 1) {
      const heads = ["axis", ...(kl ? ["KL"] : []), "saves", ...(deviation ? ["ε"] : []), "z"];
      list.append(make("div", {}, make("div", { className: "post-axis post-axis-head" }, ...heads.map((text) => make("span", { textContent: text }))),
        ...order.slice(column * each, (column + 1) * each).map((axis) => this.build(axis, names[axis], amounts[axis] / most, kl?.[axis], saved[axis], deviation?.[axis]))));
    }
    const legend = make("p", { className: "post-note", textContent: kl
      ? "KL: what the axis costs; saves: what the reconstruction would cost more without it, both in nats. ε moves z = mean + ε · exp(log_var / 2)."
      : "Saves: what the reconstruction would cost more, in nats, with the axis at its mean over all codes. An autoencoder's code has no spread, so there is no ε to move." });
    this.root.replaceChildren(head, list, legend);
  }

  build(axis, name, share, kl, saved, deviation) {
    const row = make("div", { className: "post-axis" });
    row.dataset.axis = axis;
    const bar = make("i", {});
    bar.style.width = `${100 * share}%`;
    const light = make("button", { type: "button", className: "post-axis-name", textContent: name, title: `${name}: lights what the axis does to this picture` });
    light.dataset.light = `axis-${axis}`;
    light.setAttribute("aria-pressed", false);
    const value = make("output", { className: "post-axis-z" });
    row.append(light, make("span", { className: "post-axis-bar" }, bar, make("b", { textContent: nats(kl ?? saved) })));
    if (kl !== undefined) row.append(make("span", { className: "post-axis-saved", textContent: nats(saved) }));
    let slider = null;
    if (deviation !== undefined) {
      slider = make("input", { type: "range", min: -REACH, max: REACH, step: 0.01, value: 0, className: "post-eps" });
      slider.dataset.axis = axis;
      slider.setAttribute("aria-label", `ε of ${name}`);
      row.append(slider);
    }
    row.append(value);
    this.rows.set(axis, { row, slider, value });
    return row;
  }

  show(noise, code) {
    for (const [axis, { row, slider, value }] of this.rows) {
      value.textContent = minus(code[axis].toFixed(2));
      value.title = `z = ${code[axis].toFixed(4)}`;
      row.dataset.moved = noise[axis] !== 0;
      if (!slider) continue;
      if (Number(slider.value) !== noise[axis]) slider.value = noise[axis];
      slider.setAttribute("aria-valuetext", `ε ${noise[axis].toFixed(2)}, z ${code[axis].toFixed(2)}`);
    }
  }
}
