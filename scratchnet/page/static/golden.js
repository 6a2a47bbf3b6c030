/**
 * The check at load: the golden input must give the logits that Python has for it.
 *
 * A page that calculates something else than the trained model must not answer: then a red bar says so, and no guess
 * is shown.
 */
import { pass } from "./net/model.js";
import { element } from "./ui/dom.js";

/** Of the largest logit: what float32 weights and other roundings of exp may cost. */
export const goldenTolerance = 1e-5;

/** The largest difference of the golden logits, relative to the largest of them; Infinity if any is missing. */
export function goldenError(model, golden) {
  const { logits } = pass(model, golden.x, golden.label, { training: false, seed: 0 });
  if (logits.length !== golden.logits.length) return Infinity;
  let scale = 1;
  let error = 0;
  for (let k = 0; k < logits.length; k++) {
    scale = Math.max(scale, Math.abs(golden.logits[k]));
    const difference = Math.abs(logits[k] - golden.logits[k]);
    if (!(difference <= error)) error = difference; // also NaN
  }
  return Number.isNaN(error) ? Infinity : error / scale;
}

/** Write the result below the page, or into the alarm; whether the page may answer. */
export function checkGolden(context, golden, place, alarm) {
  const error = goldenError(context.model, golden);
  const passed = error <= goldenTolerance;
  if (passed) {
    place.append(element("span", { class: "good" }, "✓ "), `This page's logits equal Python's within ${error.toExponential(1)}.`);
  } else {
    alarm.hidden = false;
    alarm.textContent =
      `This page does not calculate what Python calculates: the logits of its test input differ by ` +
      `${error.toExponential(1)} of the largest. No answers are shown. Export the model again.`;
  }
  return passed;
}
