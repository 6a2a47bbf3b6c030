// Rescale: from the bytes of an image file to numbers between 0 and 1.
import { mapped } from "./tensor.js";

/** y = scale · x + offset. */
export function rescaleForward(layer, x) {
  const { scale, offset: shift } = layer.settings;
  return { y: mapped(x, (value) => scale * value + shift), cache: null };
}

/** dx = scale · dy. */
export function rescaleBackward(layer, dy) {
  const { scale } = layer.settings;
  return { dx: mapped(dy, (value) => scale * value), gradients: {} };
}
