/**
 * One output pixel of a convolution: the patch of the input, times the kernel, added up channel by channel, plus the
 * bias. "#pixel/y/4.conv2d/5,7,12".
 */
import { explain } from "../net/ledger.js";
import { element } from "../ui/dom.js";
import { hasNegative, largestSize } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { formatNumber, numberCell, numberLink } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel, groupsOf, sumOf } from "./explanation.js";
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
import { nothingHere, recordsOf, runOf, showWalk } from "./walk.js";

export const CONVOLUTIONS = ["Conv2D", "DepthwiseConv2D"];

export const pixelView = {
  name: "pixel",
  title: "One pixel",
  accepts: (address, model) => address.startsWith("y/") && CONVOLUTIONS.includes(kindAt(address, model)),
  show(container, context) {
    showWalk(container, context, "One output pixel of a convolution", (place) => fillPixel(place, context));
  },
  hide: leaveWalk,
};

function fillPixel(place, context) {
  const run = runOf(context);
  const records = recordsOf(run, CONVOLUTIONS);
  const chosen = chosenNumber(context, run, records, ["y"]);
  if (!chosen) return nothingHere(place, "convolution");
  const { record, index } = chosen;
  const state = { index, channel: strongestChannel(run, record, index) };
  const details = element("div", {});
  const input = element("div", {});
  const filters = record.y.shape[2];
  const toFilter = (f) =>
    goKeeping(context, `#pixel/y/${record.key}/${[...state.index.slice(0, 2), f]}`, "choose-filter");
  const output = cursorMap(record.y, index[2], {
    name: `Output, filter ${index[2]}`,
    onMove: (at) => move(at),
    scale: largestSize(record.y.data),
    onEnter: () => details.querySelector("a")?.focus(),
  });
  place.append(
    element(
      "div",
      { class: "controls" },
      layerChoice(context, "pixel", records, record),
      channelChoice("choose-filter", `Filter (of ${filters})`, filters, index[2], toFilter),
    ),
    element(
      "p",
      {},
      "Move the cursor over the output. Each of its numbers is the sum of a patch of the input times the filter's " +
        "weights, and the bias.",
    ),
    element("div", { class: "side-by-side" }, input, output.element),
    details,
    sourcePanel(
      context.sources,
      `${record.kind}.forward`,
      record.kind === "Conv2D" ? ["im2col(", "@ self.W", "+= self.b"] : ["im2col(", "@ self.by_channel", "self.b"],
    ) ?? "",
  );
  const redraw = () => {
    input.replaceChildren(inputMap(record, state));
    showDetails(details, run, record, state, redraw);
    noteAddress(context, "pixel", "y", record.key, state.index);
  };
  const move = (index) => {
    state.index = index;
    redraw();
  };
  output.place(index);
  redraw();
}

/** The channel whose partial sum is largest in size. */
function strongestChannel(run, record, index) {
  if (record.kind !== "Conv2D") return Math.floor(index[2] / record.layer.settings.depth_multiplier);
  const groups = groupsOf(explain(run, `y/${record.key}/${index}`).terms).filter(([name]) => name !== "bias");
  const best = groups.reduce((a, b) => (Math.abs(sumOf(b[1])) > Math.abs(sumOf(a[1])) ? b : a), groups[0]);
  return best ? Number(best[0].split(" ")[1]) : 0;
}

/** The input channel with a frame around the patch. */
function inputMap(record, { index, channel }) {
  const win = record.layer.settings.windows;
  const map = cursorMap(record.x, channel, { name: `Input, channel ${channel}`, scale: largestSize(record.x.data) });
  map.mark(index[0] * win.stride_h - win.top, index[1] * win.stride_w - win.left, win.k_h, win.k_w);
  return map.element;
}

function showDetails(details, run, record, state, redraw) {
  const explanation = explain(run, `y/${record.key}/${state.index}`);
  const groups = groupsOf(explanation.terms).filter(([name]) => name !== "bias");
  const bias = explanation.terms.filter((term) => term.group === "bias");
  const scale = Math.max(...groups.map(([, terms]) => Math.abs(sumOf(terms))), Math.abs(sumOf(bias)));
  const kept = details.querySelector("details[open]") !== null;
  details.replaceChildren(
    patchTables(record, state, explanation),
    element("h3", {}, "Partial sums of the input channels"),
    element(
      "ul",
      { class: "partial-sums" },
      ...groups.map(([name, terms]) => partial(name, terms, scale, state, redraw)),
      ...bias.map((term) =>
        element("li", {}, element("span", {}, "bias"), numberCell(term.value, { scale, tag: "span" })),
      ),
    ),
    element(
      "p",
      { class: "sum-line" },
      "Together: ",
      element("strong", { class: "number" }, formatNumber(explanation.value, 6)),
    ),
    element("details", { open: kept }, element("summary", {}, "All terms as links"), explanationPanel(explanation)),
  );
}

function partial(name, terms, scale, state, redraw) {
  const channel = Number(name.split(" ")[1]);
  const button = element(
    "button",
    {
      type: "button",
      "aria-pressed": String(channel === state.channel),
      onclick: () => {
        state.channel = channel;
        redraw();
        document.querySelector(".partial-sums button[aria-pressed=true]")?.focus();
      },
    },
    name,
  );
  return element("li", {}, button, numberCell(sumOf(terms), { scale, tag: "span" }));
}

/** Patch × kernel = products, as three tables of the chosen channel. What lies in the padding is empty. */
function patchTables(record, { index, channel }, explanation) {
  const win = record.layer.settings.windows;
  const terms = explanation.terms.filter((term) => term.group === `channel ${channel}`);
  const cells = new Map(
    terms.map((term) => [term.factors[1].address.split("/")[2].split(",").slice(0, 2).join(), term]),
  );
  const scales = [0, 1].map((n) => largestSize(terms.map((term) => term.factors[n].value)));
  const products = largestSize(terms.map((term) => term.value));
  const table = (caption, cellOf) =>
    element(
      "table",
      { class: "patch-table" },
      element("caption", {}, caption),
      element(
        "tbody",
        {},
        ...Array.from({ length: win.k_h }, (_, di) =>
          element(
            "tr",
            {},
            ...Array.from({ length: win.k_w }, (_, dj) => {
              const term = cells.get(`${di},${dj}`);
              return term ? cellOf(term) : element("td", { class: "soft", title: "padding: 0" }, "·");
            }),
          ),
        ),
      ),
    );
  const signed = [hasNegative(record.x.data), true];
  const factor = (n) => (term) => linkedCell(term.factors[n], scales[n], { signed: signed[n] });
  return element(
    "div",
    { class: "equation", role: "group", "aria-label": `Patch times kernel, channel ${channel}` },
    table(`patch, channel ${channel}`, factor(0)),
    element("span", { class: "operator" }, "×"),
    table(`kernel of filter ${index[2]}`, factor(1)),
    element("span", { class: "operator" }, "="),
    table(`products, sum ${formatNumber(sumOf(terms))}`, (term) =>
      numberCell(term.value, { scale: products, digits: 2 }),
    ),
    legend(products, { label: "products" }),
  );
}

/** A number on its colour that leads to its explanation. */
export function linkedCell({ address, value }, scale, { digits = 2, signed = true } = {}) {
  const cell = numberCell(value, { scale, digits, signed });
  const link = numberLink(address, value, { digits });
  link.style.setProperty("color", "inherit");
  cell.replaceChildren(link);
  return cell;
}
