/**
 * The drawing field: what was drawn as vectors, and a cursor on the grid of pixels for the keyboard.
 *
 * Arrows move the cursor (with Shift by four), Space lowers and lifts the pen, Backspace or Ctrl Z undo, Delete clears.
 */
import { element, svg } from "../ui/dom.js";
import { announce } from "../ui/live.js";
import { drawnPen } from "./raster.js";
import { listenToPen } from "./strokes.js";

const arrowSteps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * drawing: {strokes, …}; size: cells of the cursor's grid; actions: {changed(), ended(), undo(), clear()}.
 * -> {element, canvas, redraw()}: canvas lies below the strokes, for an image that was not drawn here.
 */
export function makeField(drawing, size, actions) {
  const ink = svg("path", { class: "ink", "stroke-width": drawnPen });
  const cursor = svg("rect", { class: "pen-cursor", width: 1 / size, height: 1 / size });
  const canvas = element("canvas", { class: "pixels", "aria-hidden": true });
  const sheet = svg("svg", { viewBox: "0 0 1 1", "aria-hidden": true }, ink, cursor);
  const field = element(
    "div",
    {
      id: "field", class: "field", tabindex: 0, role: "application", "aria-roledescription": "drawing field",
      "aria-label": "Drawing field. Arrows move the cursor, Space lowers and lifts the pen, Backspace undoes, Delete clears.",
    },
    canvas, sheet,
  );
  const redraw = () => ink.setAttribute("d", drawing.strokes.map(pathOf).join(""));
  const changed = () => {
    redraw();
    actions.changed();
  };
  listenToPen(field, drawing, { changed, ended: actions.ended });
  listenToKeys(field, drawing, size, { ...actions, changed, moved: (i, j, down) => place(cursor, size, i, j, down) });
  redraw();
  return { element: field, canvas, redraw };
}

/** "M x y L x y …"; a line of no length makes a dot, as its ends are round. */
function pathOf(points) {
  const [[x, y], ...others] = points;
  return `M${x} ${y}${others.map((point) => `L${point[0]} ${point[1]}`).join("") || `L${x} ${y}`}`;
}

function place(cursor, size, i, j, down) {
  cursor.setAttribute("x", j / size);
  cursor.setAttribute("y", i / size);
  cursor.classList.toggle("down", down);
}

function listenToKeys(field, drawing, size, actions) {
  const pen = { i: Math.floor(size / 2), j: Math.floor(size / 2), down: false };
  const centre = () => [(pen.j + 0.5) / size, (pen.i + 0.5) / size];
  const lift = () => {
    if (!pen.down) return;
    pen.down = false;
    actions.ended();
  };
  const move = (event) => {
    const [di, dj] = arrowSteps[event.key].map((step) => step * (event.shiftKey ? 4 : 1));
    pen.i = Math.min(Math.max(pen.i + di, 0), size - 1);
    pen.j = Math.min(Math.max(pen.j + dj, 0), size - 1);
    if (pen.down) {
      drawing.strokes.at(-1).push(centre());
      actions.changed();
    }
  };
  const lower = () => {
    pen.down = true;
    drawing.strokes.push([centre()]);
    actions.changed();
  };
  field.addEventListener("keydown", (event) => {
    field.classList.remove("pointed");
    const undoing = event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey));
    if (undoing || event.key === "Delete") {
      pen.down = false;
      (undoing ? actions.undo : actions.clear)();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (event.key in arrowSteps) {
      move(event);
    } else if (event.key === " ") {
      if (pen.down) lift();
      else lower();
    } else {
      return;
    }
    event.preventDefault();
    actions.moved(pen.i, pen.j, pen.down);
    announce(`row ${pen.i + 1}, column ${pen.j + 1}, pen ${pen.down ? "down" : "up"}`, 150);
  });
  field.addEventListener("blur", lift);
  field.addEventListener("pointerdown", () => {
    lift();
    field.classList.add("pointed"); // the cursor is for the keyboard
  }, { capture: true });
  actions.moved(pen.i, pen.j, false);
}
