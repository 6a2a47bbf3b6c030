/**
 * What it learnt: the test images that excite a map most, where in the image the answer comes from, and how far the
 * image can be moved before the answer changes. All of it is calculated here, piece by piece between two frames.
 */
import { element } from "../ui/dom.js";
import { attentionPart } from "./learnt_attention.js";
import { excitingPart } from "./learnt_exciting.js";
import { movesPart } from "./learnt_moves.js";

const learntEnds = [];

export const learntView = {
  name: "learnt",
  title: "Learnt",
  show(container, context) {
    const parts = [attentionPart, movesPart, excitingPart].map((part) => part(context, learntEnds));
    container.append(element("h2", {}, "What it learnt"), ...parts.map(({ element: place }) => place));
    const update = () => parts.forEach((part) => part.update());
    learntEnds.push(context.subscribe(update));
    update();
  },
  hide() {
    for (const end of learntEnds.splice(0)) end();
  },
};
