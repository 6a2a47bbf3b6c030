// Pooling: summarise each window of each channel by one number.
//
// Max-pooling keeps the largest number, and only that one receives a gradient; on a tie the first wins. Average pooling
// spreads the gradient evenly. What lies in the padding counts for nothing.
import { tensor } from "./tensor.js";
import { eachPixel } from "./windows.js";

/** y = the largest value of each window. cache: the place in x of each winner. */
export function maxPool2dForward(layer, x) {
  const win = layer.settings.windows;
  const c = x.shape[2];
  const y = tensor(layer.outputShape);
  y.data.fill(-Infinity);
  const winner = new Int32Array(y.data.length).fill(-1);
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const to = (i * win.out_w + j) * c;
      eachPixel(win, x.shape, i, j, (di, dj, place) => {
        for (let k = 0; k < c; k += 1) {
          if (winner[to + k] < 0 || x.data[place + k] > y.data[to + k]) {
            y.data[to + k] = x.data[place + k];
            winner[to + k] = place + k;
          }
        }
      });
    }
  }
  return { y, cache: winner };
}

/** dx = dy at the winner of each window, 0 at the others. */
export function maxPool2dBackward(layer, dy, winner) {
  const dx = tensor(layer.inputShape);
  for (let n = 0; n < dy.data.length; n += 1) dx.data[winner[n]] += dy.data[n];
  return { dx, gradients: {} };
}

/** y = the mean of each window. */
export function avgPool2dForward(layer, x) {
  const win = layer.settings.windows;
  const c = x.shape[2];
  const y = tensor(layer.outputShape);
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const to = (i * win.out_w + j) * c;
      const m = pixelsIn(win, x.shape, i, j);
      eachPixel(win, x.shape, i, j, (di, dj, place) => {
        for (let k = 0; k < c; k += 1) y.data[to + k] += x.data[place + k];
      });
      for (let k = 0; k < c; k += 1) y.data[to + k] /= m;
    }
  }
  return { y, cache: null };
}

/** Each of the m pixels in a window gets dy / m. */
export function avgPool2dBackward(layer, dy) {
  const win = layer.settings.windows;
  const c = layer.inputShape[2];
  const dx = tensor(layer.inputShape);
  for (let i = 0; i < win.out_h; i += 1) {
    for (let j = 0; j < win.out_w; j += 1) {
      const from = (i * win.out_w + j) * c;
      const m = pixelsIn(win, layer.inputShape, i, j);
      eachPixel(win, layer.inputShape, i, j, (di, dj, place) => {
        for (let k = 0; k < c; k += 1) dx.data[place + k] += dy.data[from + k] / m;
      });
    }
  }
  return { dx, gradients: {} };
}

/** m: how many pixels of the image lie in the window of output (i, j). */
export function pixelsIn(win, shape, i, j) {
  let m = 0;
  eachPixel(win, shape, i, j, () => {
    m += 1;
  });
  return m;
}

/** The mean of each channel over the whole image: (h, w, c) -> (c,). */
export function globalAvgPool2dForward(layer, x) {
  const [h, w, c] = x.shape;
  const y = tensor([c]);
  for (let place = 0; place < x.data.length; place += 1) y.data[place % c] += x.data[place] / (h * w);
  return { y, cache: null };
}

/** Each of the h·w pixels gets dy / (h·w). */
export function globalAvgPool2dBackward(layer, dy) {
  const [h, w, c] = layer.inputShape;
  const dx = tensor(layer.inputShape);
  for (let place = 0; place < dx.data.length; place += 1) dx.data[place] = dy.data[place % c] / (h * w);
  return { dx, gradients: {} };
}
