// The terms behind the last layer: logits, probabilities, the loss, and its derivative by the logits, p - t.
import { formatAddress } from "./addresses.js";
import { inputFactor, outputFactor, partsOf, productOf, termOf, upstreamFactor } from "./parts.js";
import { sigmoid, softmax } from "./smooth_activations.js";
import { softmaxCrossEntropy, targets } from "./losses.js";

function logit(run, k) {
  return { address: formatAddress("logits", "", [k]), value: run.logits[k] };
}

function probability(run, k) {
  return { address: formatAddress("probabilities", "", [k]), value: run.probabilities[k] };
}

/** [0, 1, ..., k - 1] with one of them first. */
function ownFirst(count, k) {
  return [k, ...Array.from({ length: count }, (_, j) => j).filter((j) => j !== k)];
}

export function logitParts(run, [k]) {
  return partsOf("z[k] = y[k] of the last layer", [productOf([outputFactor(run.layers.at(-1), [k])])]);
}

export function probabilityParts(run, [k]) {
  const { loss } = run.model;
  if (loss === "SoftmaxCrossEntropy") {
    const factors = ownFirst(run.logits.length, k).map((j) => logit(run, j));
    return partsOf("p[k] = exp(z[k] - max z) / Σ_j exp(z[j] - max z)", [termOf(softmax(run.logits)[k], factors)]);
  }
  if (loss === "BinaryCrossEntropy") {
    return partsOf("p[k] = 1 / (1 + exp(-z[k]))", [termOf(sigmoid(run.logits[k]), [logit(run, k)])]);
  }
  return partsOf("the output itself", [productOf([logit(run, k)])]);
}

export function lossParts(run) {
  const z = run.logits;
  const t = targets(run.label, z.length);
  const each = (f) => Array.from(z, (value, k) => termOf(f(value, t[k]) / z.length, [logit(run, k)]));
  if (run.model.loss === "SoftmaxCrossEntropy") {
    const { value } = softmaxCrossEntropy(z, run.label);
    const y = z.length === 1 ? 0 : run.label;
    return partsOf("L = -log p[label] = log Σ exp(z) - z[label]", [termOf(value, [probability(run, y)])]);
  }
  if (run.model.loss === "BinaryCrossEntropy") {
    const terms = each((value, target) => Math.max(value, 0) - value * target + Math.log1p(Math.exp(-Math.abs(value))));
    return partsOf("L = mean of max(z, 0) - z t + log(1 + exp(-|z|))", terms);
  }
  return partsOf(
    "L = mean of (z - t)²",
    each((value, target) => (value - target) ** 2),
  );
}

export function dlogitParts(run, [k]) {
  const n = run.logits.length;
  const softmaxLoss = run.model.loss === "SoftmaxCrossEntropy";
  const t = n === 1 && softmaxLoss ? 1 : targets(run.label, n)[k];
  if (softmaxLoss) return partsOf("dz[k] = p[k] - [k = label]", [productOf([probability(run, k)])], -t);
  const binary = run.model.loss === "BinaryCrossEntropy";
  const times = (binary ? 1 : 2) / n;
  const formula = binary ? "dz[k] = (p[k] - t[k]) / outputs" : "dz[k] = 2 (z[k] - t[k]) / outputs";
  return partsOf(formula, [productOf([probability(run, k)], { times })], -t * times);
}

/** The layer Softmax: p over the last axis. */
export function softmaxOutput(record, index) {
  const front = index.slice(0, -1);
  const k = index.at(-1);
  const factors = ownFirst(record.x.shape.at(-1), k).map((j) => inputFactor(record, [...front, j]));
  const p = softmax(factors.map((factor) => factor.value))[0];
  return partsOf("y[k] = exp(x[k] - max x) / Σ_j exp(x[j] - max x)", [termOf(p, factors)]);
}

/** dx_k = y_k dy_k - y_k Σ_j y_j dy_j. */
export function softmaxInput(record, index) {
  const front = index.slice(0, -1);
  const own = outputFactor(record, index);
  const terms = [productOf([own, upstreamFactor(record, index)], { label: "direct", group: "direct" })];
  for (let j = 0; j < record.x.shape.at(-1); j += 1) {
    const factors = [own, outputFactor(record, [...front, j]), upstreamFactor(record, [...front, j])];
    terms.push(productOf(factors, { times: -1, group: "through the sum" }));
  }
  return partsOf("dx[k] = y[k] · dy[k] - y[k] · Σ_j y[j] · dy[j]", terms);
}
