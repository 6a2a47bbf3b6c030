// The terms of layers that work number by number: one term each, f(x) forward and dy · f'(x) backward.
import { inputFactor, outputFactor, partsOf, productOf, termOf, upstreamFactor } from "./parts.js";
import { normalDensity, normalShare, sigmoid } from "./smooth_activations.js";
import { offset } from "./tensor.js";

/** kind -> [formula of y, formula of dx, f(x, settings), slope(x, settings)]. */
const FUNCTIONS_OF_X = {
  ReLU: ["y = x where x > 0, else 0", "dx = dy where x > 0, else 0", (x) => (x > 0 ? x : 0), (x) => Number(x > 0)],
  LeakyReLU: [
    "y = x where x > 0, else s · x",
    "dx = dy where x > 0, else s · dy",
    (x, { slope }) => (x > 0 ? x : slope * x),
    (x, { slope }) => (x > 0 ? 1 : slope),
  ],
  ELU: [
    "y = x where x > 0, else α (eˣ - 1)",
    "dx = dy where x > 0, else dy · α eˣ",
    (x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x)),
    (x, { alpha }) => (x > 0 ? 1 : alpha * Math.exp(x)),
  ],
  SiLU: [
    "y = x · σ(x)",
    "dx = dy · (σ + x σ (1 - σ))",
    (x) => x * sigmoid(x),
    (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
  ],
  GELU: [
    "y = x · Φ(x)",
    "dx = dy · (Φ + x φ)",
    (x) => x * normalShare(x),
    (x) => normalShare(x) + x * normalDensity(x),
  ],
  Rescale: ["y = scale · x + offset", "dx = scale · dy", (x, { scale }) => scale * x, (x, { scale }) => scale],
};

/** The same, with a slope that is written with y. */
const SLOPES_OF_Y = {
  Sigmoid: ["y = σ(x)", "dx = dy · y (1 - y)", sigmoid, (y) => y * (1 - y)],
  Tanh: ["y = tanh(x)", "dx = dy · (1 - y²)", Math.tanh, (y) => 1 - y * y],
};

/** The names of the layers of this file. */
export const ELEMENTWISE = [...Object.keys(FUNCTIONS_OF_X), ...Object.keys(SLOPES_OF_Y)];

export function elementwiseOutput(record, index) {
  const [formula, , f] = FUNCTIONS_OF_X[record.kind] ?? SLOPES_OF_Y[record.kind];
  const x = inputFactor(record, index);
  const constant = record.kind === "Rescale" ? record.layer.settings.offset : 0;
  return partsOf(formula, [termOf(f(x.value, record.layer.settings), [x])], constant);
}

export function elementwiseInput(record, index) {
  const ofY = record.kind in SLOPES_OF_Y;
  const [, formula, , slope] = ofY ? SLOPES_OF_Y[record.kind] : FUNCTIONS_OF_X[record.kind];
  const dy = upstreamFactor(record, index);
  const here = ofY ? outputFactor(record, index) : inputFactor(record, index);
  const s = slope(here.value, record.layer.settings);
  return partsOf(formula, [termOf(dy.value * s, [dy, here], `slope ${Number(s.toPrecision(4))}`)]);
}

/** 0 if the number was dropped, else 1 / (1 - rate); 1 in evaluation. */
export function maskAt(record, index) {
  return record.cache === null ? 1 : record.cache[offset(record.x.shape, ...index)];
}

export function dropoutOutput(record, index) {
  const times = maskAt(record, index);
  const label = `mask ${Number(times.toPrecision(4))}`;
  return partsOf("y = x · mask", [productOf([inputFactor(record, index)], { times, label })]);
}

export function dropoutInput(record, index) {
  const times = maskAt(record, index);
  const label = `mask ${Number(times.toPrecision(4))}`;
  return partsOf("dx = dy · mask", [productOf([upstreamFactor(record, index)], { times, label })]);
}
