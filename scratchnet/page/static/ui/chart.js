/** Line charts as SVG, with axes, a legend, and their numbers in words for a screen reader. */
import { element, svg } from "./dom.js";
import { formatNumber } from "./number.js";

const edge = { left: 66, right: 12, top: 12, bottom: 34 };

/**
 * series: [{name, points: [[x, y], …], dashed}] -> a figure element. marks: [{x, y, name}] single points.
 * Options: title, xLabel, yLabel, width, height, yFrom, yTo (default: the range of the points), logX.
 */
export function lineChart(series, options) {
  const { title, xLabel = "", yLabel = "", width = 480, height = 240, marks = [], logX = false } = options;
  const inX = (x) => (logX ? Math.log10(x) : x);
  const all = [...series.flatMap((line) => line.points), ...marks.map(({ x, y }) => [x, y])].filter((point) => point.every(Number.isFinite));
  const [x0, x1] = range(all.map(([x]) => inX(x)));
  const [y0, y1] = range([...all.map(([, y]) => y), ...[options.yFrom, options.yTo].filter((y) => y !== undefined)]);
  const px = (x) => edge.left + ((inX(x) - x0) / (x1 - x0)) * (width - edge.left - edge.right);
  const py = (y) => height - edge.bottom - ((y - y0) / (y1 - y0)) * (height - edge.top - edge.bottom);
  const lines = series.map((line, k) =>
    svg("polyline", {
      class: `chart-line chart-${k % 6}`, "stroke-dasharray": line.dashed ? "5 4" : null,
      points: line.points.filter((point) => point.every(Number.isFinite)).map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" "),
    }),
  );
  const dots = marks.map(({ x, y, name }) => svg("circle", { class: "chart-mark", cx: px(x), cy: py(y), r: 4 }, svg("title", {}, name ?? "")));
  const plot = svg(
    "svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(title, series) },
    ...axis([y0, (y0 + y1) / 2, y1], (y) => ({ x: edge.left - 6, y: py(y) + 4, "text-anchor": "end" }), (y) => formatNumber(y, 3)),
    ...axis([x0, (x0 + x1) / 2, x1], (x) => ({ x: px(logX ? 10 ** x : x), y: height - edge.bottom + 16, "text-anchor": "middle" }), (x) => formatNumber(logX ? 10 ** x : x, 3)),
    svg("path", { class: "chart-axis", d: `M${edge.left} ${edge.top}V${height - edge.bottom}H${width - edge.right}` }),
    svg("text", { x: width - edge.right, y: height - 4, "text-anchor": "end" }, xLabel),
    svg("text", { x: edge.left + 6, y: edge.top + 4 }, yLabel),
    ...lines, ...dots,
  );
  const names = series.map((line, k) => element("li", { class: `chart-${k % 6}` }, line.name));
  return element("figure", { class: "chart-box" }, element("figcaption", {}, title), plot, element("ul", { class: "chart-names" }, ...names));
}

function axis(values, place, text) {
  return [...new Set(values)].map((value) => svg("text", place(value), text(value)));
}

function range(values) {
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

function inWords(title, series) {
  const ends = series.filter((line) => line.points.length).map((line) => {
    const [first, last] = [line.points[0], line.points[line.points.length - 1]];
    return `${line.name}: ${formatNumber(first[1], 3)} at ${formatNumber(first[0], 3)}, ${formatNumber(last[1], 3)} at ${formatNumber(last[0], 3)}`;
  });
  return [title, ...ends].join(". ");
}
