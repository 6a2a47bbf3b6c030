/** What a layer costs, and how far it sees: numbers of the strip. */

/** How many trained and kept numbers a layer has, those of a residual block's layers included. */
export function countParameters(layer) {
  const own = Object.values(layer.arrays ?? {}).map((shape) => shape.reduce((a, b) => a * b, 1));
  const inner = [...(layer.stages ?? []), ...(layer.shortcut ?? [])].map(countParameters);
  return [...own, ...inner].reduce((a, b) => a + b, 0);
}

/**
 * The receptive field of one output number of each layer: [[rows, columns], …] in pixels of the input.
 * A window of k outputs with stride s sees (k - 1) · jump more pixels than one output, and the next jump is s times as
 * large. A layer that mixes all pixels (Dense, a global mean) sees the whole image.
 */
export function receptiveFields(layers, [h, w]) {
  const seen = { rows: 1, columns: 1, jumpRows: 1, jumpColumns: 1 };
  return layers.map((layer) => {
    widen(seen, layer, h, w);
    return [Math.min(seen.rows, h), Math.min(seen.columns, w)];
  });
}

function widen(seen, layer, h, w) {
  const { windows } = layer.settings;
  if (layer.kind === "Dense" || layer.kind === "GlobalAvgPool2D") {
    Object.assign(seen, { rows: h, columns: w });
  } else if (layer.stages) {
    for (const stage of layer.stages) widen(seen, stage, h, w);
  } else if (windows) {
    seen.rows += (windows.k_h - 1) * seen.jumpRows;
    seen.columns += (windows.k_w - 1) * seen.jumpColumns;
    seen.jumpRows *= windows.stride_h;
    seen.jumpColumns *= windows.stride_w;
  }
}

/** 2510000 -> "2.5 M", 18496 -> "18.5 k", 320 -> "320". */
export function shortCount(n) {
  if (n >= 999_500) return `${(n / 1e6).toPrecision(3)} M`;
  if (n >= 10_000) return `${(n / 1e3).toPrecision(3)} k`;
  return String(n);
}
