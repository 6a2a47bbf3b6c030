// Cropping: an edge that is always empty teaches nothing, and costs as much as the rest.
import { shifted } from "./padding.js";

/** (h, w, c) -> (h - 2 b_h, w - 2 b_w, c): the middle of x. */
export function cropping2dForward(layer, x) {
  const [b_h, b_w] = layer.settings.border;
  return { y: shifted(x, layer.outputShape, -b_h, -b_w), cache: null };
}

/** dx is dy, with zeros around it. */
export function cropping2dBackward(layer, dy) {
  const [b_h, b_w] = layer.settings.border;
  return { dx: shifted(dy, layer.inputShape, b_h, b_w), gradients: {} };
}
