// A model: layers in a row, made from what Python said about it (model.json) and its arrays (model.safetensors).
import { countOf, tensor } from "./tensor.js";
import { avgPool2dBackward, avgPool2dForward, globalAvgPool2dBackward, globalAvgPool2dForward } from "./pool.js";
import { maxPool2dBackward, maxPool2dForward } from "./pool.js";
import { batchNormBackward, batchNormForward } from "./batchnorm.js";
import { conv2dBackward, conv2dForward } from "./conv.js";
import { cropping2dBackward, cropping2dForward } from "./cropping.js";
import { denseBackward, denseForward } from "./dense.js";
import { depthwiseConv2dBackward, depthwiseConv2dForward } from "./depthwise.js";
import { dropoutBackward, dropoutForward } from "./dropout.js";
import { eluBackward, eluForward, reluBackward, reluForward } from "./activation.js";
import { leakyReluBackward, leakyReluForward } from "./activation.js";
import { flattenBackward, flattenForward } from "./flatten.js";
import { geluBackward, geluForward, sigmoidBackward, sigmoidForward } from "./smooth_activations.js";
import { siluBackward, siluForward, softmaxBackward, softmaxForward } from "./smooth_activations.js";
import { tanhBackward, tanhForward } from "./smooth_activations.js";
import { rescaleBackward, rescaleForward } from "./rescale.js";
import { residualBackward, residualForward } from "./residual.js";
import { zeroPadding2dBackward, zeroPadding2dForward } from "./padding.js";
import { exampleRandom } from "./randomness.js";
import { rowBackward, rowForward } from "./row.js";
import { LOSSES } from "./losses.js";

const FORMAT_OF_MODEL = 1;

/** The name of a layer's class -> [forward(layer, x, training, random), backward(layer, dy, cache)]. */
export const LAYERS = {
  Rescale: [rescaleForward, rescaleBackward],
  Cropping2D: [cropping2dForward, cropping2dBackward],
  ZeroPadding2D: [zeroPadding2dForward, zeroPadding2dBackward],
  Conv2D: [conv2dForward, conv2dBackward],
  DepthwiseConv2D: [depthwiseConv2dForward, depthwiseConv2dBackward],
  ReLU: [reluForward, reluBackward],
  LeakyReLU: [leakyReluForward, leakyReluBackward],
  ELU: [eluForward, eluBackward],
  GELU: [geluForward, geluBackward],
  SiLU: [siluForward, siluBackward],
  Sigmoid: [sigmoidForward, sigmoidBackward],
  Tanh: [tanhForward, tanhBackward],
  Softmax: [softmaxForward, softmaxBackward],
  MaxPool2D: [maxPool2dForward, maxPool2dBackward],
  AvgPool2D: [avgPool2dForward, avgPool2dBackward],
  GlobalAvgPool2D: [globalAvgPool2dForward, globalAvgPool2dBackward],
  Flatten: [flattenForward, flattenBackward],
  Dense: [denseForward, denseBackward],
  Dropout: [dropoutForward, dropoutBackward],
  BatchNorm: [batchNormForward, batchNormBackward],
  Residual: [residualForward, residualBackward],
};

const STATE_NAMES = ["running_mean", "running_var"];

/**
 * description: model.json. tensors: {"4.conv2d.W": {shape, data}, ...}, of readSafetensors.
 * -> {layers, inputShape, outputShape, classNames, loss, description}; a layer is {index, key, kind, settings,
 * trainable, inputShape, outputShape, parameters: {W, b}, state: {running_mean, ...}, forward, backward, stages,
 * shortcut}.
 */
export function makeModel(description, tensors) {
  if (description.format !== FORMAT_OF_MODEL) {
    throw new Error(`model.json has format ${description.format}, this page reads ${FORMAT_OF_MODEL}`);
  }
  if (!(description.loss in LOSSES)) throw new Error(`the page has no loss ${description.loss}`);
  const { inputShape, outputShape, classNames, loss } = description;
  const layers = description.layers.map((about) => makeLayer(about, tensors));
  return { layers, inputShape, outputShape, classNames, loss, description };
}

