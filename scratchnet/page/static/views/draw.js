/** Draw: the reader's own digit, what is done to it, and the probabilities while it is drawn. */
import { element } from "../ui/dom.js";
import { probabilityBars } from "../ui/bars.js";
import { announce } from "../ui/live.js";
import { percent } from "../ui/number.js";
import { picture } from "../ui/heatmap.js";
import { sourcePanel } from "../ui/source.js";
import { largest } from "../context.js";
import { makeField } from "../draw/field.js";
import { inputFromStrokes } from "../draw/input.js";
import { inputOf, makePictureReader, pictureSteps } from "../draw/pictures.js";
import { makeSteps } from "../draw/steps.js";
import { countParts } from "../draw/strokes.js";
import { makeTray } from "../draw/tray.js";

/** What was drawn is kept while other views are shown. */
const drawing = { strokes: [], switches: { box: true, pen: true, centre: true }, ends: [] };

export const drawView = {
  name: "draw",
  title: "Draw",
  show(container, context) {
    const { model } = context;
    const answer = element("p", { class: "answer" });
    const note = element("p", { class: "soft", id: "note" });
    const bars = probabilityBars(model.classNames);
    const actions = strokeActions(context);
    const field = makeField(drawing, Math.min(model.inputShape[0], model.inputShape[1]), actions);
    const steps = makeSteps(drawing.switches, model.inputShape, actions.changed);
    const say = (text) => {
      note.textContent = text;
      announce(text, 0);
    };
    const replaceDrawing = (x, label, text) => {
      drawing.strokes.length = 0;
      field.redraw();
      pictureBox.replaceChildren();
      context.setInput(x, label, text);
    };
    const pictureBox = element("div", {});
    const pictures = makePictureReader(context.server, {
      say,
      found: (x, prepared) => {
        const several = prepared.digits?.length > 1;
        replaceDrawing(x, null, several ? `the first of ${prepared.digits.length} digits in the picture` : "a picture");
        const steps = pictureSteps(prepared, (digit) => context.setInput(inputOf(digit), null, "a digit of the picture"));
        pictureBox.replaceChildren(...(steps ? [steps] : []));
      },
    });
    const tray = makeTray(context.tray, model.classNames, ({ x, label }, k) => {
      replaceDrawing(x, label, `test image ${k + 1}, labelled ${model.classNames[label]}`);
      document.getElementById("content").scrollIntoView({ block: "start" });
    });
    const stepsBox = element(
      "section", { "aria-labelledby": "steps-title" },
      element("h3", { id: "steps-title" }, "What is done to the drawing"),
      element("p", { class: "soft" }, "The network learned from digits prepared in this way. Switch a step off, and see the guess break."),
      steps.element,
      sourcePanel(context.sources, "digit_from_strokes", ["points, width =", "ink = ", "return _centred"], false),
    );
    const update = () => {
      const drawn = drawing.strokes.length > 0;
      field.canvas.hidden = drawn || !context.x;
      if (context.x && !drawn) picture(field.canvas, context.x);
      bars.update(context.trusted ? context.probabilities : null);
      answer.textContent = answerText(context);
      note.textContent = drawn && countParts(drawing.strokes) > 1 ? "One digit, please: these seem to be several." : context.x ? context.note : "";
      stepsBox.hidden = !drawn;
      if (drawn) pictureBox.replaceChildren();
      if (drawn) steps.update(drawing.strokes);
    };
    const controls = element(
      "div", { class: "controls" },
      element("button", { type: "button", id: "undo", onclick: actions.undo }, "Undo"),
      element("button", { type: "button", id: "clear", onclick: actions.clear }, "Clear"),
      pictures.element,
    );
    container.append(
      element("h2", {}, `Draw ${wanted(model.classNames)}`),
      element(
        "div", { class: "draw" },
        element("div", { class: "draw-field" }, field.element, controls),
        element("div", { class: "draw-answer" }, answer, note, bars.element),
      ),
      stepsBox,
      pictureBox,
      ...(tray ? [tray] : []),
    );
    drawing.ends = [context.subscribe(() => (field.redraw(), update())), pictures.end];
    update();
  },
  hide() {
    for (const end of drawing.ends) end();
  },
};

/** What the field's events do. The network runs at most once in a frame of the screen. */
function strokeActions(context) {
  const waiting = { frame: 0 };
  const recalculate = () => {
    waiting.frame = 0;
    context.setInput(inputFromStrokes(drawing.strokes, context.model.inputShape, drawing.switches), null, "your drawing");
  };
  const changed = () => {
    waiting.frame ||= requestAnimationFrame(recalculate);
  };
  return {
    changed,
    ended: () => setTimeout(() => context.x && announce(answerText(context)), 50),
    undo() {
      drawing.strokes.pop();
      changed();
    },
    clear() {
      drawing.strokes.length = 0;
      changed();
      announce("The field is empty.", 0);
    },
  };
}

/** "This is a 4 (97.3 %)", or what is missing. */
export function answerText(context) {
  if (!context.trusted) return "No answer: this page failed its check.";
  if (!context.x) return "Draw something.";
  const best = largest(context.probabilities);
  const p = context.probabilities[best];
  const name = context.model.classNames[best];
  return `${p >= 0.8 ? "This is" : p >= 0.5 ? "Probably" : "Perhaps"} ${name} (${percent(p)})`;
}

function wanted(classNames) {
  const digits = classNames.length === 10 && classNames.every((name, k) => name === String(k));
  return digits ? "a digit" : `one of: ${classNames.join(", ")}`;
}
