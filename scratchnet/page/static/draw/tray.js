/** A tray of test images to take instead of drawing: those the model finds hardest come first. */
import { element } from "../ui/dom.js";
import { picture } from "../ui/heatmap.js";

const shownFirst = 30;

/** tray: [{x, label}]; take(example, number): one was chosen. -> an element, or null for an empty tray. */
export function makeTray(tray, classNames, take) {
  if (!tray.length) return null;
  const buttonOf = (example, k) => {
    const canvas = picture(element("canvas", { class: "pixels", "aria-hidden": true }), example.x);
    const name = `Test image ${k + 1}: ${classNames[example.label]}`;
    return element("button", { type: "button", class: "tray-image", "aria-label": name, title: name, onclick: () => take(example, k) }, canvas);
  };
  const box = element("div", { class: "tray" }, ...tray.slice(0, shownFirst).map(buttonOf));
  const more = element("button", {
    type: "button",
    onclick: () => {
      box.append(...tray.slice(shownFirst).map((example, k) => buttonOf(example, k + shownFirst)));
      box.children[shownFirst].focus();
      more.remove();
    },
  }, `All ${tray.length}`);
  return element(
    "section", { "aria-labelledby": "tray-title" },
    element("h3", { id: "tray-title" }, "Test images"),
    element("p", { class: "soft" }, "The model finds the first ones hardest. Take one instead of drawing."),
    box,
    tray.length > shownFirst ? more : null,
  );
}
