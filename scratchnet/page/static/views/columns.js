/**
 * im2col: the window of one output pixel as a row of a matrix, so that the whole convolution is one matrix product.
 * "#columns/4.conv2d/5,7,12": output (5, 7), filter 12.
 */
import { eachPixel, eachWindow } from "../net/windows.js";
import { at, indexOf, tensor } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { parseIndex } from "../ui/hash.js";
import { heatmap, largestSize } from "../ui/heatmap.js";
import { mapGrid } from "../ui/grid.js";
import { formatNumber, numberCell, numberLink } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { channelChoice, cursorMap, goKeeping, largestIndex, layerChoice, leaveWalk, nothingHere } from "./walk.js";
import { recordsOf, runOf, showWalk } from "./walk.js";

export const columnsView = {
  name: "columns",
  title: "im2col",
  show(container, context) {
    showWalk(container, context, "im2col: a convolution as one matrix product", (place) => fillColumns(place, context));
  },
  hide: leaveWalk,
};

function fillColumns(place, context) {
  const run = runOf(context);
  const records = recordsOf(run, ["Conv2D"]);
  const record = records.find(({ key }) => key === context.route.rest[0]) ?? records[0];
  if (!record) return nothingHere(place, "convolution");
  const named = parseIndex(context.route.rest[1]);
  const fits = named?.length === 3 && named.every((n, axis) => n < record.y.shape[axis]);
  const state = { index: fits ? named : largestIndex(record.y), pixel: null };
  const cols = columnsOf(record);
  const filters = record.y.shape[2];
  const details = element("div", {});
  const go = (f) => goKeeping(context, `#columns/${record.key}/${[...state.index.slice(0, 2), f]}`, "choose-filter");
  place.append(
    element(
      "div",
      { class: "controls" },
      layerChoice(context, "columns", records, record),
      channelChoice("choose-filter", `Filter (of ${filters})`, filters, state.index[2], go),
    ),
    sizes(record, cols),
    details,
    sourcePanel(context.sources, "im2col", "cols[:, :, :, i, j] =") ?? "",
  );
  const redraw = () => {
    history.replaceState(null, "", `#columns/${record.key}/${state.index}`);
    const focused = details.contains(document.activeElement)
      ? [...details.querySelectorAll(".map-grid")].indexOf(document.activeElement)
      : -1;
    details.replaceChildren(
      maps(record, state, redraw),
      matrix(record, cols, state, redraw),
      product(record, cols, state),
      duplicates(record, cols, state),
    );
    if (focused >= 0) details.querySelectorAll(".map-grid")[focused]?.focus({ preventScroll: true });
  };
  redraw();
}

/** cols (out_h·out_w, k_h·k_w·c), and for each of its numbers the place in x that it was copied from, -1 of padding. */
export function columnsOf(record) {
  const win = record.layer.settings.windows;
  const c = record.x.shape[2];
  const width = win.k_h * win.k_w * c;
  const cols = tensor([win.out_h * win.out_w, width]);
  const source = new Int32Array(cols.data.length).fill(-1);
  for (let row = 0; row < cols.shape[0]; row += 1) {
    eachPixel(win, record.x.shape, Math.floor(row / win.out_w), row % win.out_w, (di, dj, place) => {
      for (let k = 0; k < c; k += 1) {
        const to = row * width + (di * win.k_w + dj) * c + k;
        cols.data[to] = record.x.data[place + k];
        source[to] = place + k;
      }
    });
  }
  return { ...cols, source };
}

function sizes(record, cols) {
  const [n, width] = cols.shape;
  const times = cols.data.length / record.x.data.length;
  const mega = (count) => `${((count * 4 * 128) / 1e6).toFixed(1)} MB`;
  return element(
    "p",
    {},
    `Each window becomes a row: ${n} windows of ${width} numbers, ${cols.data.length.toLocaleString("en")} in all, ` +
      "where the input has " +
      `${record.x.data.length.toLocaleString("en")}: ${times.toFixed(1)} times as many. ` +
      `For a batch of 128 in float32: ${mega(record.x.data.length)} become ${mega(cols.data.length)}.`,
  );
}

/** Input and output: the window of the chosen output, and the chosen input pixel. */
function maps(record, state, redraw) {
  const win = record.layer.settings.windows;
  const [i, j, f] = state.index;
  const channel = state.pixel?.[2] ?? 0;
  const input = cursorMap(record.x, channel, {
    name: `Input, channel ${channel}: choose a pixel to see its copies`,
    scale: largestSize(record.x.data),
    onMove: (index) => {
      state.pixel = index;
      redraw();
    },
  });
  input.mark(i * win.stride_h - win.top, j * win.stride_w - win.left, win.k_h, win.k_w);
  if (state.pixel) input.place(state.pixel);
  else input.grid.element.classList.add("still");
  const output = cursorMap(record.y, f, {
    name: `Output, filter ${f}`,
    scale: largestSize(record.y.data),
    onMove: (index) => {
      state.index = index;
      redraw();
    },
  });
  output.place(state.index);
  return element("div", { class: "side-by-side" }, input.element, output.element);
}

