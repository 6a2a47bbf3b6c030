/**
 * Dense: what each input contributes to a class, and why this one and not that one. "#dense/y/9.dense/4",
 * "#dense/y/9.dense/4/9": 4 rather than 9.
 */
import { explain } from "../net/ledger.js";
import { softmax } from "../net/smooth_activations.js";
import { tensor } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { largestSize } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { asMaps, montage } from "../ui/montage.js";
import { formatNumber, numberCell, numberLink, percent, signedNumber } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel } from "./explanation.js";
import {
  choice,
  chosenNumber,
  goKeeping,
  kindAt,
  layerChoice,
  leaveWalk,
  nothingHere,
  recordsOf,
  runOf,
  showWalk,
} from "./walk.js";

export const denseView = {
  name: "dense",
  title: "Dense",
  accepts: (address, model) => address.startsWith("y/") && kindAt(address, model) === "Dense",
  show(container, context) {
    showWalk(container, context, "Dense: which inputs speak for a class", (place) => fillDense(place, context));
  },
  hide: leaveWalk,
};

function fillDense(place, context) {
  const run = runOf(context);
  const records = recordsOf(run, ["Dense"]);
  const route = withoutRival(context.route);
  const last = records.at(-1);
  const chosen = chosenNumber({ ...context, route }, run, route.rest.length ? records : [last].filter(Boolean), ["y"]);
  if (!chosen) return nothingHere(place, "dense layer");
  const { record } = chosen;
  const isLast = record === run.layers.at(-1);
  const [unit] = chosen.index;
  const rival = rivalOf(record, unit, route.rival);
  const names = (k) => (isLast ? context.model.classNames[k] : `unit ${k}`);
  const options = Array.from(record.y.data, (value, k) => [k, `${names(k)} (${formatNumber(value, 3)})`]);
  const hash = (a, b) => `#dense/y/${record.key}/${a}/${b}`;
  place.append(
    element(
      "div",
      { class: "controls" },
      layerChoice(context, "dense", records, record),
      choice("choose-unit", isLast ? "Why class" : "Why", options, unit, (k) =>
        goKeeping(context, hash(k, rival), "choose-unit"),
      ),
      choice("choose-rival", "and not", options, rival, (k) => goKeeping(context, hash(unit, k), "choose-rival")),
    ),
    verdict(record, unit, rival, names),
    contributionMaps(record, unit, rival, names, run),
    strongest(record, unit, rival, names),
    isLast && run.model.loss === "SoftmaxCrossEntropy" ? softmaxTable(run, context) : "",
    element(
      "details",
      {},
      element("summary", {}, "All terms as links"),
      explanationPanel(explain(run, `y/${record.key}/${unit}`)),
    ),
    sourcePanel(context.sources, "Dense.forward", ["x @ self.W", "+= self.b"]) ?? "",
  );
}

/** "y/9.dense/4/9" -> the route of y/9.dense/4, and the rival 9. */
function withoutRival(route) {
  if (route.rest.length < 4) return { ...route, rival: null };
  return { ...route, address: route.rest.slice(0, 3).join("/"), rival: Number(route.rest[3]) };
}

/** The unit to compare with: the one asked for, else the largest of the others. */
function rivalOf(record, unit, asked) {
  if (asked !== null && asked < record.y.data.length) return asked;
  let best = unit === 0 ? Math.min(1, record.y.data.length - 1) : 0;
  record.y.data.forEach((value, k) => {
    if (k !== unit && value > record.y.data[best]) best = k;
  });
  return best;
}

/** x_i (W_ij - W_ik) for each input i, of two units j and k. */
function differences(record, j, k) {
  const { W } = record.layer.parameters;
  const units = W.shape[1];
  return record.x.data.map((x, i) => x * (W.data[i * units + j] - W.data[i * units + k]));
}

/** x_i W_ij for each input i. */
function contributions(record, j) {
  const { W } = record.layer.parameters;
  return record.x.data.map((x, i) => x * W.data[i * W.shape[1] + j]);
}

