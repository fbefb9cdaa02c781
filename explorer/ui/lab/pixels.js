/* Pixels and colours, for every component that draws the decoder's answers. */

/* Pixels, H x W x C, onto a canvas. */
function paint(canvas, pixels, [height, width, channels]) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  canvas.getContext("2d").putImageData(toImage(pixels, [height, width, channels]), 0, 0);
}

function toImage(pixels, [height, width, channels]) {
  const image = new ImageData(width, height);
  const out = image.data;
  for (let from = 0, to = 0; to < out.length; to += 4, from += channels) {
    out[to] = pixels[from];
    out[to + 1] = pixels[channels === 3 ? from + 1 : from];
    out[to + 2] = pixels[channels === 3 ? from + 2 : from];
    out[to + 3] = 255;
  }
  return image;
}

function picture(pixels, shape) {
  const canvas = document.createElement("canvas");
  paint(canvas, pixels, shape);
  return canvas;
}

/* A CSS colour as three bytes. */
const rgbCache = new Map();
function toRgb(colour) {
  if (!rgbCache.has(colour)) {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    rgbCache.set(colour, [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
  }
  return rgbCache.get(colour);
}
