/** The test images that excite a map most, each with the place of its largest value. */
import { element } from "../ui/dom.js";
import { picture } from "../ui/heatmap.js";
import { formatNumber } from "../ui/number.js";
import { inPieces } from "../ui/pieces.js";
import { rowForward } from "../net/row.js";

const shownImages = 12;
const exciting = { model: null, best: null, key: "", channel: 0 };

/** -> {element, update()}. The largest values of all maps are calculated once for a model. */
export function excitingPart(context, ends) {
  const place = element("div", {});
  const section = element("section", { "aria-labelledby": "exciting" }, element("h3", { id: "exciting" }, "Images that excite a map most"), place);
  if (!context.tray.length) {
    place.append(element("p", { class: "soft" }, "This page has no test images."));
    return { element: section, update() {} };
  }
  if (exciting.model === context.model) showExciting(place, context);
  else {
    const bar = element("progress", { max: 1, "aria-label": "Test images calculated" });
    const maxima = new Map();
    place.append(element("p", {}, `Showing ${context.tray.length} test images to the network … `, bar));
    const done = () => {
      Object.assign(exciting, { model: context.model, best: maxima, key: [...maxima.keys()][0] ?? "", channel: 0 });
      showExciting(place, context);
    };
    ends.push(inPieces(context.tray.length, (k) => collectMaxima(context.model, context.tray[k].x, maxima), done, (share) => (bar.value = share)));
  }
  return { element: section, update() {} };
}

/** The largest value of each map of each layer for an image, and where it is: pushed into key -> channel -> list. */
function collectMaxima(model, x, maxima) {
  for (const { key, y } of rowForward(model.layers, x, false, null).records) {
    if (y.shape.length !== 3 || key.endsWith(".rescale")) continue;
    const channels = y.shape[2];
    const best = Array.from({ length: channels }, () => ({ value: -Infinity, place: 0 }));
    y.data.forEach((value, p) => {
      if (value > best[p % channels].value) best[p % channels] = { value, place: Math.floor(p / channels) };
    });
    if (!maxima.has(key)) maxima.set(key, { shape: y.shape, channels: best.map(() => []) });
    best.forEach((one, c) => maxima.get(key).channels[c].push(one));
  }
}

function showExciting(place, context) {
  const { best } = exciting;
  if (!best.size) return place.replaceChildren(element("p", { class: "soft" }, "This network has no maps."));
  const { shape, channels } = best.get(exciting.key);
  const keys = chooser("Layer", "exciting-layer", [...best.keys()], exciting.key, (key) => {
    Object.assign(exciting, { key, channel: 0 });
    showExciting(place, context);
    document.getElementById("exciting-layer").focus();
  });
  const maps = chooser("Map", "exciting-map", channels.map((_, c) => String(c)), String(exciting.channel), (c) => {
    exciting.channel = Number(c);
    showExciting(place, context);
    document.getElementById("exciting-map").focus();
  });
  const values = channels[exciting.channel];
  const order = values.map((_, k) => k).sort((a, b) => values[b].value - values[a].value).slice(0, shownImages);
  const items = order.map((k) => imageOf(context, k, values[k], shape));
  place.replaceChildren(element("div", { class: "controls" }, keys, maps), element("ul", { class: "excited" }, ...items));
}

function imageOf(context, k, { value, place }, [h, w]) {
  const { x, label } = context.tray[k];
  const name = context.model.classNames[label];
  const mark = element("span", { class: "cell-cursor", "aria-hidden": true, style: {
    left: `${(100 * (place % w)) / w}%`, top: `${(100 * Math.floor(place / w)) / h}%`, width: `${100 / w}%`, height: `${100 / h}%`,
  } });
  const canvas = picture(element("canvas", { class: "pixels", "aria-hidden": true }), x);
  const take = () => context.setInput(x, label, `test image ${k + 1}`);
  return element("li", {}, element("button", { type: "button", class: "tray-image map-grid", "aria-label": `${name}, ${formatNumber(value, 3)}: take this image`, onclick: take }, canvas, mark), element("span", {}, `${name}: ${formatNumber(value, 3)}`));
}

function chooser(label, id, values, chosen, changed) {
  const options = values.map((value) => element("option", { value, selected: value === chosen }, value));
  return element("span", {}, element("label", { for: id }, `${label} `), element("select", { id, onchange: (event) => changed(event.target.value) }, ...options));
}
