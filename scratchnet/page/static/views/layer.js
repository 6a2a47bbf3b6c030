/** One layer: every map at a readable size with a cursor on it, its weights, and the Python function behind it. */
import { element } from "../ui/dom.js";
import { formatHash } from "../ui/hash.js";
import { mapGrid } from "../ui/grid.js";
import { hasNegative, heatmap, largestSize, mapOf } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { asMaps, montage } from "../ui/montage.js";
import { exactNumber, formatNumber } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";

const layerState = { key: "", channel: 0 };

/** Fill `place` with the layer `key` of the current pass. */
export function showLayer(place, context, key, backward) {
  const { record, before, after } = neighbours(context.pass(), key);
  if (layerState.key !== key) Object.assign(layerState, { key, channel: 0 });
  const letter = backward ? "dy" : "y";
  const values = backward ? record.dy : record.y;
  const maps = asMaps(values);
  const colours = { scale: largestSize(maps.data), signed: hasNegative(maps.data) };
  const chooser = maps.shape[2] > 1 && channelChooser(maps, colours, () => showLayer(place, context, key, backward));
  place.replaceChildren(
    element("nav", { class: "controls", "aria-label": "Layers" }, link("#strip", "All layers"), before && link(formatHash("strip", before), `← ${before}`), after && link(formatHash("strip", after), `${after} →`)),
    element("h2", {}, `${key}: ${record.layer.outputShape.join(" × ")}`),
    legend(colours.scale, { signed: colours.signed, label: backward ? "derivative of the loss" : "output" }),
    element("div", { class: "layer" }, oneMap(context, record, maps, { letter, colours, values }), chooser),
    weights(record, backward),
    sourcePanel(context.sources, `${record.kind}.${backward ? "backward" : "forward"}`) ?? "",
  );
}

/** The record of a layer and the keys beside it, inside of residual blocks too. */
function neighbours(pass, key) {
  const keys = Object.keys(pass.byKey);
  const place = keys.indexOf(key);
  return { record: pass.byKey[key], before: keys[place - 1], after: keys[place + 1] };
}

function link(href, text) {
  return element("a", { class: "button", href }, text);
}

/** All maps as a grid of its own: arrows and a click choose one. */
function channelChooser(maps, colours, chosen) {
  const canvas = element("canvas", { class: "pixels plain", "aria-hidden": true });
  const layout = montage(canvas, maps, { ...colours, columns: Math.min(maps.shape[2], 8) });
  const cell = (c) => [Math.floor(c / layout.columns), c % layout.columns];
  const clamped = (i, j) => Math.min(i * layout.columns + j, maps.shape[2] - 1);
  const choose = (i, j) => {
    layerState.channel = clamped(i, j);
    chosen();
    document.querySelector(".channels .map-grid")?.focus({ preventScroll: true });
  };
  const grid = mapGrid(canvas, {
    rows: layout.rows, columns: layout.columns, name: `${maps.shape[2]} maps`,
    describe: (i, j) => `map ${clamped(i, j)}`, onEnter: choose,
  });
  grid.element.addEventListener("click", () => choose(...grid.cell()));
  grid.move(...cell(layerState.channel), true);
  return element("div", { class: "channels" }, element("p", { class: "soft" }, `Map ${layerState.channel} of ${maps.shape[2]}; choose one:`), grid.element);
}

/** The chosen map, a cursor on it, and the number under the cursor as a link to its explanation. */
function oneMap(context, record, maps, { letter, colours, values }) {
  const [rows, columns] = maps.shape;
  const flat = values.shape.length === 1;
  const count = maps.count ?? Infinity;
  const channel = Math.min(layerState.channel, maps.shape[2] - 1);
  const slice = mapOf(maps, channel);
  const canvas = heatmap(element("canvas", { class: "pixels", "aria-hidden": true }), slice, colours);
  const indexAt = (i, j) => (flat ? [Math.min(i * columns + j, count - 1)] : [i, j, channel]);
  const valueAt = (i, j) => (flat ? values.data[indexAt(i, j)[0]] : slice.data[i * columns + j]);
  const addressAt = (i, j) => `${letter}/${record.key}/${indexAt(i, j).join(",")}`;
  const readout = element("p", { class: "readout" });
  const say = (i, j) => {
    const address = addressAt(i, j);
    readout.replaceChildren(element("a", { href: `#${address}`, class: "number", title: exactNumber(valueAt(i, j)) }, address), ` = ${formatNumber(valueAt(i, j), 6)}`);
  };
  const named = (i, j) => (flat ? `number ${indexAt(i, j)[0]}` : `row ${i}, column ${j}, map ${channel}`);
  const grid = mapGrid(canvas, {
    rows, columns, name: `${letter} of ${record.key}${flat ? "" : `, map ${channel}`}`,
    describe: (i, j) => `${named(i, j)}: ${formatNumber(valueAt(i, j))}`,
    onMove: say, onEnter: (i, j) => context.go(`#${addressAt(i, j)}`),
  });
  grid.element.classList.add("one-map");
  say(0, 0);
  return element("section", { "aria-label": "One map" }, grid.element, readout);
}

/** The parameters of a layer, or their derivatives, as small maps: a filter's kernels side by side. */
function weights(record, backward) {
  const arrays = Object.entries(backward ? record.gradients : record.layer.parameters ?? {});
  if (!arrays.length) return "";
  const figures = arrays.map(([name, array]) => {
    const scale = largestSize(array.data);
    const maps = array.shape.length === 4 ? kernels(array) : asMaps({ shape: [array.data.length], data: array.data });
    const canvas = element("canvas", { class: "pixels plain weights", role: "img", "aria-label": `${name} of ${record.key}` });
    const layout = montage(canvas, maps, { scale, columns: array.shape.length === 4 ? Math.min(maps.shape[2], 16) : undefined });
    canvas.style.setProperty("width", `min(100%, ${layout.width * (layout.width > 120 ? 3 : 5)}px)`);
    const caption = `${backward ? "d" : ""}${name}, ${array.shape.join(" × ")}${array.shape.length === 4 && array.shape[2] > 1 ? "; the first input channel of each filter" : ""}`;
    return element("figure", {}, element("figcaption", {}, caption), canvas, legend(scale));
  });
  return element("section", { "aria-label": "Parameters" }, element("h3", {}, backward ? "Derivatives of the parameters" : "Parameters"), ...figures);
}

/** W (k_h, k_w, c, filters) -> the kernels of the first input channel as maps (k_h, k_w, filters). */
function kernels(w) {
  const [height, width, channels, filters] = w.shape;
  const data = new Float64Array(height * width * filters);
  for (let p = 0; p < height * width; p++) {
    for (let f = 0; f < filters; f++) data[p * filters + f] = w.data[p * channels * filters + f];
  }
  return { shape: [height, width, filters], data };
}
