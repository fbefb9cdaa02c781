/* Maps of amounts over a picture, in colours that are legible on light and dark. */

const RAISED = [214, 69, 48], LOWERED = [38, 110, 196], HEAT = [255, 140, 26];
const DIMMED = 0.4;          // of the picture under a map

function fromBase64(text, Kind = Uint8Array) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return Kind === Uint8Array ? bytes : new Kind(bytes.buffer);
}

function paintMap(canvas, [height, width], colourOf) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at += 1) image.data.set([...colourOf(at), 255], 4 * at);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const mixed = (under, over, share) => under.map((value, channel) => value + share * (over[channel] - value));

/* Signed, from -1 to 1: the ground where nothing differs. */
function paintSigned(canvas, shape, shareOf, ground) {
  paintMap(canvas, shape, (at) => {
    const share = Math.max(-1, Math.min(1, shareOf(at)));
    return mixed(ground, share > 0 ? RAISED : LOWERED, Math.abs(share));
  });
}

/* Amounts from 0 to 1 over a dimmed picture, H x W x C, or over a plain ground. */
function paintAmounts(canvas, shape, shareOf, under) {
  paintMap(canvas, shape, (at) => mixed(under(at), HEAT, Math.min(1, shareOf(at))));
}

function dimmedPixels(pixels, channels) {
  return (at) => [0, 1, 2].map((channel) => DIMMED * pixels[at * channels + (channels === 3 ? channel : 0)]);
}

/* The mean over channels of the difference of two pictures, -1 to 1. */
function differenceOf(one, other, count, channels) {
  return Float32Array.from({ length: count }, (_, at) => {
    let sum = 0;
    for (let channel = 0; channel < channels; channel += 1) sum += one[at * channels + channel] - other[at * channels + channel];
    return sum / channels / 255;
  });
}
