/** What is done to a drawing before a network sees it, as pictures; each step can be switched off. */
import { element } from "../ui/dom.js";
import { heatmap } from "../ui/heatmap.js";
import { formatNumber } from "../ui/number.js";
import { centreOfMass, digitFromStrokes, fixedPen } from "./raster.js";
import { rasterOptions } from "./input.js";

const stepTexts = [
  { name: null, title: "As drawn", text: () => "place, size and pen of the drawing field" },
  { name: "box", title: "Box", text: ({ box }) => `scaled: its longer side is ${box} pixels` },
  { name: "pen", title: "Pen", text: ({ size }) => `inked ${formatNumber((fixedPen * size) / 28, 3)} pixels wide, as in MNIST` },
  { name: "centre", title: "Centre", text: (_, [down, right]) => `moved by ${signed(down)} rows, ${signed(right)} columns: its centre of mass is in the middle` },
];

/** switches: {box, pen, centre}: booleans, changed in place; changed(): a switch was changed. -> {element, update(strokes)} */
export function makeSteps(switches, shape, changed) {
  const tiles = stepTexts.map(({ name, title }) => {
    const canvas = element("canvas", { class: "pixels", role: "img", "aria-label": `The drawing after the step: ${title}` });
    const text = element("p", { class: "soft" });
    const box = name && element("input", {
      type: "checkbox", id: `step-${name}`, checked: switches[name],
      onchange: (event) => {
        switches[name] = event.target.checked;
        changed();
      },
    });
    const label = name ? element("label", { for: `step-${name}`, class: "step-switch" }, box, title) : element("p", { class: "step-switch" }, title);
    return { canvas, text, element: element("li", {}, label, canvas, text) };
  });
  const update = (strokes) => {
    const on = { box: false, pen: false, centre: false };
    stepTexts.forEach(({ name, text }, k) => {
      if (name) on[name] = switches[name];
      const options = rasterOptions(shape, on);
      const bytes = digitFromStrokes(strokes, options);
      const { shift } = centreOfMass(digitFromStrokes(strokes, { ...options, centre: false }), options.size);
      const data = Float64Array.from(bytes, (value) => value / 255);
      heatmap(tiles[k].canvas, { shape: [options.size, options.size], data }, { scale: 1, ink: true });
      tiles[k].text.textContent = name && !switches[name] ? "switched off" : text(rasterOptions(shape), shift);
    });
  };
  const list = element("ol", { class: "steps" }, ...tiles.map((tile) => tile.element));
  return { element: list, update };
}

function signed(n) {
  return n > 0 ? `+${n}` : String(n).replace("-", "−");
}
