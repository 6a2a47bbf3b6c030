/** From bytes of a square field, of a picture or of a test image, to the tensor that a model takes. */
import { tensor } from "../net/tensor.js";
import { digitFromStrokes, fixedPen } from "./raster.js";

/** The settings of `digitFromStrokes` for a model's input: box and pen grow with the field. */
export function rasterOptions([h, w], { box = true, pen = true, centre = true } = {}) {
  const size = Math.min(h, w);
  const scale = size / 28;
  return { size, box: box ? Math.max(4, Math.round(20 * scale)) : null, pen: pen ? fixedPen * scale : null, centre };
}

/** Strokes -> the input of a model, or null if there are none. steps: which steps are on. */
export function inputFromStrokes(strokes, shape, steps) {
  if (!strokes.some((points) => points.length)) return null;
  const options = rasterOptions(shape, steps);
  return fieldAsInput(digitFromStrokes(strokes, options), options.size, shape);
}

/** Bytes of a square -> tensor (h, w, c): in the middle of an oblong, the same in all channels. */
export function fieldAsInput(bytes, size, [h, w, c]) {
  const x = tensor([h, w, c]);
  const [top, left] = [Math.floor((h - size) / 2), Math.floor((w - size) / 2)];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      x.data.fill(bytes[i * size + j], ((i + top) * w + j + left) * c, ((i + top) * w + j + left + 1) * c);
    }
  }
  return x;
}
