/** Probabilities as bars with their numbers: a list, so that it can be read without seeing it. */
import { element } from "./dom.js";
import { percent } from "./number.js";
import { largest } from "../context.js";

/** -> {element, update(probabilities or null)}. */
export function probabilityBars(classNames) {
  const rows = classNames.map((name) => {
    const fill = element("span", { class: "bar-fill" });
    const value = element("span", { class: "bar-value" });
    const row = element("li", {}, element("span", { class: "bar-name" }, name), element("span", { class: "bar", "aria-hidden": true }, fill), value);
    return { row, fill, value };
  });
  const list = element("ol", { class: "bars", "aria-label": "Probability of each class" }, ...rows.map(({ row }) => row));
  const update = (probabilities) => {
    const best = largest(probabilities);
    rows.forEach(({ row, fill, value }, k) => {
      const p = probabilities ? probabilities[k] : 0;
      row.classList.toggle("best", k === best);
      fill.style.setProperty("width", `${100 * p}%`);
      value.textContent = probabilities ? percent(p) : "–";
    });
  };
  update(null);
  return { element: list, update };
}