/** The matrix as a picture: the row of the window, and the copies of the chosen pixel. */
function matrix(record, cols, state, redraw) {
  const win = record.layer.settings.windows;
  const [n, width] = cols.shape;
  const canvas = heatmap(element("canvas", { class: "pixels", "aria-hidden": true }), cols, {
    scale: largestSize(cols.data),
    signed: cols.data.some((v) => v < 0),
  });
  const grid = mapGrid(canvas, {
    rows: n,
    columns: width,
    name: `cols, ${n} × ${width}`,
    describe: (row, column) => `row ${row}, column ${column}: ${formatNumber(at(cols, row, column))}`,
    onEnter: (row) => {
      state.index = [Math.floor(row / win.out_w), row % win.out_w, state.index[2]];
      redraw();
    },
  });
  grid.element.classList.add("matrix-map");
  const row = state.index[0] * win.out_w + state.index[1];
  grid.move(row, 0, true);
  const line = element("span", {
    class: "patch",
    "aria-hidden": true,
    style: { top: `${(100 * row) / n}%`, left: "0%", width: "100%", height: `${100 / n}%` },
  });
  grid.element.append(line);
  for (const copy of copiesOf(record, cols, state)) {
    const style = {
      top: `${(100 * copy.row) / n}%`,
      left: `${(100 * copy.column) / width}%`,
      width: `${100 / width}%`,
      height: `${100 / n}%`,
    };
    grid.element.append(element("span", { class: "copy", "aria-hidden": true, style }));
  }
  return element(
    "figure",
    { class: "map-figure" },
    element(
      "figcaption",
      {},
      `cols: ${n} rows, one a window; ${width} columns. ` +
        `Row ${row} is the window of output (${state.index[0]}, ${state.index[1]}).`,
    ),
    grid.element,
  );
}

/** One cell of the product: row · column of W, and the bias. */
function product(record, cols, state) {
  const [i, j, f] = state.index;
  const win = record.layer.settings.windows;
  const width = cols.shape[1];
  const row = i * win.out_w + j;
  const c = record.x.shape[2];
  const filters = record.y.shape[2];
  const { W } = record.layer.parameters;
  const pairs = Array.from({ length: width }, (_, p) => ({
    x: at(cols, row, p),
    w: W.data[p * filters + f],
    place: cols.source[row * width + p],
    p,
  }));
  const most = [...pairs]
    .sort((a, b) => Math.abs(b.x * b.w) - Math.abs(a.x * a.w))
    .slice(0, 9)
    .sort((a, b) => a.p - b.p);
  const scale = largestSize(most.map(({ x, w }) => x * w));
  const lines = most.map(({ x, w, place, p }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(p)),
      element("td", {}, place < 0 ? "padding" : numberLink(`${record.source}/${indexOf(record.x.shape, place)}`, x)),
      element(
        "td",
        {},
        numberLink(`W/${record.key}/${[Math.floor(p / (win.k_w * c)), Math.floor(p / c) % win.k_w, p % c, f]}`, w),
      ),
      numberCell(x * w, { scale }),
    ),
  );
  const head = ["column", `cols[${row}, column]`, `W[column, ${f}]`, "product"].map((name) =>
    element("th", { scope: "col" }, name),
  );
  return element(
    "section",
    { "aria-label": "One cell of the matrix product" },
    element("h3", {}, "One cell of cols · W + b"),
    element(
      "p",
      {},
      `Row ${row} of cols times column ${f} of W, and the bias: `,
      numberLink(`y/${record.key}/${state.index}`, at(record.y, ...state.index), { digits: 6 }),
      `. The ${most.length} largest of its ${width} products:`,
    ),
    element(
      "div",
      { class: "table" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines)),
    ),
  );
}

/** Where the chosen pixel stands in cols: [{row, column}]. */
function copiesOf(record, cols, { pixel }) {
  if (!pixel) return [];
  const win = record.layer.settings.windows;
  const copies = [];
  eachWindow(win, pixel[0], pixel[1], (i, j, di, dj) => {
    copies.push({ row: i * win.out_w + j, column: (di * win.k_w + dj) * record.x.shape[2] + pixel[2], i, j });
  });
  return copies;
}

function duplicates(record, cols, state) {
  if (!state.pixel) return element("p", { class: "soft" }, "Choose a pixel of the input: its copies in cols light up.");
  const copies = copiesOf(record, cols, state);
  const where = copies.map(({ row, column }) => `(${row}, ${column})`).join(", ");
  return element(
    "p",
    {},
    `Pixel (${state.pixel.slice(0, 2).join(", ")}) stands in cols ${copies.length} times: ${where || "nowhere"}. ` +
      `In the backward pass col2im adds up the ${copies.length} derivatives again: `,
    element("a", { href: `#backward/dx/${record.key}/${state.pixel}` }, "its derivative"),
    ".",
  );
}
