// The terms of BatchNorm, in the steps of its formula: x̂ = scale · (x - μ), y = γ x̂ + β.
import { arrayFactor, gradientFactor, inputFactor, partsOf, productOf, termOf, upstreamFactor } from "./parts.js";
import { indexOf } from "./tensor.js";

/** All indices of a channel. */
export function positionsOf(record, c) {
  const channels = record.x.shape.at(-1);
  return Array.from({ length: record.x.data.length / channels }, (_, n) => indexOf(record.x.shape, n * channels + c));
}

export function normOutput(record, index) {
  const c = index.slice(-1);
  return partsOf("y = γ · x̂ + β", [
    productOf([arrayFactor(record, "gamma", c), arrayFactor(record, "x_hat", index)]),
    productOf([arrayFactor(record, "beta", c)], { label: "β" }),
  ]);
}

export function normXHat(record, index) {
  const scale = arrayFactor(record, "scale", index.slice(-1));
  const mean = arrayFactor(record, "mean", index.slice(-1));
  return partsOf("x̂ = scale · x - scale · μ", [
    productOf([scale, inputFactor(record, index)]),
    productOf([scale, mean], { times: -1 }),
  ]);
}

export function normScale(record, index) {
  const variance = arrayFactor(record, "var", index);
  const { epsilon } = record.layer.settings;
  return partsOf("scale = 1 / √(σ² + ε)", [termOf(1 / Math.sqrt(variance.value + epsilon), [variance])]);
}

export function normMean(record, index) {
  if (!record.cache.m) return partsOf("μ = running_mean", [productOf([arrayFactor(record, "running_mean", index)])]);
  const where = positionsOf(record, index[0]);
  return partsOf(
    "μ = Σ x / m",
    where.map((place) => productOf([inputFactor(record, place)], { times: 1 / where.length })),
  );
}

export function normVariance(record, index) {
  if (!record.cache.m) return partsOf("σ² = running_var", [productOf([arrayFactor(record, "running_var", index)])]);
  const where = positionsOf(record, index[0]);
  const mean = arrayFactor(record, "mean", index);
  const terms = where.map((place) => {
    const x = inputFactor(record, place);
    return termOf((x.value - mean.value) ** 2 / where.length, [x, mean]);
  });
  return partsOf("σ² = Σ (x - μ)² / m", terms);
}

export function normInput(record, index) {
  const c = index.slice(-1);
  const { m } = record.cache;
  const factors = [arrayFactor(record, "gamma", c), arrayFactor(record, "scale", c)];
  const terms = [productOf([...factors, upstreamFactor(record, index)], { label: "direct" })];
  if (!m) return partsOf("dx = γ · scale · dy", terms);
  terms.push(productOf([...factors, gradientFactor(record, "beta", c)], { times: -1 / m, label: "through μ" }));
  const way = [arrayFactor(record, "x_hat", index), gradientFactor(record, "gamma", c)];
  terms.push(productOf([...factors, ...way], { times: -1 / m, label: "through σ²" }));
  return partsOf("dx = γ · scale · (dy - dβ / m - x̂ · dγ / m)", terms);
}

export function normGamma(record, index) {
  const factors = (place) => [upstreamFactor(record, place), arrayFactor(record, "x_hat", place)];
  return partsOf(
    "dγ = Σ dy · x̂",
    positionsOf(record, index[0]).map((place) => productOf(factors(place))),
  );
}

export function normBeta(record, index) {
  return partsOf(
    "dβ = Σ dy",
    positionsOf(record, index[0]).map((place) => productOf([upstreamFactor(record, place)])),
  );
}
