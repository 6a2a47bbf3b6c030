// Layers in a row: forward through all of them; backward in the reverse order.

/**
 * x -> {y, records}: one record a layer, {layer, key, kind, x, y, cache}; backward adds dy, dx and gradients.
 * A residual block's record has the records of its two ways, `stages` and `shortcut`.
 */
export function rowForward(layers, x, training, random) {
  const records = [];
  for (const layer of layers) {
    const { y, cache } = layer.forward(layer, x, training, random);
    const inner = layer.kind === "Residual" ? cache : {};
    records.push({ layer, key: layer.key, kind: layer.kind, x, y, cache, ...inner });
    x = y;
  }
  return { y: x, records };
}

/** dy -> dx; each record keeps its own dy, dx and gradients. */
export function rowBackward(records, dy) {
  for (const record of [...records].reverse()) {
    const { dx, gradients } = record.layer.backward(record.layer, dy, record.cache);
    Object.assign(record, { dy, dx, gradients });
    dy = dx;
  }
  return dy;
}
