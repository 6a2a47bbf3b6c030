// Dense: every output sees every input.
//
//     y = x · W + b            dW = xᵀ · dy            db = dy            dx = dy · Wᵀ
import { tensor } from "./tensor.js";
import { addScaled, dot } from "./conv.js";

/** (features,) -> (units,). W: (features, units), b: (units,). */
export function denseForward(layer, x) {
  const { W, b } = layer.parameters;
  const [features, units] = W.shape;
  const y = tensor([units], b ? b.data : null);
  for (let i = 0; i < features; i += 1) addScaled(y.data, 0, W.data, i * units, units, x.data[i]);
  return { y, cache: x };
}

/** dW_ij = x_i dy_j, db_j = dy_j, dx_i = Σ_j dy_j W_ij. */
export function denseBackward(layer, dy, x) {
  const { W, b } = layer.parameters;
  const [features, units] = W.shape;
  const gradients = { W: tensor(W.shape), ...(b ? { b: tensor(b.shape, dy.data) } : {}) };
  const dx = tensor(x.shape);
  for (let i = 0; i < features; i += 1) {
    addScaled(gradients.W.data, i * units, dy.data, 0, units, x.data[i]);
    dx.data[i] = dot(dy.data, 0, W.data, i * units, units);
  }
  return { dx, gradients };
}
