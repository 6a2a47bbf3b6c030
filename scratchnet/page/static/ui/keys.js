/** The page's keys: "?" lists them, Escape or Backspace go back. */
import { element } from "./dom.js";

const pageKeys = [
  ["Tab", "to the next control or map"],
  ["arrows", "move in the drawing field, or from number to number in a map"],
  ["Space", "paint or lift the pen, in the drawing field"],
  ["Enter", "follow: explain the number, take the digit"],
  ["Backspace", "back to where you came from"],
  ["Ctrl Z", "undo the last stroke, in the drawing field"],
  ["?", "this list"],
];

/** Listen for the page's keys; button: opens the list too. */
export function installKeys(button) {
  const rows = pageKeys.map(([key, what]) => element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, key)), element("td", {}, what)));
  const dialog = element(
    "dialog", { "aria-labelledby": "keys-title" },
    element("h2", { id: "keys-title" }, "Keys"),
    element("table", {}, element("tbody", {}, ...rows)),
    element("button", { type: "button", onclick: () => dialog.close() }, "Close"),
  );
  document.body.append(dialog);
  const open = () => dialog.open || dialog.showModal();
  button.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isEditable(event.target)) return;
    if (event.key === "?") open();
    else if (event.key === "Backspace" && history.length > 1) history.back();
    else return;
    event.preventDefault();
  });
}

function isEditable(target) {
  return target instanceof HTMLElement && target.matches("input, select, textarea, [contenteditable]");
}
