// An image shifted, turned and scaled: each pixel of the new one is interpolated between four of the old one.
import { tensor } from "./tensor.js";

/**
 * x (h, w, c); across, down: pixels; turn: degrees, clockwise; zoom: 2 is twice as large. Black comes in from outside.
 * The map goes from new to old, as in scratchnet/data/augment.py: p_old = centre + A (p - centre - shift).
 */
export function movedImage(x, { across = 0, down = 0, turn = 0, zoom = 1 }) {
  const [h, w, c] = x.shape;
  const y = tensor(x.shape);
  const [ci, cj] = [(h - 1) / 2, (w - 1) / 2];
  const angle = (turn * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) / zoom, Math.sin(angle) / zoom];
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const [di, dj] = [i - ci - down, j - cj - across];
      const [oi, oj] = [ci + cos * di - sin * dj, cj + sin * di + cos * dj];
      for (let k = 0; k < c; k++) y.data[(i * w + j) * c + k] = between(x, oi, oj, k);
    }
  }
  return y;
}

function between(x, i, j, k) {
  const [top, left] = [Math.floor(i), Math.floor(j)];
  const [a, b] = [i - top, j - left];
  return (
    (1 - a) * ((1 - b) * pixelOr0(x, top, left, k) + b * pixelOr0(x, top, left + 1, k)) +
    a * ((1 - b) * pixelOr0(x, top + 1, left, k) + b * pixelOr0(x, top + 1, left + 1, k))
  );
}

function pixelOr0(x, i, j, k) {
  const [h, w, c] = x.shape;
  return i >= 0 && i < h && j >= 0 && j < w ? x.data[(i * w + j) * c + k] : 0;
}
