/* The line to the decoder: a socket for all that moves, plain requests for the rest.

   On the socket three things may be wanted at once, and of each the newest wins: the pinned picture,
   the one under the pointer (the ghost), and the truth about a code. The files of this folder reach
   the browser as one module. */

const DECODE = 1, PICTURE = 2, SPOT = 3, TRUTH = 4, VIEW = 5;
const REAL = 1, GHOST = 2;
const HEADER = 8, PLACE = 12, PICTURE_FACTS = 28;
const MOST_IN_FLIGHT = 2;    // of each slot
const SUBPROTOCOL = "latent-explorer.v2";
const BAD_FRAME = 1008, NO_GRANT = 4401, BROKEN_MODEL = 4422;
const OFFLINE_AFTER = 4;     // failed attempts before the fallback says so
// The session holds as many sockets as it may; what nobody foresaw.
const TOO_MANY = 4429, FAILED = 4500;
const LIVE_WORDS = "Live. Hover, click or drag on the map, or move a slider.";

/* The hooks as they are, if they are those that the owner calls: one that nobody gave would do
   nothing, and nobody would notice. */
function checkedHooks(owner, hooks, names) {
  const missing = names.filter((name) => typeof hooks[name] !== "function");
  const unknown = Object.keys(hooks).filter((name) => !names.includes(name));
  if (missing.length) throw new Error(`${owner} was made without ${missing.join(", ")}; it needs the hooks ${names.join(", ")}.`);
  if (unknown.length) throw new Error(`${owner} calls no ${unknown.join(", ")}; its hooks are ${names.join(", ")}.`);
  return hooks;
}

/* What is wanted of one kind, and what is under way. */
class Slot {
  constructor(most) {
    this.most = most;
    this.drawn = 0;
    this.clear();
  }

  clear() {
    this.wanted = null;
    this.inFlight = [];
    this.lag = 0;
  }

  sent(sequence) {
    this.inFlight.push(sequence);
    this.last = { sequence, at: performance.now() };
  }

  get quiet() { return !this.wanted && !this.inFlight.length; }

  /* Whether the answer of this number is news. */
  answered(sequence) {
    this.inFlight = this.inFlight.filter((waiting) => waiting > sequence);
    // ms, of the last answers: how far this machine and the line are behind.
    if (this.last?.sequence === sequence) this.lag += 0.3 * (performance.now() - this.last.at - this.lag);
    if (sequence <= this.drawn) return false;
    this.drawn = sequence;
    return true;
  }
}

class Link {
  /* hooks: onState(phase, words), onFrame(answer), onGhost(answer), onTruth(facts, about),
     onPicture(answer), onView(answer), onOpen(); `more`: names of those of a kind of link */
  constructor(hooks, more = []) {
    this.hooks = checkedHooks("Link", hooks, [
      "onState", "onFrame", "onGhost", "onTruth", "onPicture", "onView", "onOpen", ...more,
    ]);
    this.attempts = 0;
    this.opened = false;
    this.reason = "";           // why the server opens no socket, where it said so
    this.sequence = 0;
    this.slots = { pinned: new Slot(MOST_IN_FLIGHT), ghost: new Slot(MOST_IN_FLIGHT), truth: new Slot(1) };
    this.closed = false;
  }

