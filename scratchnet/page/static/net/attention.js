// Where a network looks: Grad-CAM of its last maps, and the probability with a part of the image covered.
import { predict } from "./model.js";
import { rowBackward, rowForward } from "./row.js";
import { tensor } from "./tensor.js";

/**
 * Grad-CAM (Selvaraju et al. 2017) of class k: max(0, Σ_f a_f · y[i, j, f]),
 * a_f = mean over i, j of dz_k / dy[i, j, f].
 * y: the output of the last layer with maps. -> {key, map: {shape: [h, w], data}}, or null for a network without maps.
 */
export function gradCam(model, x, k) {
  const { y, records } = rowForward(model.layers, x, false, null);
  const one = tensor(y.shape);
  one.data[k] = 1;
  rowBackward(records, one);
  const record = [...records].reverse().find(({ y: { shape } }) => shape.length === 3 && shape[0] > 1 && shape[1] > 1);
  if (!record || record === records[0]) return null;
  const [h, w, filters] = record.y.shape;
  const weights = new Float64Array(filters);
  record.dy.data.forEach((value, place) => (weights[place % filters] += value / (h * w)));
  const data = new Float64Array(h * w);
  for (let p = 0; p < h * w; p++) {
    for (let f = 0; f < filters; f++) data[p] += weights[f] * record.y.data[p * filters + f];
    data[p] = Math.max(0, data[p]);
  }
  return { key: record.key, map: { shape: [h, w], data } };
}

/** x with a square of `side` pixels, centred at (i, j), black. */
export function covered(x, i, j, side) {
  const [h, w, c] = x.shape;
  const y = tensor(x.shape, x.data);
  const half = Math.floor(side / 2);
  for (let a = Math.max(0, i - half); a < Math.min(h, i - half + side); a++) {
    y.data.fill(0, (a * w + Math.max(0, j - half)) * c, (a * w + Math.min(w, j - half + side)) * c);
  }
  return y;
}

/** How much the probability of class k falls when the square at (i, j) is covered. */
export function dropAt(model, x, k, whole, i, j, side) {
  return whole - predict(model, covered(x, i, j, side))[k];
}
