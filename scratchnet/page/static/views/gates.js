/**
 * Gates: what a ReLU lets through, and which number of its window a max-pool kept. "#gates/y/2.relu/5,7,12",
 * "#gates/y/3.maxpool2d/2,3,12".
 */
import { explain } from "../net/ledger.js";
import { at } from "../net/tensor.js";
import { winnerOf } from "../net/terms_pool.js";
import { element } from "../ui/dom.js";
import { hasNegative, largestSize } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { formatNumber } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel } from "./explanation.js";
import { linkedCell } from "./pixel.js";
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

const BENT = ["ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh"];
const POOLS = ["MaxPool2D", "AvgPool2D"];
export const GATES = [...BENT, ...POOLS];

export const gatesView = {
  name: "gates",
  title: "ReLU and pool",
  accepts: (address, model) => address.startsWith("y/") && GATES.includes(kindAt(address, model)),
  show(container, context) {
    showWalk(container, context, "Gates: activations and pools", (place) => fillGates(place, context));
  },
  hide: leaveWalk,
};

function fillGates(place, context) {
  const run = runOf(context);
  const records = recordsOf(run, GATES);
  const chosen = chosenNumber(context, run, records, ["y"]);
  if (!chosen) return nothingHere(place, "activation and no pool");
  const { record } = chosen;
  const state = { index: chosen.index };
  const flat = record.y.shape.length === 1;
  const channel = flat ? 0 : state.index[2];
  const details = element("div", {});
  const before = element("div", {});
  const toChannel = (c) =>
    goKeeping(context, `#gates/y/${record.key}/${[...state.index.slice(0, 2), c]}`, "choose-channel");
  const colours = { scale: largestSize(record.x.data), signed: hasNegative(record.x.data) };
  const onEnter = () => details.querySelector("a")?.focus();
  const output = cursorMap(record.y, channel, { name: "Output", ...colours, onMove: (index) => move(index), onEnter });
  place.append(
    element(
      "div",
      { class: "controls" },
      layerChoice(context, "gates", records, record),
      !flat && channelChoice("choose-channel", `Map (of ${record.y.shape[2]})`, record.y.shape[2], channel, toChannel),
    ),
    element("p", {}, POOLS.includes(record.kind) ? poolSentence(record) : gateSentence(record)),
    element("div", { class: "side-by-side" }, before, output.element, legend(colours.scale, colours)),
    details,
    sourcePanel(
      context.sources,
      `${record.kind}.forward`,
      record.kind === "MaxPool2D" ? ["argmax", "take_along_axis"] : ["return"],
    ) ?? "",
  );
  const move = (index) => {
    state.index = index;
    const input = cursorMap(record.x, channel, { name: "Input", ...colours });
    frames(input, record, index, channel);
    before.replaceChildren(input.element);
    const explanation = explain(run, `y/${record.key}/${state.index}`);
    details.replaceChildren(
      POOLS.includes(record.kind) ? windowTable(record, state.index, explanation) : "",
      explanationPanel(explanation),
    );
    noteAddress(context, "gates", "y", record.key, state.index);
  };
  output.place(state.index);
  move(state.index);
}

function gateSentence(record) {
  const closed = record.x.data.reduce((count, value) => count + Number(value <= 0), 0);
  const share = ((100 * closed) / record.x.data.length).toFixed(0);
  return (
    `${share} % of the ${record.x.data.length.toLocaleString("en")} numbers that come in are not positive` +
    (record.kind === "ReLU"
      ? ": they become 0, and no derivative passes back through them."
      : `: ${record.kind} bends them.`)
  );
}

function poolSentence(record) {
  const win = record.layer.settings.windows;
  const what =
    record.kind === "MaxPool2D"
      ? "keeps the largest number (framed in the input) and remembers which it was: the derivative will go back to " +
        "it alone."
      : "takes the mean, and the derivative will go back to all in equal parts.";
  return `Of each window of ${win.k_h} × ${win.k_w} the layer ${what}`;
}

/** In the input: the window or number of the output under the cursor, and all winners of a max-pool. */
function frames(input, record, index, channel) {
  if (!POOLS.includes(record.kind)) {
    input.markIndex(index);
    return;
  }
  const win = record.layer.settings.windows;
  if (record.kind === "MaxPool2D") {
    for (let i = 0; i < win.out_h; i += 1) {
      for (let j = 0; j < win.out_w; j += 1) {
        const [row, column] = winnerOf(record, [i, j, channel]);
        input.mark(row, column, 1, 1, "winner");
      }
    }
  }
  input.mark(index[0] * win.stride_h - win.top, index[1] * win.stride_w - win.left, win.k_h, win.k_w);
}

/** The window as a table, the winner marked. */
function windowTable(record, index, explanation) {
  const win = record.layer.settings.windows;
  const scale = largestSize(record.x.data);
  const signed = hasNegative(record.x.data);
  const cells = new Map(
    explanation.terms.map((term) => [term.factors[0].address.split("/").at(-1).split(",").slice(0, 2).join(), term]),
  );
  const rows = Array.from({ length: win.k_h }, (_, di) =>
    element(
      "tr",
      {},
      ...Array.from({ length: win.k_w }, (_, dj) => {
        const where = [index[0] * win.stride_h + di - win.top, index[1] * win.stride_w + dj - win.left];
        const term = cells.get(where.join());
        if (!term) return element("td", { class: "soft", title: "padding" }, "·");
        const cell = linkedCell(term.factors[0], scale, { digits: 3, signed });
        if (term.label === "the largest") cell.classList.add("won");
        return cell;
      }),
    ),
  );
  return element(
    "table",
    { class: "patch-table" },
    element(
      "caption",
      {},
      `The window of output (${index.slice(0, 2).join(", ")}), channel ${index[2]}: ` +
        formatNumber(at(record.y, ...index)),
    ),
    element("tbody", {}, ...rows),
  );
}
