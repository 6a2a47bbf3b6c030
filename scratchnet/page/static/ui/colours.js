/**
 * Colours of numbers. Signed values: blue below zero, red above, white (dark theme: near black) at zero, the ends
 * distinguishable for all common kinds of colour blindness, equally far from zero on both sides. Magnitudes: from the
 * ground to one strong colour, monotonic in lightness. A scale is fixed per layer, so that its maps can be compared.
 */

const themes = {
  light: { zero: [255, 255, 255], below: [33, 102, 172], above: [178, 24, 43], full: [8, 48, 107] },
  dark: { zero: [24, 30, 37], below: [103, 169, 255], above: [255, 122, 105], full: [255, 236, 160] },
};

/** The colours of the current theme. */
export function theme() {
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? themes.dark : themes.light;
}

/** value from -scale to scale -> [red, green, blue], 0 to 255. */
export function signedColour(value, scale, colours = theme()) {
  return mixedColour(colours.zero, value < 0 ? colours.below : colours.above, share(Math.abs(value), scale));
}

/** value from 0 to scale -> [red, green, blue]. */
export function magnitudeColour(value, scale, colours = theme()) {
  return mixedColour(colours.zero, colours.full, share(value, scale));
}

/** "#000" or "#fff": which is easier to read on a colour (relative luminance of WCAG 2). */
export function inkOn([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map((level) => {
    const s = level / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** [1, 2, 3] -> "rgb(1, 2, 3)". */
export function toCss(colour) {
  return `rgb(${colour.join(", ")})`;
}

function share(size, scale) {
  return scale > 0 ? Math.min(Math.max(size / scale, 0), 1) : 0;
}

function mixedColour(from, to, part) {
  return from.map((level, k) => Math.round(level + part * (to[k] - level)));
}
