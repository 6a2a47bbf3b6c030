// Zero padding as a layer of its own: for borders that differ from side to side.
import { tensor } from "./tensor.js";

/** (h, w, c) -> (top + h + bottom, left + w + right, c): x, with zeros around it. */
export function zeroPadding2dForward(layer, x) {
  const [[top], [left]] = layer.settings.padding;
  return { y: shifted(x, layer.outputShape, top, left), cache: null };
}

/** dx is the part of dy that lies within the borders. */
export function zeroPadding2dBackward(layer, dy) {
  const [[top], [left]] = layer.settings.padding;
  return { dx: shifted(dy, layer.inputShape, -top, -left), gradients: {} };
}

/** The image moved down by `top` and right by `left` into one of another size; zeros where nothing is. */
export function shifted(x, shape, top, left) {
  const [h, w, c] = x.shape;
  const y = tensor(shape);
  for (let i = Math.max(0, -top); i < Math.min(h, shape[0] - top); i += 1) {
    for (let j = Math.max(0, -left); j < Math.min(w, shape[1] - left); j += 1) {
      const from = (i * w + j) * c;
      y.data.set(x.data.subarray(from, from + c), ((i + top) * shape[1] + j + left) * c);
    }
  }
  return y;
}
