/** Loss: choose the class that counts as right, and see p - t, where the way back begins. "#loss". */
import { explain } from "../net/ledger.js";
import { targets } from "../net/losses.js";
import { element } from "../ui/dom.js";
import { largestSize } from "../ui/heatmap.js";
import { formatNumber, numberCell, numberLink } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { softmaxTable } from "./dense.js";
import { explanationPanel } from "./explanation.js";
import { leaveWalk, runOf, showWalk } from "./walk.js";

const OF_THE_LOSS = ["loss", "logits", "probabilities", "dlogits"];
const WORDS = {
  SoftmaxCrossEntropy:
    "The loss is −log of the probability that the model gives to the right class. Its derivative by the logits is " +
    "prediction minus truth, p − t.",
  BinaryCrossEntropy:
    "Each output is a yes or no of its own. The derivative by the logits is prediction minus truth, divided by the " +
    "number of outputs.",
  MeanSquaredError:
    "The loss is the mean of the squared differences. The derivative is twice the difference, divided by the number " +
    "of outputs.",
};

export const lossView = {
  name: "loss",
  title: "Loss",
  accepts: (address) => OF_THE_LOSS.includes(address.split("/")[0]),
  show(container, context) {
    showWalk(container, context, "Loss: how wrong is the answer?", (place) => fillLoss(place, context));
  },
  hide: leaveWalk,
};

function fillLoss(place, context) {
  const run = runOf(context);
  const address = addressOf(context, run);
  place.append(
    element("p", {}, WORDS[run.model.loss]),
    labelButtons(context),
    lossLine(run, context),
    gradientTable(run, context),
    run.model.loss === "SoftmaxCrossEntropy" ? softmaxTable(run, context) : "",
    explanationPanel(explain(run, address)),
    sourcePanel(context.sources, `${run.model.loss}.each`, ["log_p = ", "return"]) ?? "",
    sourcePanel(context.sources, "softmax", "return") ?? "",
  );
}

/** The address of the route, or of the whole loss. */
function addressOf(context, run) {
  try {
    return explain(run, context.route.address).address;
  } catch {
    return "loss";
  }
}

/** A button for each class: it becomes the right one. */
export function labelButtons(context) {
  const names = context.model.classNames.length > 1 ? context.model.classNames : ["no", "yes"];
  const buttons = names.map((name, k) =>
    element(
      "button",
      {
        type: "button",
        id: `label-${k}`,
        "aria-pressed": String(k === context.label),
        onclick: () => {
          context.setLabel(k);
          document.getElementById(`label-${k}`)?.focus();
        },
      },
      name,
    ),
  );
  return element(
    "div",
    { class: "controls", role: "group", "aria-label": "The right class" },
    element("span", {}, "Right class:"),
    ...buttons,
  );
}

function lossLine(run, context) {
  const name = context.model.classNames[context.label] ?? context.label;
  const p = run.probabilities[Math.min(context.label, run.probabilities.length - 1)];
  const softmaxed = run.model.loss === "SoftmaxCrossEntropy";
  return element(
    "p",
    { class: "big" },
    softmaxed ? `−log p(${name}) = −log ${formatNumber(p)} = ` : "loss = ",
    numberLink("loss", run.loss, { digits: 6 }),
  );
}

function gradientTable(run, context) {
  const n = run.logits.length;
  const t = targets(context.label, n);
  const scale = Math.max(1e-12, largestSize(run.dlogits));
  const rows = Array.from(run.dlogits, (value, k) =>
    element(
      "tr",
      { class: k === context.label ? "right-class" : "" },
      element("th", { scope: "row" }, context.model.classNames[k]),
      element("td", {}, numberLink(`probabilities/${k}`, run.probabilities[k])),
      element("td", { class: "number" }, formatNumber(t[k])),
      numberCell(value, { scale }),
      element("td", {}, numberLink(`dlogits/${k}`, value)),
    ),
  );
  const head = ["class", "p", "t", "dL/dz", "its terms"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "section",
    { "aria-label": "Derivative by the logits" },
    element("h3", {}, "Prediction minus truth"),
    element(
      "div",
      { class: "table", tabindex: 0, role: "region", "aria-label": "p, t and the derivative" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
    element(
      "p",
      {},
      "A negative derivative says: raise this logit. From here the way back begins: ",
      element(
        "a",
        { href: `#backward/dy/${run.layers.at(-1).key}/${run.layers.at(-1).dy.shape.map(() => 0)}` },
        "backward",
      ),
      ".",
    ),
  );
}
