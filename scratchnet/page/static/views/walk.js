/** What the views of the walk share: which layer and number they show, and the controls that choose another one. */
import { formatAddress, parseAddress } from "../net/addresses.js";
import { isInside } from "../net/terms_moving.js";
import { numbersOf } from "../net/ledger.js";
import { at, indexOf } from "../net/tensor.js";
import { element } from "../ui/dom.js";
import { mapGrid } from "../ui/grid.js";
import { parseHash } from "../ui/hash.js";
import { hasNegative, largestSize, mapOf } from "../ui/heatmap.js";
import { asMaps, montage } from "../ui/montage.js";
import { formatNumber } from "../ui/number.js";

const walkState = { focus: null, ends: [], refresh: null, mode: { training: false, seed: 0 } };

/** All records of these kinds of layers, those within residual blocks included. */
export function recordsOf(run, kinds) {
  return Object.values(run.byKey).filter((record) => kinds.includes(record.kind));
}

/** The kind of the layer of an address, or null: for `accepts`. */
export function kindAt(address, model) {
  const [, key] = address.split("/");
  return layerOf(model.layers, key)?.kind ?? null;
}

function layerOf(layers, key) {
  for (const layer of layers) {
    if (layer.key === key) return layer;
    const inner = layer.stages && layerOf([...layer.stages, ...layer.shortcut], key);
    if (inner) return inner;
  }
  return null;
}

/**
 * The number that the route names, if it is one of these: {record, kind, index}. Else the largest number of the first
 * of the records (largest in size), of the first kind; null without records.
 */
export function chosenNumber(context, run, records, kinds) {
  try {
    const { kind, key, index } = parseAddress(context.route.address);
    const record = run.byKey[key];
    const fits =
      records.includes(record) && kinds.includes(kind) && isInside(index, numbersOf(record)[kind]?.shape ?? []);
    if (fits) return { record, kind, index };
  } catch {
    // no address in the route: the view chooses a number itself
  }
  const record = records.find(({ key }) => context.route.rest[0] === key) ?? records[0];
  if (!record) return null;
  const kind = kinds.find((name) => numbersOf(record)[name]);
  return { record, kind, index: largestIndex(numbersOf(record)[kind]) };
}

/** The index of the number that is largest in size. */
export function largestIndex({ shape, data }) {
  let best = 0;
  for (let place = 1; place < data.length; place += 1) if (Math.abs(data[place]) > Math.abs(data[best])) best = place;
  return indexOf(shape, best);
}

/** Say in the address bar which number is shown, without a step in the history. */
export function noteAddress(context, view, kind, key, index) {
  history.replaceState(null, "", `#${view}/${formatAddress(kind, key, index)}`);
  context.route = parseHash(location.hash);
}

/** Go to another number of a view; the control with this id has the focus there again. */
export function goKeeping(context, hash, id) {
  walkState.focus = id;
  context.go(hash);
}

/** The pass of the page's input and label, in the mode that the reader chose: evaluation, or a training step. */
export function runOf(context) {
  return context.pass(walkState.mode);
}

/** {training, seed}: of `runOf`; with an argument it is changed first. */
export function walkMode(changes = {}) {
  return Object.assign(walkState.mode, changes);
}

/**
 * The frame of a view: a heading, then `fill(container)`, again after every change of the input or the label. ` +
   `Views call
 * `leaveWalk` when they are hidden.
 */
export function showWalk(container, context, heading, fill) {
  const place = element("div", { class: "walk" });
  container.append(element("h2", {}, heading), place);
  const refresh = () => {
    place.replaceChildren();
    if (walkState.mode.training) place.append(modeNote());
    fill(place);
    if (walkState.focus) document.getElementById(walkState.focus)?.focus();
    walkState.focus = null;
  };
  walkState.ends.push(context.subscribe(refresh));
  walkState.refresh = refresh;
  refresh();
}

/** Fill the view again: what it shows depends on more than input and label. The control `id` keeps the focus. */
export function refreshWalk(id) {
  walkState.focus = id;
  walkState.refresh();
}

function modeNote() {
  const text = "Training mode: as in a step on this image alone, with its own statistics and dropout masks. ";
  const back = element("button", { type: "button", id: "to-evaluation" }, "Evaluation");
  back.addEventListener("click", () => {
    walkMode({ training: false });
    refreshWalk(null);
  });
  return element("p", { class: "mode-note" }, text, back);
}

