// The ledger: every number of a training step says what it is made of; see scratchnet/page/ledger.py.
import { OF_THE_MODEL, formatAddress, parseAddress } from "./addresses.js";
import { ELEMENTWISE, dropoutInput, dropoutOutput, elementwiseInput, elementwiseOutput } from "./terms_elementwise.js";
import { arrayFactor, partsOf, productOf, upstreamFactor } from "./parts.js";
import { at, tensor } from "./tensor.js";
import { averageInput, averageOutput, globalInput, globalOutput, maxInput, maxOutput } from "./terms_pool.js";
import { borderInput, borderOutput, flattenInput, flattenOutput, isInside } from "./terms_moving.js";
import { residualInput, residualOutput } from "./terms_moving.js";
import { convInput, convOutput, convWeight, imageBias } from "./terms_convolution.js";
import { depthwiseInput, depthwiseOutput, depthwiseWeight } from "./terms_convolution.js";
import { denseBias, denseInput, denseOutput, denseWeight } from "./terms_dense.js";
import { dlogitParts, logitParts, lossParts, probabilityParts, softmaxInput, softmaxOutput } from "./terms_outputs.js";
import { newWeight } from "./terms_step.js";
import { normBeta, normGamma, normInput, normMean, normOutput, normScale, normVariance } from "./terms_batchnorm.js";
import { normXHat } from "./terms_batchnorm.js";

/** Kind of layer -> the terms of its numbers by their kind: y, dx, and others. */
const RULES = {
  ...Object.fromEntries(ELEMENTWISE.map((kind) => [kind, { y: elementwiseOutput, dx: elementwiseInput }])),
  Cropping2D: { y: borderOutput, dx: borderInput },
  ZeroPadding2D: { y: borderOutput, dx: borderInput },
  Conv2D: { y: convOutput, dx: convInput, dW: convWeight, db: imageBias },
  DepthwiseConv2D: { y: depthwiseOutput, dx: depthwiseInput, dW: depthwiseWeight, db: imageBias },
  Softmax: { y: softmaxOutput, dx: softmaxInput },
  MaxPool2D: { y: maxOutput, dx: maxInput },
  AvgPool2D: { y: averageOutput, dx: averageInput },
  GlobalAvgPool2D: { y: globalOutput, dx: globalInput },
  Flatten: { y: flattenOutput, dx: flattenInput },
  Dense: { y: denseOutput, dx: denseInput, dW: denseWeight, db: denseBias },
  Dropout: { y: dropoutOutput, dx: dropoutInput },
  BatchNorm: {
    y: normOutput, dx: normInput, dgamma: normGamma, dbeta: normBeta,
    x_hat: normXHat, mean: normMean, var: normVariance, scale: normScale,
  },
  Residual: { y: residualOutput, dx: residualInput },
};

const OF_THE_OUTPUTS = { logits: logitParts, probabilities: probabilityParts, loss: lossParts, dlogits: dlogitParts };

/**
 * run: of `pass`. step: the optimizer that new.W/... is about.
 * -> {address, value, formula, constant, terms: [{value, label, group, factors: [{address, value}]}]}.
 * An Error for an address that the model does not have; it says what there is.
 */
export function explain(run, address, step = { name: "sgd", settings: {} }) {
  const { kind, key, index } = parseAddress(address);
  const name = formatAddress(kind, key, index);
  if (!key) return { address: name, ...ofTheModel(run, kind, index, name) };
  const record = recordOf(run, key, name);
  const array = numbersOf(record)[kind];
  if (!array) throw new Error(`${name}: ${key} has ${Object.keys(numbersOf(record)).join(", ")}, and no ${kind}`);
  expectIndex(array, index, name);
  if (kind.startsWith("new.")) return { address: name, ...newWeight(record, kind.slice(4), index, step) };
  return { address: name, value: at(array, ...index), ...ofALayer(run, record, kind, index) };
}

/** constant + Σ terms: the value, but for rounding. */
export function totalOf(explanation) {
  return explanation.terms.reduce((sum, term) => sum + term.value, explanation.constant);
}

/** The numbers of a layer by their kind -> the tensor that holds them; of new.W the tensor of W. */
export function numbersOf(record) {
  const { parameters, state } = record.layer;
  const found = { y: record.y, dy: record.dy, dx: record.dx, ...parameters, ...state };
  for (const name of Object.keys(record.gradients)) found[`d${name}`] = record.gradients[name];
  for (const name of Object.keys(record.gradients)) found[`new.${name}`] = parameters[name];
  if (record.kind !== "BatchNorm") return found;
  const { x_hat, mean, var: variance, scale } = record.cache;
  return { ...found, x_hat, mean, var: variance, scale };
}

function ofTheModel(run, kind, index, name) {
  if (!OF_THE_MODEL.includes(kind)) {
    throw new Error(`${name}: ${kind} needs a layer. The layers are ${Object.keys(run.byKey).join(", ")}`);
  }
  if (kind === "loss") return { value: run.loss, ...lossParts(run) };
  if (kind === "x" || kind === "dx") {
    const array = kind === "x" ? run.x : run.layers[0].dx;
    expectIndex(array, index, name);
    const value = at(array, ...index);
    const made = kind === "x" ? partsOf("a pixel of the input", [], value) : inputGradientOf(run.layers[0], index);
    return { value, ...made };
  }
  expectIndex(tensor([run[kind].length]), index, name);
  return { value: run[kind][index[0]], ...OF_THE_OUTPUTS[kind](run, index) };
}

function ofALayer(run, record, kind, index) {
  if (kind === "dy") return upstreamParts(run, record, index);
  const { parameters, state } = record.layer;
  if (kind in parameters || kind in state) {
    const what = kind in parameters ? "a parameter of the model" : "gathered in training";
    return partsOf(what, [], arrayFactor(record, kind, index).value);
  }
  return kind === "dx" ? inputGradientOf(record, index) : RULES[record.kind][kind](record, index);
}

/** dy of a layer: dx of the layer behind it, or what comes back to the end of its row. */
function upstreamParts(run, record, index) {
  if (record.next) return inputGradientOf(record.next, index);
  if (record.owner) {
    return partsOf("dy of the block: both ways are added", [productOf([upstreamFactor(record.owner, index)])]);
  }
  const dlogit = { address: formatAddress("dlogits", "", index), value: run.dlogits[index[0]] };
  return partsOf("dy[k] = dz[k]: the last layer gives the logits", [productOf([dlogit])]);
}

function inputGradientOf(record, index) {
  return RULES[record.kind].dx(record, index);
}

function recordOf(run, key, name) {
  if (!run.byKey[key]) {
    throw new Error(`${name}: no layer is called ${key}. The layers are ${Object.keys(run.byKey).join(", ")}`);
  }
  return run.byKey[key];
}

function expectIndex(array, index, name) {
  if (isInside(index, array.shape)) return;
  throw new Error(`${name}: the shape is ${array.shape.join("×") || "a single number"}`);
}
