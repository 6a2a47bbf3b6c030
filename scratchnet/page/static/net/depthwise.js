// Depthwise convolution: each channel has m filters of its own, and channels are not added up.
import { tensor } from "./tensor.js";
import { eachPixel } from "./windows.js";
import { addScaled, dot } from "./conv.js";

/** (h, w, c) -> (out_h, out_w, c·m): outputs k·m to k·m + m - 1 see channel k alone. W: (k_h, k_w, c, m). */
export function depthwiseConv2dForward(layer, x) {
  const win = layer.settings.windows;
  const { W, b } = layer.parameters;
  const [, , c, m] = W.shape;
  const y = tensor(layer.outputShape);
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const to = (i * win.out_w + j) * c * m;
      if (b) y.data.set(b.data, to);
      eachPixel(win, x.shape, i, j, (di, dj, place) => {
        const tap = (di * win.k_w + dj) * c * m;
        for (let k = 0; k < c; k += 1) addScaled(y.data, to + k * m, W.data, tap + k * m, m, x.data[place + k]);
      });
    }
  }
  return { y, cache: x };
}

/** dW += x · dy, db = Σ dy, dx[pixel] += Σ dy W: as for a convolution, channel by channel. */
export function depthwiseConv2dBackward(layer, dy, x) {
  const win = layer.settings.windows;
  const { W, b } = layer.parameters;
  const [, , c, m] = W.shape;
  const dx = tensor(x.shape);
  const gradients = { W: tensor(W.shape), ...(b ? { b: tensor(b.shape) } : {}) };
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const from = (i * win.out_w + j) * c * m;
      if (b) addScaled(gradients.b.data, 0, dy.data, from, c * m, 1);
      eachPixel(win, x.shape, i, j, (di, dj, place) => {
        const tap = (di * win.k_w + dj) * c * m;
        for (let k = 0; k < c; k += 1) {
          addScaled(gradients.W.data, tap + k * m, dy.data, from + k * m, m, x.data[place + k]);
          dx.data[place + k] += dot(dy.data, from + k * m, W.data, tap + k * m, m);
        }
      });
    }
  }
  return { dx, gradients };
}
