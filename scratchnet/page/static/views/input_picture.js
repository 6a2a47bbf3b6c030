/** The derivative by a layer's input as pictures: the windows a pixel is in, the winners of a pool, a ReLU's mask. */
import { tensor } from "../net/tensor.js";
import { eachWindow } from "../net/windows.js";
import { element } from "../ui/dom.js";
import { largestSize } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { formatNumber, numberCell } from "../ui/number.js";
import { groupsOf, sumOf } from "./explanation.js";
import { cursorMap } from "./walk.js";

/** index: of the input; explanation: its terms -> an element, or null where a table says it all. */
export function inputPicture(record, index, explanation) {
  if (["Conv2D", "DepthwiseConv2D"].includes(record.kind)) return windowMap(record, index, explanation);
  if (["MaxPool2D", "AvgPool2D"].includes(record.kind)) return beforeAndAfter(record, index, "dy", record.dy);
  if (record.kind === "ReLU") return beforeAndAfter(record, index, "mask: where x > 0", mapMask(record));
  return null;
}

/** 1 where the input was positive. */
function mapMask(record) {
  return tensor(
    record.x.shape,
    record.x.data.map((value) => Number(value > 0)),
  );
}

/** Two maps side by side, dx and another one. */
function beforeAndAfter(record, index, name, other) {
  const channel = index[2] ?? 0;
  const scale = Math.max(largestSize(record.dy.data), largestSize(record.dx.data));
  const before = cursorMap(other, channel, { name, scale: name === "dy" ? scale : 1 });
  const upstream = name === "dy" ? null : cursorMap(record.dy, channel, { name: "dy", scale });
  const after = cursorMap(record.dx, channel, { name: "dx", scale });
  const zeros = record.dx.data.reduce((count, value) => count + Number(value === 0), 0);
  const share = ((100 * zeros) / record.dx.data.length).toFixed(0);
  return element(
    "section",
    { "aria-label": "The way back" },
    element(
      "div",
      { class: "side-by-side" },
      upstream?.element ?? "",
      upstream ? element("span", { class: "operator" }, "×") : "",
      before.element,
      element("span", { class: "operator" }, upstream ? "=" : "→"),
      after.element,
    ),
    legend(scale, { label: "derivatives" }),
    element("p", {}, `${share} % of dx is exactly 0.`),
  );
}

/**
 * A k_h × k_w map: which position of the window the pixel had, and what came back from there, summed over the filters;
 * and for the whole image, how many windows each pixel is in.
 */
function windowMap(record, [row, column, c], explanation) {
  const win = record.layer.settings.windows;
  const sums = new Map(groupsOf(explanation.terms).map(([name, terms]) => [name, sumOf(terms)]));
  const cells = new Map();
  eachWindow(win, row, column, (i, j, di, dj) =>
    cells.set(`${di},${dj}`, { i, j, value: sums.get(`window ${i},${j}`) ?? 0 }),
  );
  const scale = largestSize([...sums.values()]);
  const rows = Array.from({ length: win.k_h }, (_, di) =>
    element(
      "tr",
      {},
      ...Array.from({ length: win.k_w }, (_, dj) => {
        const cell = cells.get(`${di},${dj}`);
        if (!cell) return element("td", { class: "soft", title: "no window has the pixel here" }, "·");
        const shown = numberCell(cell.value, { scale, digits: 2 });
        shown.append(element("span", { class: "where" }, `${cell.i},${cell.j}`));
        return shown;
      }),
    ),
  );
  const overlap = overlapOf(record);
  const most = largestSize(overlap.data);
  const map = cursorMap(overlap, 0, { name: "Overlap: how many windows each pixel is in", scale: most });
  map.mark(row, column, 1, 1);
  const input = cursorMap(record.x, c, { name: `Input, channel ${c}`, scale: largestSize(record.x.data) });
  input.mark(row, column, 1, 1);
  const output = cursorMap(record.dy, 0, {
    name: "dy, filter 0: the windows that saw the pixel",
    scale: largestSize(record.dy.data),
  });
  for (const { i, j } of cells.values()) output.mark(i, j, 1, 1, "winner");
  return element(
    "section",
    { "aria-label": "The windows with this pixel" },
    element("div", { class: "side-by-side" }, input.element, output.element, map.element),
    legend(most, { signed: false, label: "windows" }),
    element(
      "table",
      { class: "patch-table" },
      element(
        "caption",
        {},
        `Pixel (${row}, ${column}) is in ${cells.size} windows. At each place that it has within a window: what ` +
          `comes back from there, and which output it is`,
      ),
      element("tbody", {}, ...rows),
    ),
    element(
      "p",
      {},
      "Where the pixel lies low in a window, that window lies high above it: so the outputs run from bottom right " +
        "to top left, and the kernel seems to be rotated. Together: ",
      element("strong", { class: "number" }, formatNumber(explanation.value, 6)),
    ),
  );
}

/** For each pixel the number of windows that it is in. */
function overlapOf(record) {
  const [h, w] = record.x.shape;
  const counts = tensor([h, w, 1]);
  for (let row = 0; row < h; row += 1) {
    for (let column = 0; column < w; column += 1) {
      eachWindow(record.layer.settings.windows, row, column, () => {
        counts.data[row * w + column] += 1;
      });
    }
  }
  return counts;
}
