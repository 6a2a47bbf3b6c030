/**
 * The check at load: the golden input must give the logits and the derivatives that Python has for it.
 *
 * A page that calculates something else than the trained model must not answer: then a red bar says so, and no guess
 * is shown.
 */
import { at } from "./net/tensor.js";
import { pass } from "./net/model.js";
import { element } from "./ui/dom.js";
import { parseIndex } from "./ui/hash.js";

/** Of the largest number: what other roundings of exp and of sums may cost. */
export const goldenTolerance = 1e-9;

/** The largest difference of logits and derivatives, each relative to the largest of them; Infinity if any is missing. */
export function goldenError(model, golden) {
  const { label, cells } = golden.gradients;
  const { logits, byKey } = pass(model, golden.x, label); // the logits do not depend on the label
  const mine = cells.map(({ address }) => derivativeAt(byKey, address));
  return Math.max(relativeError([...logits], golden.logits), relativeError(mine, cells.map(({ value }) => value)));
}

/** "dW/4.conv2d/1,2,0,7" -> the number in the gradients of a pass. */
function derivativeAt(byKey, address) {
  const [kind, key, index] = address.split("/");
  return at(byKey[key].gradients[kind.slice(1)], ...(parseIndex(index) ?? []));
}

function relativeError(mine, theirs) {
  if (mine.length !== theirs.length) return Infinity;
  const scale = Math.max(...theirs.map(Math.abs), Number.MIN_VALUE);
  const errors = mine.map((value, k) => Math.abs(value - theirs[k]) / scale);
  return errors.some(Number.isNaN) ? Infinity : Math.max(0, ...errors);
}

/** Write the result below the page, or into the alarm; whether the page may answer. */
export function checkGolden(context, golden, place, alarm) {
  const error = goldenError(context.model, golden);
  const passed = error <= goldenTolerance;
  if (passed) {
    const text = `This page's logits and derivatives equal Python's within ${error.toExponential(1)}.`;
    place.append(element("span", { class: "good" }, "✓ "), text);
  } else {
    alarm.hidden = false;
    alarm.textContent =
      `This page does not calculate what Python calculates: the numbers of its test input differ by ` +
      `${error.toExponential(1)} of the largest. No answers are shown. Export the model again.`;
  }
  return passed;
}
