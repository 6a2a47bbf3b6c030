/** Numbers as text, as coloured cells, and as links to their explanation. */
import { element } from "./dom.js";
import { inkOn, magnitudeColour, signedColour, toCss } from "./colours.js";

/** 0.03517 -> "0.03517", -12.3456 -> "−12.35", 1.5e-9 -> "1.500e−9": `digits` significant digits, a true minus sign. */
export function formatNumber(value, digits = 4) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size < 1e-4 || size >= 10 ** Math.max(digits, 5) ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return text.replace("e+", "e").replaceAll("-", "−");
}

/** Every digit of a float64, with a true minus sign. */
export function exactNumber(value) {
  return String(value).replaceAll("-", "−");
}

/** 0.9731 -> "97.3 %"; what is not quite 0 or 100 is not shown as such. */
export function percent(p) {
  if (p > 0.9995 && p < 1) return "> 99.9 %";
  if (p > 0 && p < 0.0005) return "< 0.1 %";
  return `${(100 * p).toFixed(1)} %`;
}

/** Text with an explicit sign: colour is never the only mark of it. */
export function signedNumber(value, digits = 4) {
  return value > 0 ? `+${formatNumber(value, digits)}` : formatNumber(value, digits);
}

/**
 * A cell of a table (tag: "td", "span" …) with a number on its colour. scale: the value of the full colour;
 * signed: blue and red around zero, else a scale from zero on. title holds every digit.
 */
export function numberCell(value, { scale = 1, signed = true, digits = 3, tag = "td" } = {}) {
  const colour = signed ? signedColour(value, scale) : magnitudeColour(value, scale);
  const style = { "background-color": toCss(colour), color: inkOn(colour) };
  const text = signed ? signedNumber(value, digits) : formatNumber(value, digits);
  return element(tag, { class: "number", style, title: exactNumber(value) }, text);
}

/** A link to the explanation of a number: numberLink("dW/4.conv2d/1,2,0,7", 0.12). view: which view shows it. */
export function numberLink(address, value, { view = "", digits = 4 } = {}) {
  const href = `#${view ? `${view}/` : ""}${address}`;
  return element("a", { class: "number", href, title: `${address} = ${exactNumber(value)}` }, formatNumber(value, digits));
}