function makeLayer(about, tensors) {
  if (!(about.kind in LAYERS)) throw new Error(`the page has no layer ${about.kind} (${about.key})`);
  const [forward, backward] = LAYERS[about.kind];
  const layer = { ...about, forward, backward, parameters: {}, state: {} };
  if (about.kind === "Residual") {
    layer.stages = about.stages.map((inner) => makeLayer(inner, tensors));
    layer.shortcut = about.shortcut.map((inner) => makeLayer(inner, tensors));
    return layer;
  }
  for (const [name, shape] of Object.entries(about.arrays)) {
    const found = tensors[`${about.key}.${name}`];
    if (!found || found.shape.join() !== shape.join()) {
      const got = found ? found.shape.join("×") : "nothing";
      throw new Error(`${about.key}.${name} must be ${shape.join("×")}, got ${got}`);
    }
    (STATE_NAMES.includes(name) ? layer.state : layer.parameters)[name] = found;
  }
  return layer;
}

/** Pixels (h, w, c), 0 to 255 where the model begins with a Rescale -> Float64Array of probabilities. */
export function predict(model, x) {
  const { y } = rowForward(model.layers, expectInput(model, x), false, null);
  return LOSSES[model.loss](y.data, 0).probabilities;
}

/**
 * Forward and backward, with every number kept:
 * {model, x, label, training, seed, layers: records, byKey, logits, probabilities, loss, dlogits}.
 * training: as in a training step on this one image; seed: of the dropout masks.
 */
export function pass(model, x, label, { training = false, seed = 0 } = {}) {
  const { y, records } = rowForward(model.layers, expectInput(model, x), training, exampleRandom(seed));
  const { value, dlogits, probabilities } = LOSSES[model.loss](y.data, label);
  rowBackward(records, tensor(y.shape, dlogits));
  linkRecords(records, "x", null);
  const byKey = Object.fromEntries(everyRecord(records).map((record) => [record.key, record]));
  const outer = { logits: y.data, probabilities, loss: value, dlogits };
  return { model, x, label, training, seed, layers: records, byKey, ...outer };
}

/**
 * Say of each record where its numbers come from: source, what the address of its input begins with; next, the record
 * behind it in its row; owner, the block that the row is in.
 */
function linkRecords(records, source, owner) {
  records.forEach((record, n) => {
    Object.assign(record, { source, owner, next: records[n + 1] ?? null });
    if (record.kind === "Residual") {
      linkRecords(record.stages, source, record);
      linkRecords(record.shortcut, source, record);
    }
    source = `y/${record.key}`;
  });
}

/** The loss alone, of an image and its label. */
export function lossOf(model, x, label, { training = false, seed = 0 } = {}) {
  const { y } = rowForward(model.layers, expectInput(model, x), training, exampleRandom(seed));
  return LOSSES[model.loss](y.data, label).value;
}

/** All records, those within residual blocks right behind their block's. */
export function everyRecord(records) {
  return records.flatMap((record) => [
    record,
    ...everyRecord(record.stages ?? []),
    ...everyRecord(record.shortcut ?? []),
  ]);
}

/** All layers that have parameters, those within residual blocks included. */
export function layersWithParameters(layers) {
  return layers.flatMap((layer) =>
    layer.kind === "Residual"
      ? layersWithParameters([...layer.stages, ...layer.shortcut])
      : Object.keys(layer.parameters).length
        ? [layer]
        : [],
  );
}

function expectInput(model, x) {
  if (x.data.length !== countOf(model.inputShape)) {
    throw new Error(`the model's input is ${model.inputShape.join("×")}, got ${x.shape.join("×")}`);
  }
  return x;
}
