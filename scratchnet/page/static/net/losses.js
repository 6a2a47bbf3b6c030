// Losses: of one example's outputs z and its label, {value, dlogits, probabilities}.
//
//     SoftmaxCrossEntropy   L = -log p_y = log Σ e^{z_k} - z_y          dL/dz = p - t
//     BinaryCrossEntropy    the mean of max(z, 0) - z t + log(1 + e^{-|z|})      (σ(z) - t) / k
//     MeanSquaredError      the mean of (z - t)²                        2 (z - t) / k
//
// t is 1 at the label and 0 elsewhere. With one output the label itself is its target.
import { sigmoid, softmax } from "./smooth_activations.js";

/** t: the targets of k outputs. */
export function targets(label, k) {
  return Float64Array.from({ length: k }, (_, i) => (k === 1 ? label : Number(i === label)));
}

export function softmaxCrossEntropy(z, label) {
  const largest = z.reduce((a, b) => Math.max(a, b));
  const logSum = Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  const t = z.length === 1 ? Float64Array.of(1) : targets(label, z.length);
  const p = softmax(z);
  return { value: logSum - (z[t.indexOf(1)] - largest), dlogits: p.map((value, k) => value - t[k]), probabilities: p };
}

export function binaryCrossEntropy(z, label) {
  const t = targets(label, z.length);
  const each = z.map((value, k) => Math.max(value, 0) - value * t[k] + Math.log1p(Math.exp(-Math.abs(value))));
  const p = z.map(sigmoid);
  return { value: mean(each), dlogits: p.map((value, k) => (value - t[k]) / z.length), probabilities: p };
}

export function meanSquaredError(z, label) {
  const t = targets(label, z.length);
  const dlogits = z.map((value, k) => (2 / z.length) * (value - t[k]));
  return { value: mean(z.map((value, k) => (value - t[k]) ** 2)), dlogits, probabilities: z.slice() };
}

export function mean(numbers) {
  return numbers.reduce((a, b) => a + b, 0) / numbers.length;
}

export const LOSSES = {
  SoftmaxCrossEntropy: softmaxCrossEntropy,
  BinaryCrossEntropy: binaryCrossEntropy,
  MeanSquaredError: meanSquaredError,
};
