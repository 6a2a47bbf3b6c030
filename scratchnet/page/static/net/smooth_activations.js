// Smooth activations: the sigmoid and what is made of it, and GELU.
//
//     sigmoid    σ(x) = 1 / (1 + e⁻ˣ)          σ' = σ (1 - σ)
//     tanh       tanh x                        tanh' = 1 - tanh²
//     SiLU       x σ(x)                        σ + x σ (1 - σ)
//     GELU       x Φ(x)                        Φ + x φ
//     softmax    p_k = e^{x_k} / Σ_j e^{x_j}   ∂p_k/∂x_j = p_k ([j = k] - p_j)
import { mapped, tensor } from "./tensor.js";
import { erf } from "./error_function.js";

/** σ(x) = 1 / (1 + e⁻ˣ) = eˣ / (1 + eˣ): of the two forms, the one whose exponent is not positive. */
export function sigmoid(x) {
  const e = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}

/** Φ(x), the distribution function of the standard normal distribution. */
export function normalShare(x) {
  return 0.5 * (1 + erf(x * Math.sqrt(0.5)));
}

/** φ(x), its density. */
export function normalDensity(x) {
  return Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
}

export function sigmoidForward(layer, x) {
  const y = mapped(x, sigmoid);
  return { y, cache: y };
}

/** dx = dy y (1 - y). */
export function sigmoidBackward(layer, dy, y) {
  return { dx: mapped(dy, (value, place) => value * y.data[place] * (1 - y.data[place])), gradients: {} };
}

export function tanhForward(layer, x) {
  const y = mapped(x, Math.tanh);
  return { y, cache: y };
}

/** dx = dy (1 - y²). */
export function tanhBackward(layer, dy, y) {
  return { dx: mapped(dy, (value, place) => value * (1 - y.data[place] * y.data[place])), gradients: {} };
}

export function siluForward(layer, x) {
  return { y: mapped(x, (value) => value * sigmoid(value)), cache: x };
}

/** dx = dy (σ + x σ (1 - σ)). */
export function siluBackward(layer, dy, x) {
  const slope = (value) => sigmoid(value) * (1 + value * (1 - sigmoid(value)));
  return { dx: mapped(dy, (value, place) => value * slope(x.data[place])), gradients: {} };
}

export function geluForward(layer, x) {
  return { y: mapped(x, (value) => value * normalShare(value)), cache: x };
}

/** dx = dy (Φ + x φ). */
export function geluBackward(layer, dy, x) {
  const slope = (value) => normalShare(value) + value * normalDensity(value);
  return { dx: mapped(dy, (value, place) => value * slope(x.data[place])), gradients: {} };
}

/** e^{z - max z} / Σ of a list of numbers: 0 or more, and their sum is 1. */
export function softmax(z) {
  const largest = z.reduce((a, b) => Math.max(a, b));
  const e = Float64Array.from(z, (value) => Math.exp(value - largest));
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
}

/** softmax over the last axis. */
export function softmaxForward(layer, x) {
  const c = x.shape.at(-1);
  const p = tensor(x.shape);
  for (let from = 0; from < x.data.length; from += c) p.data.set(softmax(x.data.subarray(from, from + c)), from);
  return { y: p, cache: p };
}

/** dx_j = p_j (dp_j - Σ_k dp_k p_k). */
export function softmaxBackward(layer, dp, p) {
  const c = p.shape.at(-1);
  const dx = tensor(p.shape);
  for (let from = 0; from < p.data.length; from += c) {
    let mean = 0;
    for (let k = from; k < from + c; k += 1) mean += dp.data[k] * p.data[k];
    for (let k = from; k < from + c; k += 1) dx.data[k] = p.data[k] * (dp.data[k] - mean);
  }
  return { dx, gradients: {} };
}
