// Dropout: train a different thinned network at each step, use them all at the end.
import { mapped } from "./tensor.js";

/**
 * y = x · mask in training, y = x in evaluation; mask is 0 with probability rate, else 1 / (1 - rate).
 * random(count) -> `count` numbers, uniform in [0, 1). cache: the mask, or null.
 */
export function dropoutForward(layer, x, training, random) {
  const { rate } = layer.settings;
  if (!training || rate === 0) return { y: x, cache: null };
  const mask = random(x.data.length).map((u) => (u >= rate ? 1 : 0) / (1 - rate));
  return { y: mapped(x, (value, place) => value * mask[place]), cache: mask };
}

/** dx = dy · mask. */
export function dropoutBackward(layer, dy, mask) {
  return { dx: mask === null ? dy : mapped(dy, (value, place) => value * mask[place]), gradients: {} };
}
