/* The drawer below the map: neighbours, selections, bookmarks, export and keys. */

const NEIGHBOURS = 12;
const THUMB_SIDE = 48;       // px a side of a small picture, at most
const TABS = { neighbours: "Neighbours", selection: "Selection", bookmarks: "Bookmarks", export: "Export", keys: "Keys" };
const KEYS = [
  ["Arrows on the map", "move the pinned code; Shift finer"],
  ["Alt + arrows", "look without pinning, in 3-D from point to point; Enter pins"],
  ["B, L", "select a box, a lasso: arrows move, Space sets a lasso's corner, Enter selects"],
  ["+ − 0", "zoom in, out, all"],
  ["Escape", "go back"],
  ["Arrows on a slider", "move the axis; Shift finer; Delete resets"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
];

function element(tag, properties = {}, ...children) {
  const { dataset, label, ...plain } = properties;
  const made = Object.assign(document.createElement(tag), plain);
  if (dataset) Object.assign(made.dataset, dataset);
  if (label) made.setAttribute("aria-label", label);
  made.append(...children);
  return made;
}

function button(text, action, properties = {}) {
  const made = element("button", { type: "button", className: "lab-button", ...properties }, text);
  made.addEventListener("click", action);
  return made;
}

function save(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

class Drawer {
  /* lab: the Lab, whose drawer this is. */
  constructor(root, lab) {
    this.root = root;
    this.lab = lab;
    this.sheets = Object.fromEntries([...root.querySelectorAll(".lab-sheet")].map((sheet) => [sheet.dataset.tab, sheet]));
    const tabs = root.querySelector(".lab-tabs");
    tabs.replaceChildren(...Object.entries(TABS).map(([key, title]) => {
      const tab = element("button", { type: "button", dataset: { tab: key } }, title);
      tab.setAttribute("role", "tab");
      return tab;
    }));
    tabs.addEventListener("click", (event) => { if (event.target.dataset.tab) this.open(event.target.dataset.tab); });
    tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const keys = Object.keys(TABS);
      const next = keys[(keys.indexOf(this.tab) + step + keys.length) % keys.length];
      this.open(next);
      tabs.querySelector(`[data-tab=${next}]`).focus();
    });
    this.sheets.keys.replaceChildren(element("dl", { className: "lab-keys" }, ...KEYS.map(([key, what]) => (
      element("div", {}, element("dt", {}, key), element("dd", {}, what))))));
    this.open("neighbours");
  }

  open(tab) {
    this.tab = tab;
    for (const [key, sheet] of Object.entries(this.sheets)) sheet.hidden = key !== tab;
    for (const button of this.root.querySelectorAll(".lab-tabs button")) {
      const chosen = button.dataset.tab === tab;
      button.setAttribute("aria-selected", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
  }

  /* Everything of a new model. */
  clear() {
    this.neighboursAsked = null;
    this.sheets.neighbours.replaceChildren();
    this.showSelections();
    this.showBookmarks();
    this.showExport();
  }

  /* -- neighbours of the pinned code -- */

  async showNeighbours(code) {
    const asked = this.neighboursAsked = Symbol("asked");
    let found, pictures;
    this.lab.busy("neighbours", true);
    try {
      found = await this.lab.link.json(`/neighbours/{name}?k=${NEIGHBOURS}`, { method: "POST", body: code });
      // Another model has no such rows.
      if (asked !== this.neighboursAsked) return;
      pictures = await this.lab.link.pictures(Uint32Array.from(found.rows), THUMB_SIDE);
    } catch (error) {
      if (asked === this.neighboursAsked) this.sheets.neighbours.replaceChildren(element("p", { className: "lab-faint" }, error.message));
      return;
    } finally {
      if (asked === this.neighboursAsked) this.lab.busy("neighbours", false);
    }
    if (asked !== this.neighboursAsked) return;
    const { rows, distances, labels, index } = found;
    const kept = document.activeElement?.dataset?.neighbour;
    this.sheets.neighbours.replaceChildren(element("div", { className: "lab-row" }, ...rows.map((row, place) => {
      const title = this.lab.labelOf(labels?.[place], index[place]);
      const made = button("", () => this.lab.pinRow(row), {
        className: "lab-thumb", dataset: { neighbour: place, row },
        title: `${title}, held-out image ${index[place]}, at a distance of ${distances[place].toFixed(3)} in the latent space`,
        label: `Pin neighbour ${place + 1}: ${title}, distance ${distances[place].toFixed(2)}`,
      });
      made.append(picture(pictures.list[place], pictures.shape), element("b", {}, title), element("span", {}, distances[place].toFixed(2)));
      return made;
    })), element("p", { className: "lab-faint" }, `Nearest in the latent space, not on the map${pictures.real ? "" : "; reconstructions, since the images are not at hand"}.`));
    if (kept !== undefined) this.sheets.neighbours.querySelector(`[data-neighbour="${kept}"]`)?.focus();
  }

  /* -- selections A and B -- */

  showSelections() {
    const { selections, slot } = this.lab;
    const cards = ["A", "B"].map((name) => this.selectionCard(name, selections[name], name === slot));
    const both = selections.A?.summary && selections.B?.summary;
    this.direction ??= element("div", { className: "lab-direction", hidden: true });
    const note = element("p", { className: "lab-faint", hidden: !!both },
      "Draw a box or a lasso on the map, or click a name in the legend. Press B for a second one: the two give a direction A − B.");
    this.sheets.selection.replaceChildren(element("div", { className: "lab-row" }, ...cards), this.direction, note);
  }

  selectionCard(name, selection, current) {
    const pick = button(name, () => this.lab.useSlot(name), {
      className: "lab-slot", title: `What is selected next becomes ${name}`, label: `Selection ${name}${current ? ", the current one" : ""}`,
    });
    pick.setAttribute("aria-pressed", current);
    const card = element("div", { className: "lab-selection", dataset: { slot: name } }, pick);
    if (!selection) {
      card.append(element("span", { className: "lab-faint" }, current ? "nothing yet: the next selection comes here" : "nothing"));
      return card;
    }
    const { summary, words, pictureOfMean } = selection;
    if (!summary) {
      card.append(element("span", { className: "lab-faint" }, selection.error ?? "measuring…"));
      return card;
    }
    if (pictureOfMean) {
      const canvas = picture(pictureOfMean.list[0], pictureOfMean.shape);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `The decoded mean code of ${name}`);
      card.append(canvas);
    }
    const { classes } = this.lab.data;
    const mix = classes.map((label, place) => [label, summary.mix[place] ?? 0]).filter(([, count]) => count)
      .sort((one, other) => other[1] - one[1]);
    const shares = mix.slice(0, 4).map(([label, count]) => `${label}: ${Math.round((100 * count) / summary.count)} %`);
    card.append(element("div", { className: "lab-facts" },
      element("b", {}, `${summary.count.toLocaleString("en")} ${summary.count === 1 ? "point" : "points"}`),
      element("span", {}, words),
      element("span", { title: mix.map(([label, count]) => `${label}: ${count}`).join("\n") }, shares.join(", ") + (mix.length > 4 ? ", …" : "")),
      element("span", { title: "Root mean square distance of its codes from their mean" }, `spread ${summary.radius.toFixed(2)}`),
      element("div", { className: "lab-actions" },
        button("Mean to sliders", () => this.lab.pinCode(Float32Array.from(summary.mean)), { label: `Send the mean of ${name} to the sliders` }),
        button("Clear", () => this.lab.select(name, null), { label: `Clear selection ${name}` }))));
    return card;
  }

  /* -- bookmarks: codes with names, kept in this browser -- */

  get bookmarkKey() { return `latent-explorer.bookmarks.${this.lab.data.name}.${this.lab.data.fingerprint}`; }

  bookmarks() {
    let found;
    try {
      found = JSON.parse(localStorage.getItem(this.bookmarkKey) ?? "[]");
    } catch { return []; }
    const size = this.lab.latents.length;
    return Array.isArray(found) ? found.filter((one) => typeof one?.name === "string"
      && Array.isArray(one.latents) && one.latents.length === size && one.latents.every(Number.isFinite)) : [];
  }

  keepBookmarks(list) {
    try {
      localStorage.setItem(this.bookmarkKey, JSON.stringify(list));
    } catch { this.lab.note("This browser keeps no bookmarks: its storage is full or closed to this page."); }
    this.showBookmarks();
  }

  async showBookmarks() {
    const list = this.bookmarks();
    const asked = this.bookmarksAsked = Symbol("asked");
    const name = element("input", { className: "lab-text", maxLength: 60, placeholder: "Name of the pinned code", label: "Name of the new bookmark" });
    const add = () => {
      const all = this.bookmarks();
      all.push({ name: name.value.trim() || `Code ${all.length + 1}`, latents: Array.from(this.lab.latents) });
      this.keepBookmarks(all);
    };
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") add(); });
    const row = element("div", { className: "lab-row" });
    const head = element("div", { className: "lab-actions" }, name, button("Bookmark", add, { label: "Bookmark the pinned code" }));
    if (list.length) {
      head.append(
        button("JSON", () => save(`${this.lab.data.name}-bookmarks.json`, JSON.stringify({ checkpoint: this.lab.data.name, bookmarks: list }, null, 2), "application/json"), { label: "Save the bookmarks as JSON" }),
        button("CSV", () => save(`${this.lab.data.name}-bookmarks.csv`, this.bookmarkTable(list), "text/csv"), { label: "Save the bookmarks as CSV" }));
    }
    list.forEach((one, place) => {
      const thumb = button("", () => this.lab.pinCode(Float32Array.from(one.latents)), {
        className: "lab-thumb", title: one.name, label: `Go to bookmark ${one.name}`, dataset: { bookmark: place },
      });
      thumb.append(element("canvas", { width: 1, height: 1 }), element("b", {}, one.name));
      const drop = button("×", () => this.keepBookmarks(this.bookmarks().filter((_, at) => at !== place)), { className: "lab-drop", label: `Remove bookmark ${one.name}`, title: "Remove" });
      row.append(element("div", { className: "lab-kept" }, thumb, drop));
    });
    this.sheets.bookmarks.replaceChildren(head, row, element("p", { className: "lab-faint" }, "Kept in this browser, for this checkpoint."));
    if (!list.length) return;
    const codes = Float32Array.from(list.slice(0, 400).flatMap((one) => one.latents));
    const pictures = await this.lab.link.pictures(codes, THUMB_SIDE).catch(() => null);
    if (!pictures || asked !== this.bookmarksAsked) return;
    row.querySelectorAll(".lab-thumb canvas").forEach((canvas, place) => { if (pictures.list[place]) paint(canvas, pictures.list[place], pictures.shape); });
  }

  bookmarkTable(list) {
    // A spreadsheet takes a text that begins so for a formula, and would run it.
    const plain = (text) => (/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text);
    const quoted = (text) => `"${plain(text).replaceAll('"', '""')}"`;
    const head = ["name", ...Array.from(this.lab.latents, (_, axis) => `z${axis + 1}`)];
    return `${[head.join(","), ...list.map((one) => [quoted(one.name), ...one.latents].join(","))].join("\n")}\n`;
  }

  /* -- export -- */

  showExport() {
    const { lab } = this;
    const { name } = lab.data;
    const state = element("span", { className: "lab-faint" });
    state.setAttribute("role", "status");
    const fetched = (path, file) => async () => {
      state.textContent = "Preparing…";
      try {
        save(file, await (await lab.link.fetch(path)).blob());
        state.textContent = `${file} is saved.`;
      } catch (error) { state.textContent = error.message; }
    };
    const code = () => Array.from(lab.settled, (value) => Number(value.toPrecision(9)));
    this.sheets.export.replaceChildren(
      element("div", { className: "lab-actions" }, element("span", {}, "Pinned:"),
        button("Picture (PNG)", () => lab.picture.toBlob((blob) => save(`${name}-decoded.png`, blob)), { label: "Save the decoded picture as PNG" }),
        button("Code (CSV)", () => save(`${name}-code.csv`, `${code().map((_, axis) => `z${axis + 1}`).join(",")}\n${code().join(",")}\n`, "text/csv"), { label: "Save the code as CSV" }),
        button("Code (JSON)", () => save(`${name}-code.json`, JSON.stringify({ checkpoint: name, latents: code(), names: lab.sliders.names, link: location.href }, null, 2), "application/json"), { label: "Save the code as JSON" }),
        button("Copy link", async () => {
          try {
            await navigator.clipboard.writeText(location.href);
            state.textContent = "The link is copied: it opens this very picture.";
          } catch { state.textContent = location.href; }
        }, { label: "Copy a link to this picture" })),
      element("div", { className: "lab-actions" }, element("span", {}, "All held-out codes:"),
        button("Codes (CSV)", fetched("/export/{name}/codes.csv", `${name}-codes.csv`), { label: "Save all codes as CSV" }),
        button("TensorBoard projector (ZIP)", fetched("/export/{name}/projector.zip", `${name}-projector.zip`), { label: "Save for TensorBoard's projector" })),
      element("div", { className: "lab-actions" }, element("span", {}, "Map:"),
        button("Map (PNG)", () => lab.saveMap(), { label: "Save the map as PNG" })),
      state);
  }
}
