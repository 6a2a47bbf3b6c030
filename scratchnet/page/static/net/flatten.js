// Flatten: from images to rows of numbers, and back. Nothing is computed; only the shape changes.
import { reshaped } from "./tensor.js";

/** (h, w, c) -> (h·w·c,). */
export function flattenForward(layer, x) {
  return { y: reshaped(x, layer.outputShape), cache: null };
}

/** dx is dy in the input's shape. */
export function flattenBackward(layer, dy) {
  return { dx: reshaped(dy, layer.inputShape), gradients: {} };
}
