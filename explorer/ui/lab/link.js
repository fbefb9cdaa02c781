/* The socket to the decoder: at most two requests in flight, the newest wins.

   lab.js, map.js and this file reach the browser as one module. */

const DECODE = 1, PICTURE = 2, REAL = 1, HEADER = 8, PLACE = 8;
const MOST_IN_FLIGHT = 2;
const SUBPROTOCOL = "latent-explorer.v1";
const BAD_FRAME = 1008, NO_GRANT = 4401, BROKEN_MODEL = 4422;
const OFFLINE_AFTER = 4;     // failed attempts before the fallback says so

class Link {
  constructor(hooks) {
    this.hooks = hooks;
    this.attempts = 0;
    this.sequence = 0;
    this.drawn = 0;
    this.inFlight = [];
    this.wanted = null;
    this.closed = false;
  }

  connect(target) {
    this.target = target;
    this.stopped = false;
    this.disconnect();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}${target.path}`;
    const socket = this.socket = new WebSocket(url, [SUBPROTOCOL, target.token]);
    socket.binaryType = "arraybuffer";
    this.inFlight = [];
    socket.onopen = () => {
      this.attempts = 0;
      if (!this.wanted && this.last) this.wanted = this.last;
      this.pump();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => this.lost(event);
  }

  disconnect() {
    clearTimeout(this.timer);
    this.live = false;
    if (!this.socket) return;
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
  }

  lost(event) {
    if (this.closed || this.stopped) return;
    this.live = false;
    if (event.code === BAD_FRAME || event.code === BROKEN_MODEL || event.code === NO_GRANT) {
      this.stopped = true;
      this.hooks.onState("refused", event.reason || "The decoder refused this page: reload it.");
      return;
    }
    this.attempts += 1;
    const offline = this.attempts >= OFFLINE_AFTER;
    this.hooks.onState("offline", offline
      ? "No live connection: pictures are decoded when you let go."
      : "Connection lost, connecting again…");
    this.timer = setTimeout(() => this.connect(this.target), Math.min(5000, 250 * 2 ** this.attempts));
  }

  get open() { return this.socket && this.socket.readyState === WebSocket.OPEN; }

  decode(latents) {
    this.wanted = this.last = latents;
    this.pump();
  }

  picture(row) {
    if (!this.open) return;
    const frame = this.frame(PICTURE, 4);
    frame.setUint32(HEADER, row, true);
    this.socket.send(frame.buffer);
    return this.sequence;
  }

  frame(kind, size) {
    const view = new DataView(new ArrayBuffer(HEADER + size));
    view.setUint8(0, kind);
    view.setUint16(2, this.target.tag, true);
    view.setUint32(4, ++this.sequence, true);
    return view;
  }

  pump() {
    if (!this.open || !this.wanted || this.inFlight.length >= MOST_IN_FLIGHT) return;
    const latents = this.wanted;
    this.wanted = null;
    const frame = this.frame(DECODE, 4 * latents.length);
    latents.forEach((value, axis) => frame.setFloat32(HEADER + 4 * axis, value, true));
    this.inFlight.push(this.sequence);
    this.socket.send(frame.buffer);
  }

  receive(buffer) {
    const view = new DataView(buffer);
    const kind = view.getUint8(0), sequence = view.getUint32(4, true);
    const answer = {
      sequence,
      real: (view.getUint8(1) & REAL) !== 0,
      place: [view.getFloat32(HEADER, true), view.getFloat32(HEADER + 4, true)],
      pixels: new Uint8Array(buffer, HEADER + PLACE),
    };
    if (kind === PICTURE) { this.hooks.onPicture(answer); return; }
    // Live is what answers: the first picture of a session waits until torch is loaded.
    if (!this.live) {
      this.live = true;
      this.hooks.onState("live", "Move a slider, or click a point on the map.");
    }
    this.inFlight = this.inFlight.filter((waiting) => waiting > sequence);
    if (sequence > this.drawn) {
      this.drawn = sequence;
      this.hooks.onFrame(answer);
    }
    this.pump();
  }

  close() {
    this.closed = true;
    this.disconnect();
  }
}