/** End what `showWalk` began. */
export function leaveWalk() {
  walkState.ends.splice(0).forEach((end) => end());
}

/** A labelled choice. options: [[value, text], …]. changed(value). */
export function choice(id, label, options, current, changed) {
  const list = options.map(([value, text]) =>
    element("option", { value, selected: String(value) === String(current) }, text),
  );
  const select = element("select", { id }, ...list);
  select.addEventListener("change", () => changed(select.value));
  return element("label", { class: "choice", for: id }, `${label} `, select);
}

/** A choice among layers that leads to #view/KEY. */
export function layerChoice(context, view, records, record) {
  const go = (key) => goKeeping(context, `#${view}/${key}`, "choose-layer");
  return choice(
    "choose-layer",
    "Layer",
    records.map(({ key }) => [key, key]),
    record.key,
    go,
  );
}

/** A choice among n channels or filters, 0 to n - 1. */
export function channelChoice(id, label, count, current, changed) {
  const options = Array.from({ length: count }, (_, k) => [k, String(k)]);
  return choice(id, label, options, current, (value) => changed(Number(value)));
}

/** Says that the model has nothing for a view to show. */
export function nothingHere(place, what) {
  place.append(
    element("p", {}, `This model has no ${what}. `, element("a", { href: "#strip" }, "These are its layers.")),
  );
}

/**
 * A channel of a tensor (h, w, c), or a vector as rows of a square, as a map with a cursor.
 * name: for a screen reader. scale, signed: of the colours. onMove(index), onEnter(index): of the tensor.
 * -> {element, grid, place(index): moves the cursor, mark(row, column, rows, columns, className): draws a frame,
 * markIndex(index)}.
 */
export function cursorMap(tensor, channel, options) {
  const { name, scale = largestSize(tensor.data), signed = hasNegative(tensor.data), onMove, onEnter } = options;
  const maps = asMaps(tensor);
  const [rows, columns] = maps.shape;
  const isVector = tensor.shape.length !== 3;
  const indexAt = (i, j) => (isVector ? [Math.min(i * columns + j, tensor.data.length - 1)] : [i, j, channel]);
  const cellOf = (index) => (isVector ? [Math.floor(index[0] / columns), index[0] % columns] : index.slice(0, 2));
  const named = (i, j) => (isVector ? `number ${indexAt(i, j)[0]}` : `row ${i}, column ${j}`);
  const canvas = element("canvas", { class: "pixels plain", "aria-hidden": true });
  montage(canvas, oneOf(maps, isVector ? 0 : channel), { scale, signed });
  const grid = mapGrid(canvas, {
    rows,
    columns,
    name,
    onMove: onMove && ((i, j) => onMove(indexAt(i, j))),
    onEnter: onEnter && ((i, j) => onEnter(indexAt(i, j))),
    describe: (i, j) => `${named(i, j)}: ${formatNumber(at(tensor, ...indexAt(i, j)))}`,
  });
  grid.element.classList.add("walk-map");
  grid.element.classList.add(onMove ? "live-map" : "still");
  const mark = (...frame) => frameOn(grid.element, frame, [rows, columns]);
  return {
    element: element("figure", { class: "map-figure" }, element("figcaption", {}, name), grid.element),
    grid,
    mark,
    place: (index) => grid.move(...cellOf(index), true),
    markIndex: (index) => mark(...cellOf(index), 1, 1),
  };
}

/** One channel of maps (h, w, channels) as maps (h, w, 1). */
function oneOf(maps, channel) {
  return { ...mapOf(maps, channel), shape: [...maps.shape.slice(0, 2), 1], count: maps.count };
}

/** A frame of rows × columns numbers at (row, column) of a map of h × w; what lies outside of the map is cut off. */
function frameOn(box, [row, column, rows, columns, className = "patch"], [h, w]) {
  const frame = element("span", { class: className, "aria-hidden": true });
  const [top, left] = [Math.max(row, 0), Math.max(column, 0)];
  const [bottom, right] = [Math.min(row + rows, h), Math.min(column + columns, w)];
  frame.style.setProperty("top", `${(100 * top) / h}%`);
  frame.style.setProperty("left", `${(100 * left) / w}%`);
  frame.style.setProperty("height", `${(100 * (bottom - top)) / h}%`);
  frame.style.setProperty("width", `${(100 * (right - left)) / w}%`);
  box.append(frame);
  return frame;
}
