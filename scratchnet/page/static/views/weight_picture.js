/** The derivative of a weight as a picture: of a dense layer an outer product, of a convolution a map of products. */
import { at, tensor } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { hasNegative, largestSize } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { formatNumber, numberCell, numberLink } from "../ui/number.js";
import { cursorMap } from "./walk.js";
import { linkedCell } from "./pixel.js";

/** kind: "dW"; index: of the weight; explanation: its terms -> an element, or null where a table says it all. */
export function weightPicture(record, kind, index, explanation) {
  if (kind !== "dW") return null;
  if (record.kind === "Dense") return outerProduct(record, index);
  return record.y.shape.length === 3 ? productMap(record, index, explanation) : null;
}

/** x_i · dy_j as three numbers, and the row of dy for all units beside it. */
function outerProduct(record, [i, j]) {
  const { dy, x } = record;
  const column = cursorMap(x, 0, { name: `x: ${x.data.length} inputs`, scale: largestSize(x.data) });
  column.markIndex([i]);
  const row = cursorMap(dy, 0, { name: `dy: ${dy.data.length} outputs`, scale: largestSize(dy.data) });
  row.markIndex([j]);
  return element(
    "section",
    { "aria-label": "Outer product" },
    element(
      "p",
      { class: "big" },
      `dW[${i}, ${j}] = x[${i}] · dy[${j}] = `,
      numberLink(`${record.source}/${i}`, x.data[i]),
      " · ",
      numberLink(`dy/${record.key}/${j}`, dy.data[j]),
      ` = ${formatNumber(x.data[i] * dy.data[j])}`,
    ),
    element("div", { class: "side-by-side" }, column.element, element("span", { class: "operator" }, "×"), row.element),
  );
}

/** For one weight: input, dy, and their products position by position; the five largest as numbers. */
function productMap(record, [di, dj, c, f], explanation) {
  const win = record.layer.settings.windows;
  const channel = record.kind === "Conv2D" ? f : c * record.layer.settings.depth_multiplier + f;
  const products = tensor([win.out_h, win.out_w, 1]);
  for (const term of explanation.terms) {
    const [i, j] = term.factors[1].address.split("/")[2].split(",").map(Number);
    products.data[i * win.out_w + j] = term.value;
  }
  const input = cursorMap(record.x, c, {
    name: `Input, channel ${c}: what the weight meets`,
    scale: largestSize(record.x.data),
  });
  input.mark(di - win.top, dj - win.left, (win.out_h - 1) * win.stride_h + 1, (win.out_w - 1) * win.stride_w + 1);
  const upstream = cursorMap(record.dy, channel, { name: `dy, filter ${channel}`, scale: largestSize(record.dy.data) });
  const scale = largestSize(products.data);
  const picture = cursorMap(products, 0, { name: "products, position by position", scale });
  const largest = [...explanation.terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 5);
  const [xScale, dyScale] = [largestSize(record.x.data), largestSize(record.dy.data)];
  const signed = hasNegative(record.x.data);
  const rows = largest.map((term) =>
    element(
      "tr",
      {},
      linkedCell(term.factors[0], xScale, { digits: 3, signed }),
      linkedCell(term.factors[1], dyScale, { digits: 3 }),
      numberCell(term.value, { scale }),
    ),
  );
  const head = ["input", "dy", "product"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "section",
    { "aria-label": "Products of all positions" },
    element(
      "div",
      { class: "side-by-side" },
      input.element,
      element("span", { class: "operator" }, "×"),
      upstream.element,
      element("span", { class: "operator" }, "="),
      picture.element,
    ),
    legend(scale, { label: "products" }),
    element(
      "p",
      {},
      `Their sum over ${explanation.terms.length} positions is dW[${[di, dj, c, f].join(", ")}] = `,
      element("strong", { class: "number" }, formatNumber(at(record.gradients.W, di, dj, c, f), 6)),
      ". The five largest:",
    ),
    element(
      "div",
      { class: "table" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}
