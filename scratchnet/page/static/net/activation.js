// ReLU and its relatives: positive numbers pass as they are; they differ in what a negative number becomes.
//
//     ReLU   0            LeakyReLU   s x            ELU   α (eˣ - 1)
//
// At x = 0 the derivative from the left is taken.
import { mapped } from "./tensor.js";

/** y = max(x, 0). NaN stays NaN. */
export function reluForward(layer, x) {
  return { y: mapped(x, (value) => (value <= 0 ? 0 : value)), cache: x };
}

/** dx = dy where x > 0, and 0 elsewhere. */
export function reluBackward(layer, dy, x) {
  return { dx: mapped(dy, (value, place) => (x.data[place] > 0 ? value : 0)), gradients: {} };
}

/** y = x where x > 0, and s x elsewhere. */
export function leakyReluForward(layer, x) {
  const { slope } = layer.settings;
  return { y: mapped(x, (value) => (value > 0 ? value : slope * value)), cache: x };
}

/** dx = dy where x > 0, and s dy elsewhere. */
export function leakyReluBackward(layer, dy, x) {
  const { slope } = layer.settings;
  return { dx: mapped(dy, (value, place) => (x.data[place] > 0 ? value : slope * value)), gradients: {} };
}

/** y = x where x > 0, and α (eˣ - 1) elsewhere. */
export function eluForward(layer, x) {
  const { alpha } = layer.settings;
  return { y: mapped(x, (value) => (value > 0 ? value : alpha * Math.expm1(value))), cache: x };
}

/** dx = dy where x > 0, and dy α eˣ elsewhere. */
export function eluBackward(layer, dy, x) {
  const { alpha } = layer.settings;
  const slope = (value) => (value > 0 ? 1 : alpha * Math.exp(value));
  return { dx: mapped(dy, (value, place) => value * slope(x.data[place])), gradients: {} };
}
