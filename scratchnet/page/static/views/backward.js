/**
 * Backward: how the derivative comes back through a layer, to its weights and to its input.
 * "#backward/dW/4.conv2d/1,2,0,7" a weight, "#backward/dx/4.conv2d/5,7,0" an input, "#backward/dy/...": an output.
 */
import { explain, numbersOf } from "../net/ledger.js";
import { at, tensor } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { largestSize } from "../ui/heatmap.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel } from "./explanation.js";
import {
  choice,
  chosenNumber,
  cursorMap,
  goKeeping,
  leaveWalk,
  nothingHere,
  noteAddress,
  runOf,
  showWalk,
} from "./walk.js";
import { channelChoice } from "./walk.js";
import { weightPicture } from "./weight_picture.js";
import { inputPicture } from "./input_picture.js";

const MARKS = {
  Conv2D: { dW: "cols.T @ dy", db: "dy.sum", dx: ["dy @ self.W", "col2im"] },
  DepthwiseConv2D: { dW: "cols.transpose", db: "dy.sum", dx: ["dcols", "col2im"] },
  Dense: { dW: "x.T @ dy", db: "dy.sum", dx: "dy @ self.W.T" },
  ReLU: { dx: "dy * positive" },
  MaxPool2D: { dx: ["put_along_axis", "col2im"] },
  AvgPool2D: { dx: ["dvalue", "col2im"] },
  BatchNorm: { dgamma: "dgamma", dbeta: "dbeta", dx: ["self.gamma * scale"] },
};

export const backwardView = {
  name: "backward",
  title: "Backward",
  accepts: (address) => /^(d[^/]+)\/[^/]+\/[\d,]+$/.test(address) && !address.startsWith("dlogits/"),
  show(container, context) {
    showWalk(container, context, "Backward: where a derivative comes from", (place) => fillBackward(place, context));
  },
  hide: leaveWalk,
};

function fillBackward(place, context) {
  const run = runOf(context);
  const records = Object.values(run.byKey);
  const withWeights = records.filter((record) => Object.keys(record.gradients).length);
  const asked = context.route.rest.length ? records : withWeights.slice(-1);
  const kinds = [...new Set([...records.flatMap((record) => Object.keys(gradientsOf(record))), "dx", "dy"])];
  const chosen = chosenNumber(context, run, asked, kinds);
  if (!chosen) return nothingHere(place, "layer with parameters");
  const { record } = chosen;
  place.append(controls(context, records, chosen), element("p", {}, sentence(record, chosen.kind)));
  const details = element("div", {});
  const draw = (index) => {
    const explanation = explain(run, `${chosen.kind}/${record.key}/${index}`);
    noteAddress(context, "backward", chosen.kind, record.key, index);
    const pictures =
      chosen.kind === "dx"
        ? inputPicture(record, index, explanation)
        : weightPicture(record, chosen.kind, index, explanation);
    const checkable = chosen.kind in gradientsOf(record);
    details.replaceChildren(pictures ?? "", explanationPanel(explanation, { checkable }));
  };
  place.append(mapOfNumbers(context, chosen, draw), details);
  place.append(
    sourcePanel(context.sources, `${record.kind}.backward`, MARKS[record.kind]?.[chosen.kind] ?? "return") ?? "",
  );
  draw(chosen.index);
}

/** dW, db, … of a layer's parameters. */
function gradientsOf(record) {
  return Object.fromEntries(Object.entries(record.gradients).map(([name, g]) => [`d${name}`, g]));
}

function kindsOf(record) {
  return [...Object.keys(gradientsOf(record)), "dx", "dy"];
}

function controls(context, records, { record, kind }) {
  const go = (id) => (value) =>
    goKeeping(context, id === "choose-layer" ? `#backward/${value}` : firstOf(record, value), id);
  const names = { dx: "dx: by the layer's input", dy: "dy: by the layer's output" };
  return element(
    "div",
    { class: "controls" },
    choice(
      "choose-layer",
      "Layer",
      [...records].reverse().map(({ key }) => [key, key]),
      record.key,
      go("choose-layer"),
    ),
    choice(
      "choose-kind",
      "Derivative",
      kindsOf(record).map((name) => [name, names[name] ?? `${name}: by ${name.slice(1)}`]),
      kind,
      go("choose-kind"),
    ),
  );
}

