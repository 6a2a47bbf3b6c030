/**
 * Training: what the network looked like at each step, live or recorded, and the controls of a training that is live.
 *
 * The recorded snapshots of a run are those of its snapshots.json; a live training sends the same ones as events
 * (training_feed.js). A slider chooses the snapshot that is shown below it (training_snapshot.js).
 */
import { element } from "../ui/dom.js";
import { lineChart } from "../ui/chart.js";
import { announce } from "../ui/live.js";
import { formatNumber, percent } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { readJson } from "../orders.js";
import { trainingControls } from "./training_controls.js";
import { openFeed } from "./training_feed.js";
import { showSnapshot } from "./training_snapshot.js";

/** What is known of the training; it is kept while other views are shown. */
const training = { steps: [], epochs: [], snapshots: [], watched: null, state: {}, seen: 0, chosen: null, follow: true };
const trainingEnds = [];

export const trainingView = {
  name: "training",
  title: "Training",
  show(container, context) {
    container.append(element("h2", {}, "How it was trained"));
    if (context.snapshots && !training.snapshots.length) {
      training.snapshots = context.snapshots.snapshots;
      training.watched = context.snapshots.watched;
      training.chosen = training.snapshots.length - 1;
    }
    const place = element("div", {});
    container.append(place);
    const closed = { yes: false };
    trainingEnds.push(() => (closed.yes = true));
    const begin = (live) => !closed.yes && showTraining(place, context, live);
    if (context.server) readJson("served.json").then((offers) => begin(Boolean(offers?.training)));
    else begin(false);
  },
  hide() {
    for (const end of trainingEnds.splice(0)) end();
  },
};

function showTraining(place, context, live) {
  if (!live && !training.snapshots.length) return place.replaceChildren(nothingRecorded());
  const status = element("p", { class: live ? "answer" : "soft" });
  const charts = element("div", { class: "charts" });
  const snapshot = element("div", {});
  const slider = snapshotSlider(() => showChosen(snapshot, context));
  const controls = live ? trainingControls(context, training) : null;
  const source = sourcePanel(context.sources, "train_epoch", ["train_step(", "on_batch_end"], false);
  place.replaceChildren(...[status, controls?.element, charts, slider.element, snapshot, source].filter(Boolean));
  const update = () => {
    status.textContent = live ? statusText(training) : `${training.snapshots.length} snapshots of this training were recorded.`;
    controls?.update(training.state);
    charts.replaceChildren(...trainingCharts(training));
    slider.update();
    showChosen(snapshot, context);
  };
  update();
  if (live) trainingEnds.push(openFeed(training, throttled(update), (text) => announce(text)));
}

function nothingRecorded() {
  return element(
    "p", {},
    "Nothing of this model's training was recorded. A run of ", element("code", {}, "scratchnet train"),
    " records it in its folder: serve or export the folder of the run. ", element("code", {}, "scratchnet train --watch"),
    " shows a training while it goes on.",
  );
}

/** "Step 312, epoch 1.4 of 6: loss 0.0812, 12,300 images a second, learning rate 0.003." */
function statusText({ state, steps, epochs }) {
  const last = steps[steps.length - 1];
  if (!last) return state.ended ? "The training has ended." : "The training is about to begin.";
  const done = epochs[epochs.length - 1];
  const accuracy = done?.val_accuracy === undefined ? "" : `, ${percent(done.val_accuracy)} of the validation images right after epoch ${done.epoch}`;
  const where = `step ${last.step}, epoch ${last.epoch.toFixed(2)} of ${state.epochs ?? "?"}: loss ${formatNumber(last.loss ?? NaN, 3)}${accuracy}`;
  const how = state.ended || state.paused ? "" : `, ${Math.round(last.imagesPerSecond).toLocaleString("en")} images a second`;
  return `${state.problem ?? (state.ended ? "Ended at" : state.paused ? "Paused at" : "Training:")} ${where}${how}, learning rate ${formatNumber(last.lr, 3)}.`;
}

function trainingCharts({ steps, epochs, snapshots }) {
  const losses = steps.length > 1 ? steps.map((at) => [at.epoch, at.loss]) : snapshots.filter((snapshot) => snapshot.loss !== null).map((snapshot) => [snapshot.epoch, snapshot.loss]);
  const ofEpochs = (name) => epochs.filter((logs) => logs[name] !== undefined).map((logs) => [logs.epoch, logs[name]]);
  const lossLines = [{ name: "training, while it moves", points: losses }, { name: "validation", points: ofEpochs("val_loss"), dashed: true }];
  const seen = snapshots.map((snapshot) => [snapshot.epoch, snapshot.accuracy]);
  const rightLines = [{ name: "held-out sample", points: seen }, { name: "validation", points: ofEpochs("val_accuracy"), dashed: true }];
  const shown = (lines) => lines.filter((line) => line.points.length > 0);
  const axes = { xLabel: "epoch", height: 200 };
  return [
    lineChart(shown(lossLines), { ...axes, title: "Loss", yFrom: 0 }),
    lineChart(shown(rightLines), { ...axes, title: "Share of right answers", yFrom: 0, yTo: 1 }),
  ];
}

/** A slider over the snapshots, and buttons that play them. */
function snapshotSlider(changed) {
  const range = element("input", { type: "range", min: 0, step: 1, id: "snapshot", oninput: () => choose(Number(range.value)) });
  const text = element("output", { for: "snapshot" });
  const play = element("button", { type: "button", onclick: () => (timer.id ? stop() : start()) }, "Play");
  const timer = { id: 0 };
  const stop = () => {
    clearInterval(timer.id);
    timer.id = 0;
    play.textContent = "Play";
  };
  const last = () => training.snapshots.length - 1;
  const choose = (k) => {
    training.chosen = Math.min(Math.max(k, 0), last());
    training.follow = training.chosen === last();
    update();
    changed();
  };
  const start = () => {
    play.textContent = "Stop";
    if (training.chosen >= last()) choose(0);
    timer.id = setInterval(() => (training.chosen < last() ? choose(training.chosen + 1) : stop()), 400);
  };
  const update = () => {
    if (training.follow || training.chosen === null) training.chosen = last();
    range.max = String(Math.max(last(), 0));
    range.value = String(training.chosen);
    const snapshot = training.snapshots[training.chosen];
    text.textContent = snapshot ? `step ${snapshot.step}, epoch ${snapshot.epoch.toFixed(2)}` : "no step yet";
    range.setAttribute("aria-valuetext", text.textContent);
    play.disabled = last() < 1;
  };
  trainingEnds.push(stop);
  const label = element("label", { for: "snapshot" }, "The network at");
  return { element: element("div", { class: "controls snapshot-slider" }, label, text, range, play), update };
}

function showChosen(place, context) {
  const snapshot = training.snapshots[training.chosen];
  if (snapshot) showSnapshot(place, context, training, snapshot);
}

/** At most one call in a quarter of a second, and the last one always. */
function throttled(update) {
  const waiting = { id: 0 };
  trainingEnds.push(() => clearTimeout(waiting.id));
  return () => {
    waiting.id ||= setTimeout(() => {
      waiting.id = 0;
      update();
    }, 250);
  };
}
