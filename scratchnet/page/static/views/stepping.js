/** A model after one step: a copy whose parameters have moved; the model of the page is not changed. */
import { update } from "../net/optimizers.js";
import { penalised } from "../net/terms_step.js";

/** run: of `pass`. step: {name, settings} of `update`. -> a model for `lossOf` and `predict`. */
export function stepped(run, step) {
  return { ...run.model, layers: run.model.layers.map((layer) => steppedLayer(run, layer, step)) };
}

function steppedLayer(run, layer, step) {
  if (layer.kind === "Residual") {
    const inner = (layers) => layers.map((part) => steppedLayer(run, part, step));
    return { ...layer, stages: inner(layer.stages), shortcut: inner(layer.shortcut) };
  }
  if (!layer.trainable) return layer;
  const record = run.byKey[layer.key];
  const parameters = Object.fromEntries(
    Object.entries(layer.parameters).map(([name, weight]) => [
      name,
      update(step.name, step.settings, weight, penalised(record, name)).weight,
    ]),
  );
  return { ...layer, parameters };
}

/** The largest change of each parameter array: [{record, name, place, change, shape}]. */
export function changesOf(run, after) {
  const layers = Object.fromEntries(flat(after.layers).map((layer) => [layer.key, layer]));
  return Object.values(run.byKey).flatMap((record) =>
    Object.keys(record.gradients).map((name) => {
      const before = record.layer.parameters[name];
      const now = layers[record.key].parameters[name];
      let place = 0;
      for (let n = 1; n < before.data.length; n += 1) {
        if (Math.abs(now.data[n] - before.data[n]) > Math.abs(now.data[place] - before.data[place])) place = n;
      }
      return { record, name, place, change: now.data[place] - before.data[place], shape: before.shape };
    }),
  );
}

function flat(layers) {
  return layers.flatMap((layer) => (layer.kind === "Residual" ? flat([...layer.stages, ...layer.shortcut]) : [layer]));
}
