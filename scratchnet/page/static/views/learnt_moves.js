/** How far the image can be shifted, turned and scaled before the answer changes: sliders, and a curve for each. */
import { element } from "../ui/dom.js";
import { lineChart } from "../ui/chart.js";
import { picture } from "../ui/heatmap.js";
import { percent } from "../ui/number.js";
import { inPieces } from "../ui/pieces.js";
import { largest } from "../context.js";
import { predict } from "../net/model.js";
import { movedImage } from "../net/moved.js";

const moves = [
  { name: "across", title: "Shifted across", unit: "pixels", from: -8, to: 8, step: 1, still: 0 },
  { name: "down", title: "Shifted down", unit: "pixels", from: -8, to: 8, step: 1, still: 0 },
  { name: "turn", title: "Turned", unit: "degrees", from: -90, to: 90, step: 10, still: 0 },
  { name: "zoom", title: "Scaled", unit: "times", from: 0.4, to: 1.8, step: 0.1, still: 1 },
];

/** -> {element, update()}. */
export function movesPart(context, ends) {
  const chosen = { across: 0, down: 0, turn: 0, zoom: 1 };
  const canvas = element("canvas", { class: "pixels watched", role: "img", "aria-label": "The moved image" });
  const answer = element("p", { class: "answer", "aria-live": "polite" });
  const charts = element("div", { class: "charts" });
  const running = { stop: () => {} };
  ends.push(() => running.stop());
  const sliders = moves.map((move) => slider(move, chosen, () => update()));
  const back = element("button", { type: "button", onclick: () => (sliders.forEach((one) => one.reset()), update()) }, "As it was");
  const update = () => {
    running.stop();
    const moved = movedImage(context.x, chosen);
    const p = predict(context.model, moved);
    const [was, is] = [largest(context.probabilities), largest(p)];
    const names = context.model.classNames;
    picture(canvas, moved);
    answer.textContent = was === is ? `Still ${names[is]} (${percent(p[is])})` : `Now ${names[is]} (${percent(p[is])}); ${names[was]} has ${percent(p[was])}`;
    running.stop = curves(context, chosen, was, charts);
  };
  const controls = element("div", { class: "moves" }, ...sliders.map((one) => one.element), element("div", { class: "controls" }, back));
  return {
    element: element("section", { "aria-labelledby": "moves" }, element("h3", { id: "moves" }, "Moved, turned, scaled"), element("div", { class: "snapshot-image" }, canvas, element("div", { class: "grow" }, answer, controls)), charts),
    update,
  };
}

function slider(move, chosen, changed) {
  const id = `move-${move.name}`;
  const text = element("output", { for: id });
  const range = element("input", { type: "range", id, min: move.from, max: move.to, step: move.step / 2, oninput: () => (take(), changed()) });
  const take = () => {
    chosen[move.name] = Number(range.value);
    text.textContent = `${range.value} ${move.unit}`;
    range.setAttribute("aria-valuetext", text.textContent);
  };
  const reset = () => {
    range.value = String(move.still);
    take();
  };
  reset();
  return { element: element("div", { class: "controls" }, element("label", { for: id }, move.title), range, text), reset };
}

/** The probability of class k along each move, the others as chosen. */
function curves(context, chosen, k, place) {
  const points = moves.flatMap((move) => {
    const count = Math.round((move.to - move.from) / move.step) + 1;
    return Array.from({ length: count }, (_, n) => ({ move, value: move.from + n * move.step }));
  });
  const work = (n) => {
    const { move, value } = points[n];
    points[n].p = predict(context.model, movedImage(context.x, { ...chosen, [move.name]: value }))[k];
  };
  const name = context.model.classNames[k];
  const done = () =>
    place.replaceChildren(
      ...moves.map((move) =>
        lineChart([{ name: `probability of ${name}`, points: points.filter((one) => one.move === move).map((one) => [one.value, one.p]) }], {
          title: move.title, xLabel: move.unit, yFrom: 0, yTo: 1, height: 170,
          marks: [{ x: chosen[move.name], y: predict(context.model, movedImage(context.x, chosen))[k], name: "now" }],
        }),
      ),
    );
  return inPieces(points.length, work, done);
}
