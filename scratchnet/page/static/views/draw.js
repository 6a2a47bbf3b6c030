/** Draw: the reader's own digit, what is done to it, and the probabilities while it is drawn. */
import { element } from "../ui/dom.js";
import { probabilityBars } from "../ui/bars.js";

const drawState = { end: null };

export const drawView = {
  name: "draw",
  title: "Draw",
  show(container, context) {
    const bars = probabilityBars(context.model.classNames);
    container.append(element("h2", {}, "Draw a digit"), bars.element);
    const update = () => bars.update(context.trusted ? context.probabilities : null);
    drawState.end = context.subscribe(update);
    update();
  },
  hide() {
    drawState.end?.();
  },
};
