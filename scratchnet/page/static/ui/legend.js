/** The key of a heat map: which colour is which value. Every map on the page has one. */
import { element } from "./dom.js";
import { magnitudeColour, signedColour, toCss } from "./colours.js";
import { formatNumber } from "./number.js";

/** -> an element; scale, signed as of `heatmap`; label: what the numbers are. */
export function legend(scale, { signed = true, label = "" } = {}) {
  const from = signed ? -scale : 0;
  const colour = signed ? signedColour : magnitudeColour;
  const steps = Array.from({ length: 9 }, (_, k) => toCss(colour(from + (k / 8) * (scale - from), scale)));
  const bar = element("span", {
    class: "legend-bar", "aria-hidden": true, style: { background: `linear-gradient(to right, ${steps.join(", ")})` },
  });
  return element("p", { class: "legend" }, label ? `${label}: ` : "", formatNumber(from, 3), bar, formatNumber(scale, 3));
}
