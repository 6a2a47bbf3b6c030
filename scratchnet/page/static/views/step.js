/**
 * One step: what an optimizer does to every weight, and what that does to the loss of this digit and of 100 others.
 * "#step", "#step/new.W/4.conv2d/1,2,0,7".
 */
import { explain } from "../net/ledger.js";
import { lossOf } from "../net/model.js";
import { OPTIMIZERS } from "../net/optimizers.js";
import { indexOf } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { announce } from "../ui/live.js";
import { lineChart } from "../ui/chart.js";
import { formatNumber, numberLink, signedNumber } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel } from "./explanation.js";
import { choice, leaveWalk, showWalk } from "./walk.js";
import { labelButtons } from "./loss.js";
import { changesOf, stepped } from "./stepping.js";

const stepState = {
  name: "sgd",
  rates: Object.fromEntries(Object.entries(OPTIMIZERS).map(([name, { lr }]) => [name, lr])),
  before: null,
  turn: 0,
};
const OTHERS = 100;
const SOURCES = {
  sgd: ["SGD.update", "v[...] ="],
  momentum: ["SGD.update", "v[...] ="],
  rmsprop: ["RMSprop.update", "s[...] ="],
  adam: ["Adam.update", "m_hat ="],
};

export const stepView = {
  name: "step",
  title: "One step",
  accepts: (address) => address.startsWith("new."),
  show(container, context) {
    showWalk(container, context, "One step: the weights move, the loss falls?", (place) => fillStep(place, context));
  },
  hide() {
    stepState.turn += 1;
    leaveWalk();
  },
};

function fillStep(place, context) {
  const results = element("div", { id: "step-results" });
  const optimizer = choice(
    "choose-optimizer",
    "Optimizer",
    Object.keys(OPTIMIZERS).map((name) => [name, name]),
    stepState.name,
    (name) => {
      stepState.name = name;
      place.replaceChildren();
      fillStep(place, context);
      document.getElementById("choose-optimizer")?.focus();
    },
  );
  const rate = element("input", {
    type: "range",
    id: "rate",
    min: -4,
    max: 1,
    step: 0.05,
    value: Math.log10(stepState.rates[stepState.name]),
  });
  const shown = element("output", { for: "rate", class: "number" }, formatNumber(stepState.rates[stepState.name], 3));
  rate.addEventListener("input", () => {
    stepState.rates[stepState.name] = 10 ** Number(rate.value);
    shown.textContent = formatNumber(stepState.rates[stepState.name], 3);
  });
  rate.addEventListener("change", () => showStep(results, context));
  const [source, mark] = SOURCES[stepState.name];
  place.append(
    element(
      "p",
      {},
      "All weights are moved by one step on this digit alone, in evaluation mode; the optimizer's memory is empty. " +
        "The model itself stays as it is.",
    ),
    labelButtons(context),
    element(
      "div",
      { class: "controls" },
      optimizer,
      element("label", { class: "choice wide", for: "rate" }, "Learning rate ", shown, rate),
    ),
    results,
    sourcePanel(context.sources, source, [mark, "p -=", "p +="]) ?? "",
  );
  showStep(results, context);
}

/** {name, settings} of the chosen optimizer. */
function chosenStep() {
  return { name: stepState.name, settings: { lr: stepState.rates[stepState.name] } };
}

function showStep(results, context) {
  stepState.turn += 1;
  const run = context.pass();
  const after = stepped(run, chosenStep());
  const loss = lossOf(after, run.x, run.label);
  const others = element(
    "p",
    { id: "other-losses", class: "soft" },
    context.tray.length
      ? `Looking at ${Math.min(OTHERS, context.tray.length)} other digits …`
      : "There are no other digits in this page.",
  );
  const change = loss - run.loss;
  results.replaceChildren(
    element(
      "p",
      { class: "big", "data-before": run.loss, "data-after": loss },
      "This digit: loss ",
      numberLink("loss", run.loss),
      ` before, ${formatNumber(loss)} after `,
      element(
        "span",
        { class: change < 0 ? "good" : change > 0 ? "warning" : "soft" },
        change < 0 ? "▼ smaller" : change > 0 ? "▲ larger: the step is too long" : "unchanged",
      ),
    ),
    others,
    stepState.name === "sgd" ? slopeChart(run) : "",
    largestChanges(run, after),
    chosenNew(context, run),
  );
  announce(`Loss ${formatNumber(run.loss)} before, ${formatNumber(loss)} after the step`);
  compareOthers(others, context, after, stepState.turn);
}

