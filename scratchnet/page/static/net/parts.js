// What an explanation is made of. A factor is a number and its address; a term is a product of factors, or a function
// of them; the explained number is constant + the sum of the terms.
import { formatAddress } from "./addresses.js";
import { at } from "./tensor.js";

/** x[index] of a layer: a pixel, or a number that the layer before gives. */
export function inputFactor(record, index) {
  return { address: `${record.source}/${index.join(",")}`, value: at(record.x, ...index) };
}

/** y[index]. */
export function outputFactor(record, index) {
  return { address: formatAddress("y", record.key, index), value: at(record.y, ...index) };
}

/** dy[index]. */
export function upstreamFactor(record, index) {
  return { address: formatAddress("dy", record.key, index), value: at(record.dy, ...index) };
}

/** dx[index]. */
export function downstreamFactor(record, index) {
  return { address: formatAddress("dx", record.key, index), value: at(record.dx, ...index) };
}

/** A number of a parameter, of the state, or of what is inside a BatchNorm. */
export function arrayFactor(record, name, index) {
  const { parameters, state } = record.layer;
  const found = parameters[name] ?? state[name] ?? record.cache[name];
  return { address: formatAddress(name, record.key, index), value: at(found, ...index) };
}

/** The derivative by a parameter. */
export function gradientFactor(record, name, index) {
  return { address: formatAddress(`d${name}`, record.key, index), value: at(record.gradients[name], ...index) };
}

/** A term of any value. group: terms of one group belong together, such as those of one input channel. */
export function termOf(value, factors, label = "", group = "") {
  return { value, factors, label, group };
}

/** The term times · Π factors. */
export function productOf(factors, { times = 1, label = "", group = "" } = {}) {
  return termOf(
    factors.reduce((product, factor) => product * factor.value, times),
    factors,
    label,
    group,
  );
}

/** {formula, terms, constant}. */
export function partsOf(formula, terms = [], constant = 0) {
  return { formula, terms, constant };
}
