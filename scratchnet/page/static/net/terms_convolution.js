// The terms of Conv2D and DepthwiseConv2D; see scratchnet/page/terms/convolution.py.
import { arrayFactor, inputFactor, partsOf, productOf, upstreamFactor } from "./parts.js";
import { eachPixel, eachWindow } from "./windows.js";
import { indexOf } from "./tensor.js";

/** b[f], if the layer has a bias. */
export function biasTerms(record, index) {
  return record.layer.parameters.b
    ? [productOf([arrayFactor(record, "b", index)], { label: "bias", group: "bias" })]
    : [];
}

/** y[i, j, f] = Σ x · W + b, grouped by input channel. */
export function convOutput(record, [i, j, f]) {
  const terms = [];
  for (let c = 0; c < record.x.shape[2]; c += 1) {
    eachPixel(record.layer.settings.windows, record.x.shape, i, j, (di, dj, place) => {
      const [row, column] = indexOf(record.x.shape, place);
      const factors = [inputFactor(record, [row, column, c]), arrayFactor(record, "W", [di, dj, c, f])];
      terms.push(productOf(factors, { group: `channel ${c}` }));
    });
  }
  const formula = "y[i, j, f] = Σ x[i·s + di, j·s + dj, c] · W[di, dj, c, f] + b[f]";
  return partsOf(formula, [...terms, ...biasTerms(record, [f])]);
}

/** dx[row, column, c] = Σ over windows and filters: dy · W. */
export function convInput(record, [row, column, c]) {
  const terms = [];
  eachWindow(record.layer.settings.windows, row, column, (i, j, di, dj) => {
    for (let f = 0; f < record.y.shape[2]; f += 1) {
      const factors = [upstreamFactor(record, [i, j, f]), arrayFactor(record, "W", [di, dj, c, f])];
      terms.push(productOf(factors, { group: `window ${i},${j}` }));
    }
  });
  return partsOf("dx[row, column, c] = Σ over the windows with this pixel Σ_f dy[i, j, f] · W[di, dj, c, f]", terms);
}

/** dW[di, dj, c, f] = Σ x · dy over all positions. */
export function convWeight(record, [di, dj, c, f]) {
  const formula = "dW[di, dj, c, f] = Σ over all positions x[i·s + di, j·s + dj, c] · dy[i, j, f]";
  return partsOf(formula, positionTerms(record, di, dj, c, f));
}

/** x · dy of each position of the window at which the weight meets a pixel. */
export function positionTerms(record, di, dj, c, f) {
  const win = record.layer.settings.windows;
  const [h, w] = record.x.shape;
  const terms = [];
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const row = i * win.stride_h + di - win.top;
      const column = j * win.stride_w + dj - win.left;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      const factors = [inputFactor(record, [row, column, c]), upstreamFactor(record, [i, j, f])];
      terms.push(productOf(factors, { group: `row ${i}` }));
    }
  }
  return terms;
}

/** db[f] = Σ dy over all positions. */
export function imageBias(record, [f]) {
  const [h, w] = record.y.shape;
  const terms = [];
  for (let i = 0; i < h; i += 1) {
    for (let j = 0; j < w; j += 1) terms.push(productOf([upstreamFactor(record, [i, j, f])], { group: `row ${i}` }));
  }
  return partsOf("db[f] = Σ dy[i, j, f]", terms);
}

/** y[i, j, c·m + q] = Σ x[.., c] · W[.., c, q] + b. */
export function depthwiseOutput(record, [i, j, f]) {
  const m = record.layer.settings.depth_multiplier;
  const c = Math.floor(f / m);
  const terms = [];
  eachPixel(record.layer.settings.windows, record.x.shape, i, j, (di, dj, place) => {
    const [row, column] = indexOf(record.x.shape, place);
    const factors = [inputFactor(record, [row, column, c]), arrayFactor(record, "W", [di, dj, c, f % m])];
    terms.push(productOf(factors, { group: `channel ${c}` }));
  });
  const formula = "y[i, j, c·m + q] = Σ x[i·s + di, j·s + dj, c] · W[di, dj, c, q] + b[c·m + q]";
  return partsOf(formula, [...terms, ...biasTerms(record, [f])]);
}

/** dx[row, column, c] = Σ over windows and the m filters of this channel: dy · W. */
export function depthwiseInput(record, [row, column, c]) {
  const m = record.layer.settings.depth_multiplier;
  const terms = [];
  eachWindow(record.layer.settings.windows, row, column, (i, j, di, dj) => {
    for (let q = 0; q < m; q += 1) {
      const factors = [upstreamFactor(record, [i, j, c * m + q]), arrayFactor(record, "W", [di, dj, c, q])];
      terms.push(productOf(factors, { group: `window ${i},${j}` }));
    }
  });
  const formula = "dx[row, column, c] = Σ over the windows with this pixel Σ_q dy[i, j, c·m + q] · W[di, dj, c, q]";
  return partsOf(formula, terms);
}

/** dW[di, dj, c, q] = Σ x[.., c] · dy[.., c·m + q] over all positions. */
export function depthwiseWeight(record, [di, dj, c, q]) {
  const formula = "dW[di, dj, c, q] = Σ over all positions x[i·s + di, j·s + dj, c] · dy[i, j, c·m + q]";
  return partsOf(formula, positionTerms(record, di, dj, c, c * record.layer.settings.depth_multiplier + q));
}
