// Convolution: each output is the dot product of a window of the image with the weights of one filter.
//
//     y = cols · W + b            dW = colsᵀ · dy            dcols = dy · Wᵀ, dx = col2im(dcols)
//
// The rows of `cols` are the windows. Here they are not written down: the loops read them out of the image.
import { tensor } from "./tensor.js";
import { eachPixel } from "./windows.js";

/** (h, w, c) -> (out_h, out_w, filters). W: (k_h, k_w, c, filters), b: (filters,). */
export function conv2dForward(layer, x) {
  const win = layer.settings.windows;
  const { W, b } = layer.parameters;
  const [, , c, filters] = W.shape;
  const y = tensor(layer.outputShape);
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const to = (i * win.out_w + j) * filters;
      if (b) y.data.set(b.data, to);
      eachPixel(win, x.shape, i, j, (di, dj, place) => {
        const tap = (di * win.k_w + dj) * c * filters;
        for (let k = 0; k < c; k += 1) addScaled(y.data, to, W.data, tap + k * filters, filters, x.data[place + k]);
      });
    }
  }
  return { y, cache: x };
}

/** dW += x · dy for each window, db = Σ dy, and dx[pixel] += Σ_f dy_f W[.., f]: this += is col2im. */
export function conv2dBackward(layer, dy, x) {
  const win = layer.settings.windows;
  const { W, b } = layer.parameters;
  const [, , c, filters] = W.shape;
  const dx = tensor(x.shape);
  const gradients = { W: tensor(W.shape), ...(b ? { b: tensor(b.shape) } : {}) };
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const from = (i * win.out_w + j) * filters;
      if (b) addScaled(gradients.b.data, 0, dy.data, from, filters, 1);
      eachPixel(win, x.shape, i, j, (di, dj, place) => {
        const tap = (di * win.k_w + dj) * c * filters;
        for (let k = 0; k < c; k += 1) {
          addScaled(gradients.W.data, tap + k * filters, dy.data, from, filters, x.data[place + k]);
          dx.data[place + k] += dot(dy.data, from, W.data, tap + k * filters, filters);
        }
      });
    }
  }
  return { dx, gradients };
}

/** to[t..] += factor · from[f..], `count` numbers. Nothing is done for a factor of 0, and after a ReLU many are. */
export function addScaled(to, t, from, f, count, factor) {
  if (factor === 0) return;
  for (let n = 0; n < count; n += 1) to[t + n] += factor * from[f + n];
}

/** Σ a[i..] b[j..], `count` products. */
export function dot(a, i, b, j, count) {
  let sum = 0;
  for (let n = 0; n < count; n += 1) sum += a[i + n] * b[j + n];
  return sum;
}
