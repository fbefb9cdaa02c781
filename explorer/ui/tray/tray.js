/* The session's pictures in a row, and the clipboard. What comes in goes straight to the session. */

const PICTURE_TYPE = /^image\//;
const REMEMBERED = "latent-explorer.pictures"; // the names alone, for this tab
const MOST_NAMED = 5;

class Tray {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.list = this.find(".tray-list");
    this.status = this.find(".tray-status");
    root.addEventListener("click", (event) => this.click(event));
    this.list.addEventListener("keydown", (event) => this.key(event));
    // Anywhere on the page, but not into a field that takes text.
    window.addEventListener("paste", this.onPaste = (event) => {
      // Of any type: the server tells by their content what cannot be read, and says so.
      const files = [...event.clipboardData?.files ?? []];
      if (!files.length) {
        if (!/^(INPUT|TEXTAREA)$/.test(event.target?.tagName ?? "")) this.say("There is no picture in the clipboard.");
        return;
      }
      event.preventDefault();
      this.take(files);
    });
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    this.data = data;
    const { items, chosen, removed } = data;
    const text = JSON.stringify([items.map((item) => [item.id, item.name, item.thumb])]);
    if (text !== this.text) {
      const focused = document.activeElement?.closest?.(".tray-item")?.dataset.id;
      this.text = text;
      this.list.replaceChildren(...items.map((item, at) => this.build(item, at + 1)));
      if (focused) this.list.querySelector(`[data-id="${focused}"] .tray-pick`)?.focus({ preventScroll: true });
    }
    for (const item of this.list.children) {
      const is = Number(item.dataset.id) === chosen;
      item.firstChild.setAttribute("aria-pressed", is);
      if (is && chosen !== this.chosen) item.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.chosen = chosen;
    this.find('[data-do="clear"]').hidden = items.length < 2;
    const undo = this.find('[data-do="undo"]');
    undo.hidden = !removed;
    undo.textContent = `Bring back ${removed}`;
    this.say(items.length ? `${items.length} picture${items.length > 1 ? "s" : ""}` : "Nothing leaves this session; nothing is written to disk.");
    this.root.dataset.count = items.length;
    const lost = this.remember(items, data);
    this.root.dataset.lost = lost ? lost.count : 0;
    this.find(".tray-lost").hidden = !lost;
    this.find(".tray-lost").textContent = lost ? this.tellLost(lost, data.server) : "";
  }

  /* Keep the names of this session's pictures; of another session's, which are gone, return them. */
  remember(items, { session, server }) {
    let was = null;
    try {
      was = JSON.parse(sessionStorage.getItem(REMEMBERED));
      if (items.length || was?.session === session) {
        const names = items.slice(0, MOST_NAMED).map((item) => item.name);
        sessionStorage.setItem(REMEMBERED, JSON.stringify({ session, server, names, count: items.length }));
        return null;
      }
    } catch {
      return null; // no storage, or another's text in it: nothing to say
    }
    return Array.isArray(was?.names) && was.count ? was : null;
  }

  tellLost({ names, count, server }, now) {
    const more = count - names.length;
    const told = names.join(", ") + (more > 0 ? ` and ${more} more` : "");
    const ended = server === now ? "the session that ended when this page was loaded anew" : "the server that ended";
    return `${told} ${count > 1 ? "were" : "was"} in the memory of ${ended}: bring ${count > 1 ? "them" : "it"} again.`;
  }

  build(item, number) {
    const pick = Object.assign(document.createElement("button"), { type: "button", className: "tray-pick", title: item.name });
    pick.setAttribute("aria-label", `Look at picture ${number}, ${item.name}`);
    pick.append(Object.assign(document.createElement("img"), { src: item.thumb, alt: "" }));
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "tray-remove", textContent: "×", title: `Remove ${item.name}` });
    remove.setAttribute("aria-label", `Remove picture ${number}, ${item.name}`);
    const entry = Object.assign(document.createElement("li"), { className: "tray-item" });
    entry.dataset.id = item.id;
    entry.append(pick, Object.assign(document.createElement("span"), { className: "tray-number", textContent: number }), remove);
    return entry;
  }

  say(words) { this.status.textContent = words; }

  tell(kind, more = {}) { this.setTriggerValue("event", { kind, ...more }); }

  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const item = button.closest(".tray-item");
    if (item) this.tell(button.className === "tray-remove" ? "remove" : "choose", { id: Number(item.dataset.id) });
    else if (button.dataset.do === "paste") this.readClipboard();
    else this.tell(button.dataset.do);
  }

  key(event) {
    const item = event.target.closest(".tray-item");
    if (!item) return;
    const next = { ArrowRight: item.nextElementSibling, ArrowLeft: item.previousElementSibling };
    if (event.key === "Delete" || event.key === "Backspace") this.tell("remove", { id: Number(item.dataset.id) });
    else if (event.key in next) next[event.key]?.firstChild.focus();
    else return;
    event.preventDefault();
  }

  async readClipboard() {
    let files = [];
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((one) => PICTURE_TYPE.test(one));
        if (type) files.push(new File([await item.getType(type)], "pasted", { type }));
      }
    } catch {
      this.say("The browser does not hand the clipboard out: press Ctrl+V (⌘V) instead.");
      return;
    }
    if (files.length) this.take(files);
    else this.say("There is no picture in the clipboard.");
  }

  async take(files) {
    const large = files.filter((file) => file.size > this.data.limit).map((file) => ({ name: file.name || "pasted", size: file.size }));
    this.say("Pasting…");
    const pasted = await Promise.all(files.filter((file) => file.size <= this.data.limit).map((file) => new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve({ name: file.name || "pasted", data: reader.result.slice(reader.result.indexOf(",") + 1) });
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    })));
    this.tell("paste", { pasted, large });
  }

  destroy() { window.removeEventListener("paste", this.onPaste); }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".tray");
  root.tray ??= new Tray(root);
  root.tray.update(data, setTriggerValue);
  return () => {
    if (!root.isConnected && root.tray) {
      root.tray.destroy();
      root.tray = null;
    }
  };
}
