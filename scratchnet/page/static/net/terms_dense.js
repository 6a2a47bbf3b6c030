// The terms of Dense: y_j = Σ_i x_i W_ij + b_j,  dx_i = Σ_j dy_j W_ij,  dW_ij = x_i dy_j,  db_j = dy_j.
import { arrayFactor, inputFactor, partsOf, productOf, upstreamFactor } from "./parts.js";
import { biasTerms } from "./terms_convolution.js";

export function denseOutput(record, [j]) {
  const terms = Array.from(record.x.data, (_, i) =>
    productOf([inputFactor(record, [i]), arrayFactor(record, "W", [i, j])]),
  );
  return partsOf("y[j] = Σ_i x[i] · W[i, j] + b[j]", [...terms, ...biasTerms(record, [j])]);
}

export function denseInput(record, [i]) {
  const terms = Array.from(record.y.data, (_, j) =>
    productOf([upstreamFactor(record, [j]), arrayFactor(record, "W", [i, j])]),
  );
  return partsOf("dx[i] = Σ_j dy[j] · W[i, j]", terms);
}

export function denseWeight(record, [i, j]) {
  return partsOf("dW[i, j] = x[i] · dy[j]", [productOf([inputFactor(record, [i]), upstreamFactor(record, [j])])]);
}

export function denseBias(record, index) {
  return partsOf("db[j] = dy[j]", [productOf([upstreamFactor(record, index)])]);
}