  connect(target) {
    this.target = target;
    this.stopped = false;
    this.disconnect();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}${target.base}/decode/${encodeURIComponent(target.name)}`;
    const socket = this.socket = new WebSocket(url, [SUBPROTOCOL, target.token]);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.attempts = 0;
      this.opened = true;
      this.reason = "";
      this.hooks.onOpen();
      if (!this.slots.pinned.wanted && this.last) this.slots.pinned.wanted = this.last;
      this.pump();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => this.lost(event);
  }

  disconnect() {
    clearTimeout(this.timer);
    this.live = false;
    for (const slot of Object.values(this.slots)) slot.inFlight = [];
    if (!this.socket) return;
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
  }

  /* For another model: nothing of the former one is wanted or drawn any more. */
  forget() {
    this.disconnect();
    this.last = null;
    this.attempts = 0;
    this.opened = false;
    this.reason = "";
    for (const slot of Object.values(this.slots)) slot.clear();
  }

  lost(event) {
    if (this.closed || this.stopped) return;
    this.live = false;
    for (const slot of Object.values(this.slots)) slot.inFlight = [];
    if ([BAD_FRAME, BROKEN_MODEL, NO_GRANT, TOO_MANY, FAILED].includes(event.code)) {
      this.stopped = true;
      this.hooks.onState("refused", event.reason || "The decoder refused this page: reload it.");
      return;
    }
    this.attempts += 1;
    const offline = this.attempts >= OFFLINE_AFTER;
    this.hooks.onState("offline", offline
      ? `${this.reason || "No live connection."} Pictures are decoded when you let go.`
      : "Connection lost, connecting again…");
    // A browser does not say why a socket did not open; the server does, when it is asked plainly.
    if (offline && !this.opened && !this.reason) this.explain();
    this.timer = setTimeout(() => this.connect(this.target), Math.min(5000, 250 * 2 ** this.attempts));
  }

  async explain() {
    const { target } = this;
    let words;
    try {
      const response = await fetch(`${target.base}/access`, { method: "POST" });
      words = response.ok ? (await response.json()).words : await response.text();
    } catch { return; }      // the server is away: the words stand that say so
    if (!words || this.closed || this.open || target !== this.target) return;
    this.reason = words;
    this.hooks.onState("offline", words);
  }

  get open() { return !!this.socket && this.socket.readyState === WebSocket.OPEN; }

  get quiet() { return this.slots.pinned.quiet && this.slots.ghost.quiet; }

  /* -- what may be asked -- */

  decode(latents) {
    this.last = { kind: DECODE, flags: 0, values: latents };
    this.want("pinned", this.last);
  }

  /* The code of a spot on the map, decoded; `held`: D values, NaN where an axis is free. */
  pinSpot(spot, held) {
    this.want("pinned", { kind: SPOT, flags: 0, values: held ? [...spot, ...held] : spot });
  }

  ghostSpot(spot, held) {
    this.want("ghost", { kind: SPOT, flags: GHOST, values: held ? [...spot, ...held] : spot });
  }

  ghostCode(latents) { this.want("ghost", { kind: DECODE, flags: GHOST, values: latents }); }

  /* `about` comes back with the answer; `spot`: the position that the code is only a guess for. */
  truth(latents, about, spot = null) {
    this.want("truth", { kind: TRUTH, flags: 0, values: spot ? [...latents, ...spot] : latents, about, spot });
  }

  /* Returns the number of the request, which its answer bears too. Of several on their way the
     server may answer the newest alone, of those for the ghost and of the others apart. */
  picture(row, flags = 0) {
    if (!this.open) return undefined;
    const frame = this.frame(PICTURE, flags, 4);
    frame.setUint32(HEADER, row, true);
    this.socket.send(frame.buffer);
    return this.sequence;
  }

  view(name) {
    if (!this.open) return undefined;
    const text = new TextEncoder().encode(name);
    const frame = this.frame(VIEW, 0, text.length);
    new Uint8Array(frame.buffer, HEADER).set(text);
    this.socket.send(frame.buffer);
    return this.sequence;
  }

  /* Before another map is looked at: spots of the former one mean nothing there. */
  dropSpots() {
    for (const slot of Object.values(this.slots)) if (slot.wanted?.kind === SPOT || slot.wanted?.spot) slot.wanted = null;
  }

  want(name, request) {
    this.slots[name].wanted = request;
    this.pump();
  }

  frame(kind, flags, size) {
    const view = new DataView(new ArrayBuffer(HEADER + size));
    view.setUint8(0, kind);
    view.setUint8(1, flags);
    view.setUint16(2, this.target.tag, true);
    view.setUint32(4, ++this.sequence, true);
    return view;
  }

  pump() {
    if (!this.open) return;
    for (const slot of Object.values(this.slots)) {
      if (!slot.wanted || slot.inFlight.length >= slot.most) continue;
      const { kind, flags, values, about } = slot.wanted;
      slot.wanted = null;
      slot.about = about;
      const frame = this.frame(kind, flags, 4 * values.length);
      for (let at = 0; at < values.length; at += 1) frame.setFloat32(HEADER + 4 * at, values[at], true);
      slot.sent(this.sequence);
      this.socket.send(frame.buffer);
    }
  }

  /* -- what comes back -- */

  receive(buffer) {
    const view = new DataView(buffer);
    const kind = view.getUint8(0), flags = view.getUint8(1), sequence = view.getUint32(4, true);
    if (kind === TRUTH || kind === VIEW) {
      const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, HEADER)));
      if (kind === VIEW) this.hooks.onView(facts);
      else if (this.slots.truth.answered(sequence)) this.hooks.onTruth(facts, this.slots.truth.about);
    } else if (kind === PICTURE) {
      this.hooks.onPicture(this.readPicture(view, sequence, flags));
    } else {
      this.receiveFrame(view, sequence, (flags & GHOST) !== 0);
    }
    this.pump();
  }

  readPicture(view, sequence, flags) {
    const size = this.target.latentDim;
    const number = (at) => view.getFloat32(HEADER + at, true);
    return {
      sequence,
      real: (flags & REAL) !== 0,
      index: Number(view.getBigUint64(HEADER, true)),
      place: [number(8), number(12), number(16)],
      nll: number(20),
      kl: number(24),
      code: new Float32Array(view.buffer.slice(HEADER + PICTURE_FACTS, HEADER + PICTURE_FACTS + 4 * size)),
      pixels: new Uint8Array(view.buffer, HEADER + PICTURE_FACTS + 4 * size),
    };
  }

  receiveFrame(view, sequence, ghost) {
    const size = this.target.latentDim, from = HEADER + PLACE;
    const answer = {
      sequence,
      spot: view.getUint8(0) === SPOT,
      place: [0, 4, 8].map((at) => view.getFloat32(HEADER + at, true)),
      code: new Float32Array(view.buffer.slice(from, from + 4 * size)),
      pixels: new Uint8Array(view.buffer, from + 4 * size),
    };
    // Live is what answers: the first picture of a session waits until torch is loaded.
    if (!this.live) {
      this.live = true;
      this.hooks.onState("live", LIVE_WORDS);
    }
    if (!this.slots[ghost ? "ghost" : "pinned"].answered(sequence)) return;
    if (ghost) this.hooks.onGhost(answer);
    else this.hooks.onFrame(answer);
  }

  /* -- plain requests -- */

  async fetch(path, options = {}) {
    const { base, name, token } = this.target;
    const response = await fetch(base + path.replace("{name}", encodeURIComponent(name)), {
      ...options,
      headers: { "X-Explorer-Token": token, ...options.headers },
    });
    if (!response.ok) throw new Error(await response.text() || `The server answered ${response.status}.`);
    return response;
  }

  async json(path, options) { return (await this.fetch(path, options)).json(); }

  post(path, body, options = {}) { return this.fetch(path, { method: "POST", body, ...options }); }

  /* A JSON header behind its length, then arrays: { header, take(Kind, count) }. */
  async framed(response) {
    const buffer = await (await response).arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let offset = 4 + length;
    const take = (Kind, count) => {
      const array = new Kind(buffer, offset, count);
      offset += array.byteLength;
      return array;
    };
    return { header, take };
  }

  /* Pictures, each H x W x C: of rows (Uint32Array) or of codes (Float32Array). */
  async pictures(values, side, options) {
    const path = values instanceof Uint32Array ? "/sheet/{name}" : "/pictures/{name}";
    const { header, take } = await this.framed(this.post(`${path}?side=${side}`, values, options));
    const [height, width, channels] = header.shape;
    const size = height * width * channels;
    return {
      shape: header.shape,
      real: header.real,
      list: Array.from({ length: header.count }, () => take(Uint8Array, size)),
    };
  }

  close() {
    this.closed = true;
    this.disconnect();
  }
}
