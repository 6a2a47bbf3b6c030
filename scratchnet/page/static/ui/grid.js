/**
 * A cell cursor over a map: one tab stop, arrows move it, and focus shows all that hovering shows.
 *
 * mapGrid(canvas, {rows, columns, name, describe(i, j), onMove(i, j), onEnter(i, j)}) -> {element, move(i, j), cell()}
 *     element     put it in place of the canvas; it holds the canvas and the cursor
 *     describe    the sentence for a screen reader: "row 5, column 7: 0.84"
 *     onMove      the cursor is at (i, j): by pointer, touch or keyboard
 *     onEnter     Enter, a double click, or a second tap on the same cell
 */
import { element } from "./dom.js";
import { announce } from "./live.js";

export function mapGrid(canvas, { rows, columns, name, describe = () => "", onMove = () => {}, onEnter = () => {} }) {
  const place = { i: 0, j: 0 };
  const cursor = element("span", { class: "cell-cursor", "aria-hidden": true });
  const box = element(
    "div",
    { class: "map-grid", tabindex: 0, role: "application", "aria-roledescription": "map of numbers", "aria-label": `${name}. Arrows move, Enter explains.` },
    canvas, cursor,
  );
  const move = (i, j, quiet = false) => {
    place.i = Math.min(Math.max(i, 0), rows - 1);
    place.j = Math.min(Math.max(j, 0), columns - 1);
    cursor.style.setProperty("left", `${(100 * place.j) / columns}%`);
    cursor.style.setProperty("top", `${(100 * place.i) / rows}%`);
    cursor.style.setProperty("width", `${100 / columns}%`);
    cursor.style.setProperty("height", `${100 / rows}%`);
    if (quiet) return;
    announce(describe(place.i, place.j));
    onMove(place.i, place.j);
  };
  const at = (event) => {
    const area = canvas.getBoundingClientRect();
    return [Math.floor(((event.clientY - area.top) / area.height) * rows), Math.floor(((event.clientX - area.left) / area.width) * columns)];
  };
  box.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") move(...at(event));
  });
  box.addEventListener("click", (event) => {
    if (event.detail === 0) return; // of the keyboard
    const [i, j] = at(event);
    const again = i === place.i && j === place.j && box.dataset.tapped === `${i},${j}`;
    box.dataset.tapped = `${i},${j}`;
    move(i, j);
    if (again) onEnter(i, j);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const end = { Home: [place.i, 0], End: [place.i, columns - 1], PageUp: [0, place.j], PageDown: [rows - 1, place.j] }[event.key];
    if (step) move(place.i + step[0], place.j + step[1]);
    else if (end) move(...end);
    else if (event.key === "Enter") onEnter(place.i, place.j);
    else return;
    event.preventDefault();
  });
  move(0, 0, true);
  return { element: box, move, cell: () => [place.i, place.j] };
}