/** The mean loss of the tray's digits with the old and the new weights, a few at a time. */
async function compareOthers(place, context, after, turn) {
  const images = context.tray.slice(0, OTHERS);
  if (!images.length) return;
  const sums = [0, 0];
  for (const { x, label } of images) {
    await new Promise((done) => setTimeout(done));
    if (stepState.turn !== turn) return;
    sums[0] += knownLoss(context, x, label);
    sums[1] += lossOf(after, x, label);
  }
  const [before, now] = sums.map((sum) => sum / images.length);
  place.classList.remove("soft");
  place.replaceChildren(
    `${images.length} other digits: mean loss ${formatNumber(before)} before, ${formatNumber(now)} after `,
    element(
      "span",
      { class: now <= before ? "good" : "warning" },
      now <= before ? "▼ smaller" : "▲ larger: what helps one digit can hurt others",
    ),
  );
}

/** The loss of an image of the tray with the weights as they are; each is calculated once. */
function knownLoss(context, x, label) {
  stepState.before ??= new Map();
  if (!stepState.before.has(x)) stepState.before.set(x, lossOf(context.model, x, label));
  return stepState.before.get(x);
}

/** L(W - lr · g) over the rate, beside the line that the whole gradient promises, L - lr |g|². */
function slopeChart(run) {
  const squares = Object.values(run.byKey)
    .flatMap((record) => Object.values(record.gradients))
    .reduce((sum, g) => sum + g.data.reduce((a, value) => a + value * value, 0), 0);
  const useful = squares > 0 ? Math.min(1e3, (2 * run.loss) / squares) : 1;
  const top = Math.max(useful, Math.min(stepState.rates.sgd, 10 * useful));
  const rates = Array.from({ length: 17 }, (_, n) => (top * n) / 16);
  const points = rates.map((lr) => [lr, lossOf(stepped(run, { name: "sgd", settings: { lr } }), run.x, run.label)]);
  const line = rates.map((lr) => [lr, Math.max(run.loss - lr * squares, 0)]);
  return lineChart(
    [
      { name: "loss after the step", points },
      { name: "promised: L − lr |g|²", points: line, dashed: true },
    ],
    {
      title: "Plain SGD: the loss after steps of different lengths",
      xLabel: "learning rate",
      yLabel: "loss",
      yFrom: 0,
    },
  );
}

function largestChanges(run, after) {
  const rows = changesOf(run, after).map(({ record, name, place, change, shape }) => {
    const index = indexOf(shape, place);
    const before = record.layer.parameters[name].data[place];
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, `${name} of ${record.key}`),
      element("td", {}, numberLink(`${name}/${record.key}/${index}`, before)),
      element("td", {}, numberLink(`d${name}/${record.key}/${index}`, record.gradients[name].data[place])),
      element("td", { class: "number" }, signedNumber(change)),
      element("td", {}, numberLink(`new.${name}/${record.key}/${index}`, before + change)),
    );
  });
  const head = ["largest change", "before", "derivative", "change", "after"].map((name) =>
    element("th", { scope: "col" }, name),
  );
  return element(
    "section",
    { "aria-label": "Largest changes" },
    element("h3", {}, "The largest change in each array"),
    element(
      "div",
      { class: "table", tabindex: 0, role: "region", "aria-label": "Largest changes" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}

/** The explanation of the weight in the address, after the step. */
function chosenNew(context, run) {
  if (!context.route.address.startsWith("new.")) return "";
  try {
    return explanationPanel(explain(run, context.route.address, chosenStep()));
  } catch (error) {
    return element("p", { class: "warning" }, error.message);
  }
}
