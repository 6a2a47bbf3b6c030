/**
 * Maps of numbers on a canvas: one canvas pixel a number, enlarged by CSS (class "pixels"). Canvases are written and
 * never read: browsers that resist fingerprinting falsify what is read back.
 */
import { magnitudeColour, signedColour, theme } from "./colours.js";

/** Channel c of a tensor (h, w, channels) -> {shape: [h, w], data}: the slice that `heatmap` shows. */
export function mapOf(tensor, c) {
  const [h, w, channels] = tensor.shape;
  const data = new Float64Array(h * w);
  for (let p = 0; p < h * w; p++) data[p] = tensor.data[p * channels + c];
  return { shape: [h, w], data };
}

/** The largest absolute value, for a scale: 0 for zeros. */
export function largestSize(data) {
  let most = 0;
  for (const value of data) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** Whether a scale must be signed. */
export function hasNegative(data) {
  return data.some((value) => value < 0);
}

/**
 * Draw a slice {shape: [h, w], data}. scale: the value of the full colour; signed: blue and red around zero;
 * ink: white on black in every theme, as images of digits are.
 */
export function heatmap(canvas, slice, { scale = largestSize(slice.data), signed = true, ink = false } = {}) {
  const colours = ink ? { zero: [0, 0, 0], full: [255, 255, 255] } : theme();
  const colour = signed && !ink ? signedColour : magnitudeColour;
  paint(canvas, slice.shape, (p) => colour(slice.data[p], scale, colours));
  return canvas;
}

/** Draw a tensor (h, w, 1) or (h, w, 3) of pixels 0 to 255 as it looks: white ink on black, or in colour. */
export function picture(canvas, x) {
  const [h, w, channels] = x.shape;
  const level = (p, c) => Math.round(x.data[p * channels + Math.min(c, channels - 1)]);
  paint(canvas, [h, w], (p) => [level(p, 0), level(p, 1), level(p, 2)]);
  return canvas;
}

/** A canvas for h × w numbers, each `zoom` CSS pixels large; name: what a screen reader calls it. */
export function makeMap(h, w, zoom, name) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: w, height: h, className: "pixels" });
  canvas.style.setProperty("width", `${w * zoom}px`);
  canvas.style.setProperty("height", `${h * zoom}px`);
  if (name) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name);
  } else {
    canvas.setAttribute("aria-hidden", "true");
  }
  return canvas;
}

function paint(canvas, [h, w], colourOf) {
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const image = new ImageData(w, h);
  for (let p = 0; p < h * w; p++) {
    const [red, green, blue] = colourOf(p);
    image.data.set([red, green, blue, 255], 4 * p);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