/** The address of the largest number of another kind of the same layer. */
function firstOf(record, kind) {
  const { shape, data } = numbersOf(record)[kind];
  let best = 0;
  data.forEach((value, place) => {
    if (Math.abs(value) > Math.abs(data[best])) best = place;
  });
  const index = [];
  for (const size of [...shape].reverse()) {
    index.unshift(best % size);
    best = Math.floor(best / size);
  }
  return `#backward/${kind}/${record.key}/${index}`;
}

/**
 * The array that the number belongs to, as a map with a cursor: of dW (k_h, k_w, c, f) the kernel of one channel and
 * filter, of (features, units) all of it, of a vector one row.
 */
function mapOfNumbers(context, { record, kind, index }, draw) {
  const array = numbersOf(record)[kind];
  const { slice, channel, cell, indexAt, rest } = sliced(array, index);
  const map = cursorMap(slice, channel, {
    name: `${kind} of ${record.key}${rest}`,
    scale: largestSize(array.data),
    onMove: (place) => draw(indexAt(place)),
    onEnter: () => document.querySelector(".explanation a")?.focus(),
  });
  map.place(cell);
  if (array.shape.length === 2) map.grid.element.classList.add("matrix-map");
  const to = (axis) => (n) =>
    goKeeping(
      context,
      `#backward/${kind}/${record.key}/${index.map((k, a) => (a === axis ? n : k))}`,
      `choose-axis-${axis}`,
    );
  const names =
    array.shape.length === 4 ? { 2: "Input channel", 3: "Filter" } : array.shape.length === 3 ? { 2: "Map" } : {};
  const choices = Object.entries(names).map(([axis, name]) =>
    channelChoice(`choose-axis-${axis}`, name, array.shape[axis], index[axis], to(Number(axis))),
  );
  return element("div", {}, element("div", { class: "controls" }, ...choices), map.element);
}

function sliced(array, index) {
  if (array.shape.length === 4) {
    const [k_h, k_w, c, f] = index;
    const data = Float64Array.from({ length: array.shape[0] * array.shape[1] }, (_, n) =>
      at(array, Math.floor(n / array.shape[1]), n % array.shape[1], c, f),
    );
    const slice = tensor([array.shape[0], array.shape[1], 1], data);
    return {
      slice,
      channel: 0,
      cell: [k_h, k_w],
      indexAt: ([i, j]) => [i, j, c, f],
      rest: `, channel ${c}, filter ${f}`,
    };
  }
  if (array.shape.length === 3)
    return {
      slice: array,
      channel: index[2],
      cell: index.slice(0, 2),
      indexAt: (place) => place,
      rest: `, map ${index[2]}`,
    };
  if (array.shape.length === 2)
    return {
      slice: tensor([...array.shape, 1], array.data),
      channel: 0,
      cell: index,
      indexAt: ([i, j]) => [i, j],
      rest: "",
    };
  return { slice: array, channel: 0, cell: index, indexAt: (place) => place, rest: "" };
}

function sentence(record, kind) {
  if (kind === "dy")
    return (
      "The derivative of the loss by what this layer gives. It is the dx of the layer behind it, or p − t at " +
      "the end."
    );
  const about = {
    "Dense/dW":
      "dW is the outer product of the input and dy: each weight's derivative is its input times the derivative of " +
      "its output.",
    "Dense/dx": "Each input feeds every output, so its derivative is the sum over the outputs of dy times the weight.",
    "Conv2D/dW":
      "The same weight is used at every position. Its derivative is the sum over all positions of input × dy: a " +
      "picture of products.",
    "Conv2D/dx":
      "A pixel is in several windows. Its derivative is the sum over these windows: what im2col copied, col2im adds " +
      "up. Seen from the pixel, the kernel runs backwards; that is all there is to the rotated kernel.",
    "ReLU/dx": "The derivative passes where the input was positive, and nowhere else.",
    "MaxPool2D/dx": "The derivative of each output goes to the number that won its window. The others get exactly 0.",
    "AvgPool2D/dx": "The derivative of each output is spread evenly over its window.",
    "BatchNorm/dx":
      "In evaluation the mean and the variance are constants, and dx is dy times γ · scale. In training they depend " +
      "on every number, and dx has two more terms.",
    "Flatten/dx": "The same numbers in the shape of the input.",
    "Dropout/dx": "The mask of the forward pass decides what comes back.",
    "Residual/dx": "The derivative comes back on two ways, through the branch and around it, and is added up.",
  };
  return about[`${record.kind}/${kind}`] ?? "Its terms are below; each number leads to the ones that it is made of.";
}
