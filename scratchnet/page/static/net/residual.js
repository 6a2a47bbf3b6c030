// Residual: layers, and a way around them.
//
//     y = f(x) + s(x)            dx = (∂f/∂x)ᵀ dy + (∂s/∂x)ᵀ dy
//
// f is the branch, layers in a row; s the shortcut, x itself where it has no layers.
import { added } from "./tensor.js";
import { rowBackward, rowForward } from "./row.js";

/** cache: the records of the two ways, {stages, shortcut}. */
export function residualForward(layer, x, training, random) {
  const branch = rowForward(layer.stages, x, training, random);
  const way = rowForward(layer.shortcut, x, training, random);
  return { y: added(branch.y, way.y), cache: { stages: branch.records, shortcut: way.records } };
}

/** The gradients of the inner layers are kept in their records. */
export function residualBackward(layer, dy, cache) {
  return { dx: added(rowBackward(cache.stages, dy), rowBackward(cache.shortcut, dy)), gradients: {} };
}
