/** The controls of a live training: pause, one step, the learning rate, and whose maps are watched. */
import { element } from "../ui/dom.js";
import { formatNumber } from "../ui/number.js";
import { order, sendImage } from "../orders.js";

/** The slider's positions are powers of ten: -2 to 1 is a factor of 0.01 to 10 on the learning rate. */
const from = -2;
const to = 1;

/** -> {element, update(state)}. */
export function trainingControls(context, training) {
  const problem = element("p", { class: "warning", role: "alert" });
  const send = (promise) => promise.then(() => (problem.textContent = ""), (error) => (problem.textContent = error.message));
  const pause = element("button", { type: "button", onclick: () => send(order("training/control", { do: training.state.paused ? "resume" : "pause" })) }, "Pause");
  const step = element("button", { type: "button", onclick: () => send(order("training/control", { do: "step" })) }, "One step");
  const watch = element("button", { type: "button", onclick: () => context.x && send(sendImage("training/watch", context.x)) }, "Watch my input");
  const range = element("input", {
    type: "range", id: "rate", min: from, max: to, step: 0.05, value: 0,
    oninput: () => say(10 ** Number(range.value)),
    onchange: () => send(order("training/control", { do: "scale", value: 10 ** Number(range.value) })),
  });
  const text = element("output", { for: "rate" });
  const changes = element("p", { class: "soft" });
  const say = (scale) => {
    text.textContent = `× ${formatNumber(scale, 3)}`;
    range.setAttribute("aria-valuetext", `${formatNumber(scale, 3)} times the learning rate of the recipe`);
  };
  const update = (state) => {
    pause.textContent = state.paused ? "Resume" : "Pause";
    for (const control of [pause, step, watch, range]) control.disabled = Boolean(state.ended);
    watch.disabled ||= !context.x;
    if (document.activeElement !== range && state.scale) {
      range.value = String(Math.log10(state.scale));
      say(state.scale);
    }
    const last = state.changes?.[state.changes.length - 1];
    changes.textContent = last ? `The learning rate was changed by hand at step ${last.step}: the command alone does not reproduce this run.` : "";
  };
  say(1);
  const rate = element("div", { class: "controls rate" }, element("label", { for: "rate" }, "Learning rate"), range, text);
  return {
    element: element("section", { "aria-label": "Controls of the training" }, element("div", { class: "controls" }, pause, step, watch), rate, changes, problem),
    update,
  };
}