function verdict(record, unit, rival, names) {
  const { b } = record.layer.parameters;
  const bias = b ? b.data[unit] - b.data[rival] : 0;
  const difference = record.y.data[unit] - record.y.data[rival];
  return element(
    "p",
    {},
    `${names(unit)} has `,
    numberLink(`y/${record.key}/${unit}`, record.y.data[unit]),
    `, ${names(rival)} has `,
    numberLink(`y/${record.key}/${rival}`, record.y.data[rival]),
    `: a difference of ${signedNumber(difference)}. Of it ${signedNumber(difference - bias)} is from the inputs, ` +
      `${signedNumber(bias)} from the biases.`,
  );
}

/** The shape that the inputs had in front of a Flatten, or null. */
function shapeBefore(record, run) {
  const before = run.byKey[record.source.split("/")[1]];
  return before?.kind === "Flatten" && before.x.shape.length === 3 ? before.x.shape : null;
}

function contributionMaps(record, unit, rival, names, run) {
  const shape = shapeBefore(record, run);
  const panels = [
    [`for ${names(unit)}`, contributions(record, unit)],
    [`for ${names(rival)}`, contributions(record, rival)],
    [`for ${names(unit)} rather than ${names(rival)}`, differences(record, unit, rival)],
  ];
  const scale = Math.max(...panels.map(([, data]) => largestSize(data)));
  const figures = panels.map(([name, data]) => {
    const canvas = element("canvas", {
      class: "pixels plain contributions",
      role: "img",
      "aria-label": `Contributions ${name}`,
    });
    montage(canvas, asMaps(tensor(shape ?? [data.length], data)), { scale });
    return element("figure", { class: "map-figure" }, element("figcaption", {}, name), canvas);
  });
  const layout = shape
    ? `The inputs are ${shape[2]} maps of ${shape[0]} × ${shape[1]}, as they were in front of Flatten.`
    : `${record.x.data.length} inputs, row by row.`;
  return element(
    "section",
    { "aria-label": "Contributions" },
    element("h3", {}, "Input × weight of each input"),
    element("p", {}, layout),
    element("div", { class: "side-by-side" }, ...figures),
    legend(scale),
  );
}

function strongest(record, unit, rival, names) {
  const difference = differences(record, unit, rival);
  const [j, k] = [contributions(record, unit), contributions(record, rival)];
  const order = Array.from(difference.keys())
    .sort((a, b) => Math.abs(difference[b]) - Math.abs(difference[a]))
    .slice(0, 10);
  const scale = largestSize(difference);
  const rows = order.map((i) =>
    element(
      "tr",
      {},
      element(
        "th",
        { scope: "row" },
        numberLink(`${record.source}/${i}`, record.x.data[i]),
        element("span", { class: "soft small" }, ` input ${i}`),
      ),
      numberCell(j[i], { scale }),
      numberCell(k[i], { scale }),
      numberCell(difference[i], { scale }),
    ),
  );
  const head = ["input", names(unit), names(rival), "difference"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "section",
    { "aria-label": "The inputs that decide" },
    element("h3", {}, "The ten inputs that decide"),
    element(
      "div",
      { class: "table" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}

/** Logits to probabilities, with the largest logit subtracted first: it changes nothing, and no exp overflows. */
export function softmaxTable(run, context) {
  const z = run.logits;
  const largest = Math.max(...z);
  const p = softmax(z);
  const rows = Array.from(z, (value, k) =>
    element(
      "tr",
      { class: k === context.label ? "right-class" : "" },
      element("th", { scope: "row" }, context.model.classNames[k]),
      element("td", {}, numberLink(`logits/${k}`, value)),
      element("td", { class: "number" }, formatNumber(value - largest)),
      element("td", { class: "number" }, formatNumber(Math.exp(value - largest), 3)),
      element(
        "td",
        {},
        numberLink(`probabilities/${k}`, p[k]),
        element("span", { class: "soft small" }, ` ${percent(p[k])}`),
      ),
    ),
  );
  const head = ["class", "logit z", "z − max z", "exp", "probability"].map((name) =>
    element("th", { scope: "col" }, name),
  );
  return element(
    "section",
    { "aria-label": "Softmax" },
    element("h3", {}, "Softmax: from logits to probabilities"),
    element(
      "p",
      {},
      "Subtracting the largest logit from all changes no probability, and keeps every exp at or below 1.",
    ),
    element(
      "div",
      { class: "table", tabindex: 0, role: "region", "aria-label": "Softmax, class by class" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}
