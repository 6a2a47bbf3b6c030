/** Where the answer comes from: Grad-CAM, and the probability when a square of the image is covered. */
import { element } from "../ui/dom.js";
import { heatmap, largestSize, picture } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { formatNumber, percent } from "../ui/number.js";
import { inPieces } from "../ui/pieces.js";
import { largest } from "../context.js";
import { dropAt, gradCam } from "../net/attention.js";

const square = 5; // pixels of the side that is covered

/** -> {element, update()}. */
export function attentionPart(context, ends) {
  const place = element("div", { class: "maps" });
  const text = element("p", { class: "soft" });
  const running = { stop: () => {} };
  ends.push(() => running.stop());
  const update = () => {
    running.stop();
    const k = largest(context.probabilities);
    const name = context.model.classNames[k];
    const input = figure("the input", picture(canvasOf("The input"), context.x));
    const cam = gradCam(context.model, context.x, k);
    const camFigure = cam && figure(`Grad-CAM of ${cam.key}`, heatmap(canvasOf(`Grad-CAM of class ${name}`), cam.map, { signed: false }), legend(largestSize(cam.map.data), { signed: false }));
    const occlusion = element("figure", {}, element("figcaption", {}, "covered squares …"));
    place.replaceChildren(...[input, camFigure, occlusion].filter(Boolean));
    text.textContent = `The answer is ${name} (${percent(context.probabilities[k])}). Grad-CAM: where the last maps speak for it. Covered squares: how much its probability falls when a square of ${square} × ${square} pixels around a point is black; blue where it rises.`;
    running.stop = cover(context, k, occlusion);
  };
  return { element: element("section", { "aria-labelledby": "attention" }, element("h3", { id: "attention" }, "Where the answer comes from"), text, place), update };
}

function cover(context, k, place) {
  const { model, x } = context;
  const [h, w] = x.shape;
  const stride = Math.max(1, Math.round(Math.max(h, w) / 14));
  const [rows, columns] = [Math.ceil(h / stride), Math.ceil(w / stride)];
  const data = new Float64Array(rows * columns);
  const whole = context.probabilities[k];
  const work = (p) => (data[p] = dropAt(model, x, k, whole, Math.floor(p / columns) * stride, (p % columns) * stride, square));
  const done = () => {
    const scale = Math.max(largestSize(data), 1e-3);
    const most = data.indexOf(Math.max(...data));
    const where = `row ${Math.floor(most / columns) * stride}, column ${(most % columns) * stride}`;
    place.replaceChildren(
      element("figcaption", {}, `covered squares: it falls most, by ${formatNumber(data[most], 2)}, at ${where}`),
      heatmap(canvasOf(`The probability falls most at ${where}`), { shape: [rows, columns], data }, { scale }),
      legend(scale, { label: "fall of the probability" }),
    );
  };
  return inPieces(rows * columns, work, done);
}

function figure(caption, ...content) {
  return element("figure", {}, element("figcaption", {}, caption), ...content);
}

function canvasOf(name) {
  return element("canvas", { class: "pixels square", role: "img", "aria-label": name });
}
