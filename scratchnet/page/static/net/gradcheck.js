// Gradient check: a derivative beside its central difference, computed there and then.
//
//     ∂L/∂w ≈ (L(w + h) - L(w - h)) / 2h            error of order h²
//
// At the corner of a ReLU, or where two numbers of a pooling window are equal, there is no derivative: there the slopes
// to the right and to the left differ for every h; on a smooth curve they approach each other as h shrinks.
import { formatAddress, parseAddress } from "./addresses.js";
import { lossOf, pass } from "./model.js";
import { indexOf, offset } from "./tensor.js";

/**
 * address: "dW/4.conv2d/1,2,0,7", "db/..." or, for a pixel, "dx/5,7,0". settings: {training, seed} of `pass`.
 * -> {address, analytic, central, left, right, corner, error, h, value}: error = |analytic - central| relative to the
 * largest derivative of the same array; value: of the number that is moved.
 */
export function check(model, x, label, address, settings = {}) {
  return checkRun(pass(model, x, label, settings), address);
}

/** The same with a pass that was made before. */
export function checkRun(run, address) {
  const { array, gradient, place, h } = whatMoves(run, address);
  const analytic = gradient.data[place];
  const far = slopesAt(run, array, place, h);
  const near = slopesAt(run, array, place, h / 10);
  const corner = isCorner(far, near);
  const central = (far.left + far.right) / 2;
  const scale = gradient.data.reduce((most, g) => Math.max(most, Math.abs(g)), 1e-10 / h);
  const error = Math.abs(analytic - central) / scale;
  return { address, analytic, central, ...far, corner, error, h, value: array.data[place] };
}

/** [{t, loss}]: the loss while one number moves by t, from -reach to +reach, in 2·steps + 1 points. */
export function lossCurve(run, address, reach, steps = 12) {
  const { array, place } = whatMoves(run, address);
  return Array.from({ length: 2 * steps + 1 }, (_, n) => {
    const t = ((n - steps) / steps) * reach;
    return { t, loss: lossMoved(run, array, place, t) };
  });
}

/** The addresses of `count` derivatives of a layer's parameter: half of them not 0, the others spread over all. */
export function someGradients(record, name, count) {
  const { shape, data } = record.gradients[name];
  const all = Array.from(data.keys());
  const places = new Set(spread(all.filter((place) => data[place] !== 0), Math.ceil(count / 2)));
  for (const place of spread(all.filter((one) => !places.has(one)), count - places.size)) places.add(place);
  return [...places].map((place) => formatAddress(`d${name}`, record.key, indexOf(shape, place)));
}

/** `count` of the items, at equal distances; all of them if there are fewer. */
function spread(items, count) {
  const chosen = Math.min(count, items.length);
  return Array.from({ length: chosen }, (_, n) => items[Math.floor(((n + 0.5) * items.length) / chosen)]);
}

function whatMoves(run, address) {
  const { kind, key, index } = parseAddress(address);
  if (!kind.startsWith("d") || (!key && kind !== "dx")) {
    throw new Error(`${address}: a check is of a derivative by a parameter or a pixel, dW/LAYER/INDEX or dx/5,7,0`);
  }
  const record = key ? run.byKey[key] : run.layers[0];
  const name = kind.slice(1);
  const gradient = key ? record?.gradients[name] : record.dx;
  if (!gradient) throw new Error(`${address}: ${key} has no parameter ${name}`);
  const rescale = run.model.layers[0].kind === "Rescale" ? Math.abs(run.model.layers[0].settings.scale) : 1;
  const h = key ? 1e-5 : 1e-5 / (rescale || 1); // pixels are hundreds where weights are tenths
  return { array: key ? record.layer.parameters[name] : run.x, gradient, place: offset(gradient.shape, ...index), h };
}

function slopesAt(run, array, place, h) {
  const here = lossMoved(run, array, place, 0);
  return { left: (here - lossMoved(run, array, place, -h)) / h, right: (lossMoved(run, array, place, h) - here) / h };
}

/** The loss with one number moved by t; it is put back afterwards. */
function lossMoved(run, array, place, t) {
  const before = array.data[place];
  array.data[place] = before + t;
  try {
    return lossOf(run.model, run.x, run.label, run);
  } finally {
    array.data[place] = before;
  }
}

/** Whether the slopes on both sides still differ when h is a tenth. On a curve a tenth of the gap is left. */
function isCorner(far, near) {
  const gap = Math.abs(near.left - near.right);
  const noise = 1e-3 * Math.max(Math.abs(near.left), Math.abs(near.right), 1e-3);
  return gap > Math.abs(far.left - far.right) / 5 && gap > noise;
}
