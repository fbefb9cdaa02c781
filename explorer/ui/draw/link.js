/* The line to the encoder: lab/link.js, and on the same socket one thing more that is wanted, the
   drawing as it is now. The newest wins. */

const ENCODE = 6, VOTES = 12, DRAWING_FACTS = 20;

class EncodeLink extends Link {
  /* hooks: those of Link, and onEncoded(answer) */
  constructor(hooks) {
    super(hooks, ["onEncoded"]);
    this.drawing = new Slot(1);
  }

  /* `pixels`: H x W x C uint8. */
  encode(pixels, [height, width, channels]) {
    this.drawing.wanted = this.lastDrawing = { pixels, size: [width, height, channels, 0] };
    this.pump();
  }

  disconnect() {
    super.disconnect();
    this.drawing.inFlight = [];
  }

  forget() {
    super.forget();
    this.drawing.clear();
    this.lastDrawing = null;
  }

  pump() {
    if (!this.open) return;
    super.pump();
    // After a lost connection the drawing is asked for anew.
    const { drawing } = this;
    if (!drawing.wanted || drawing.inFlight.length >= drawing.most) return;
    const { pixels, size } = drawing.wanted;
    drawing.wanted = null;
    const frame = this.frame(ENCODE, 0, size.length + pixels.length);
    const bytes = new Uint8Array(frame.buffer, HEADER);
    bytes.set(size);
    bytes.set(pixels, size.length);
    drawing.inFlight.push(this.sequence);
    this.socket.send(frame.buffer);
  }

  lost(event) {
    if (this.drawing.inFlight.length) this.drawing.wanted ??= this.lastDrawing;
    this.drawing.inFlight = [];
    super.lost(event);
  }

  receive(buffer) {
    const view = new DataView(buffer);
    if (view.getUint8(0) !== ENCODE) {
      super.receive(buffer);
      return;
    }
    if (!this.live) {
      this.live = true;
      this.hooks.onState("live", "");
    }
    if (this.drawing.answered(view.getUint32(4, true))) this.hooks.onEncoded(this.readEncoded(view));
    this.pump();
  }

  readEncoded(view) {
    const { latentDim, shape } = this.target;
    const number = (at) => view.getFloat32(HEADER + at, true);
    const votes = HEADER + DRAWING_FACTS, code = votes + 2 * VOTES, pictures = code + 8 * latentDim;
    const floats = (at) => new Float32Array(view.buffer.slice(at, at + 4 * latentDim));
    const size = shape[0] * shape[1] * shape[2];
    return {
      place: [number(0), number(4), number(8)],
      nll: number(12),
      kl: number(16),
      labels: Array.from({ length: VOTES }, (_, at) => view.getInt16(votes + 2 * at, true)).filter((label) => label >= 0),
      mean: floats(code),
      logVar: floats(code + 4 * latentDim),
      input: new Uint8Array(view.buffer, pictures, size),
      reconstruction: new Uint8Array(view.buffer, pictures + size, size),
    };
  }
}
