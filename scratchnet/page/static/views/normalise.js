/**
 * Two layers that behave differently in training: BatchNorm and Dropout, in both modes side by side.
 * "#normalise/y/2.batchnorm/5,7,12"; training is that of a step on this image alone.
 */
import { explain } from "../net/ledger.js";
import { at, tensor } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { largestSize } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { formatNumber, numberLink } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel } from "./explanation.js";
import {
  channelChoice,
  chosenNumber,
  cursorMap,
  goKeeping,
  kindAt,
  layerChoice,
  leaveWalk,
  noteAddress,
} from "./walk.js";
import { nothingHere, recordsOf, refreshWalk, runOf, showWalk, walkMode } from "./walk.js";

const TWO_MODES = ["BatchNorm", "Dropout"];
const INSIDE = ["y", "x_hat", "mean", "var", "scale"];
export const normaliseView = {
  name: "normalise",
  title: "Train or not",
  accepts: (address, model) => INSIDE.includes(address.split("/")[0]) && TWO_MODES.includes(kindAt(address, model)),
  show(container, context) {
    showWalk(container, context, "BatchNorm and Dropout: training is not evaluation", (place) =>
      fillNormalise(place, context),
    );
  },
  hide: leaveWalk,
};

function fillNormalise(place, context) {
  const runs = [context.pass(), context.pass({ training: true, seed: walkMode().seed })];
  const run = runOf(context);
  const records = recordsOf(run, TWO_MODES);
  const chosen = chosenNumber(context, run, records, INSIDE);
  if (!chosen) return nothingHere(place, "BatchNorm and no Dropout");
  const { record, kind } = chosen;
  const isNorm = record.kind === "BatchNorm";
  const flat = record.y.shape.length === 1;
  const full = chosen.index.length === record.y.shape.length;
  const state = {
    index: full
      ? chosen.index
      : record.y.shape.map((size, axis) => (axis === record.y.shape.length - 1 ? chosen.index[0] : 0)),
  };
  const channel = flat ? 0 : state.index[2];
  const toChannel = (c) =>
    goKeeping(context, `#normalise/y/${record.key}/${[...state.index.slice(0, 2), c]}`, "choose-channel");
  const details = element("div", {});
  const output = cursorMap(record.y, channel, {
    name: `Output in ${walkMode().training ? "training" : "evaluation"}`,
    scale: largestSize(record.y.data),
    onMove: (index) => move(index),
  });
  place.append(
    element(
      "div",
      { class: "controls" },
      layerChoice(context, "normalise", records, record),
      !flat && channelChoice("choose-channel", `Map (of ${record.y.shape[2]})`, record.y.shape[2], channel, toChannel),
      modes(),
    ),
    element("p", {}, isNorm ? normSentence() : dropSentence(record)),
    isNorm ? statistics(runs, record.key, state.index.at(-1)) : "",
    element("div", { class: "side-by-side" }, ...inputMaps(record, channel), output.element),
    legend(largestSize(record.y.data), { label: "output" }),
    details,
    sourcePanel(context.sources, `${record.kind}.forward`, marks(isNorm)) ?? "",
  );
  const move = (index) => {
    state.index = index;
    const shown = full ? kind : "y";
    noteAddress(context, "normalise", shown, record.key, index);
    draw(`${shown}/${record.key}/${index}`);
  };
  const draw = (address) =>
    details.replaceChildren(
      isNorm ? chain(runs, record.key, state.index) : "",
      explanationPanel(explain(run, address)),
    );
  output.place(state.index);
  draw(`${kind}/${record.key}/${chosen.index}`);
}

function marks(isNorm) {
  if (!isNorm) return walkMode().training ? ["keep =", "mask ="] : "return x, None";
  return walkMode().training
    ? ["batch_statistics", "x_hat ="]
    : ["self.running_mean, self.running_var, None", "x_hat ="];
}

/** Evaluation or training, and new random numbers. */
function modes() {
  const buttons = [
    ["Evaluation", false],
    ["Training", true],
  ].map(([name, training]) =>
    element(
      "button",
      {
        type: "button",
        id: `mode-${name}`,
        "aria-pressed": String(walkMode().training === training),
        onclick: () => {
          walkMode({ training });
          refreshWalk(`mode-${name}`);
        },
      },
      name,
    ),
  );
  const again = element(
    "button",
    {
      type: "button",
      id: "other-mask",
      onclick: () => {
        walkMode({ seed: walkMode().seed + 1 });
        refreshWalk("other-mask");
      },
    },
    "Other random numbers",
  );
  return element("span", { class: "controls", role: "group", "aria-label": "Mode" }, ...buttons, again);
}

function normSentence() {
  return (
    "In training a BatchNorm takes the mean and the variance of the batch, here of this one image; in " +
    "evaluation the averages gathered in training, so that an answer does not depend on its neighbours."
  );
}

function dropSentence(record) {
  const { rate } = record.layer.settings;
  return (
    `In training each number is set to 0 with probability ${rate}, the others are divided by ` +
    `${formatNumber(1 - rate, 3)}; in evaluation all pass as they are. The expected value is the same.`
  );
}

/** μ, σ², scale, γ and β of one channel in both modes. */
function statistics(runs, key, c) {
  const rows = [
    ["μ", "mean"],
    ["σ²", "var"],
    ["1 / √(σ² + ε)", "scale"],
    ["γ", "gamma"],
    ["β", "beta"],
  ].map(([sign, name]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, sign),
      ...runs.map((run) => {
        const record = run.byKey[key];
        const array = record.layer.parameters[name] ?? record.cache[name];
        return element(
          "td",
          {},
          run.training
            ? element("span", { class: "number" }, formatNumber(array.data[c]))
            : numberLink(`${name}/${key}/${c}`, array.data[c]),
        );
      }),
    ),
  );
  const head = [`channel ${c}`, "evaluation", "training"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "div",
    { class: "table" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
  );
}

/** One number on its way: x, x̂, y in both modes. */
function chain(runs, key, index) {
  const rows = runs.map((run, n) => {
    const record = run.byKey[key];
    const numbers = [at(record.x, ...index), at(record.cache.x_hat, ...index), at(record.y, ...index)];
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, n ? "training" : "evaluation"),
      ...numbers.map((value) => element("td", { class: "number" }, formatNumber(value))),
    );
  });
  const head = [`[${index.join(", ")}]`, "x", "x̂", "y"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "div",
    { class: "table" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
  );
}

/** Input, and mask of a Dropout. */
function inputMaps(record, channel) {
  const input = cursorMap(record.x, channel, { name: "Input", scale: largestSize(record.x.data) });
  const mask =
    record.kind === "Dropout" && record.cache
      ? cursorMap(tensor(record.x.shape, record.cache), channel, { name: "mask", scale: largestSize(record.cache) })
          .element
      : "";
  return [input.element, mask];
}
