/** Teach: say what a wrongly read image really is, let the model learn from these, and see what that changed. */
import { element } from "../ui/dom.js";
import { announce } from "../ui/live.js";
import { picture } from "../ui/heatmap.js";
import { percent } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { answerText } from "./draw.js";
import { readTray } from "../load.js";
import { order, readJson, sendImage } from "../orders.js";

const teachEnds = [];

export const teachView = {
  name: "teach",
  title: "Teach",
  show(container, context) {
    container.append(element("h2", {}, "Teach it"));
    const place = element("div", {}, element("p", {}, "Asking the server …"));
    container.append(place);
    const closed = { yes: false };
    teachEnds.push(() => (closed.yes = true));
    if (!context.server) return place.replaceChildren(notHere("An exported file learns nothing."));
    readJson("served.json").then(async (offers) => {
      const status = offers?.teach ? await readJson("teach") : null;
      if (closed.yes) return;
      if (status) showTeaching(place, context, status);
      else place.replaceChildren(notHere("A model in training is not taught at the same time."));
    });
  },
  hide() {
    for (const end of teachEnds.splice(0)) end();
  },
};

function notHere(reason) {
  return element("p", {}, `${reason} Corrections are kept, and learned from, in the page of `, element("code", {}, "scratchnet serve MODEL"), ".");
}

function showTeaching(place, context, first) {
  const state = { status: first, timer: 0 };
  const problem = element("p", { class: "warning", role: "alert" });
  const now = element("div", {});
  const kept = element("div", {});
  const lesson = element("div", {});
  const learned = (status) => {
    state.status = status;
    showLesson(lesson, context, status, act);
    if (status.state === "learning") state.timer = setTimeout(ask, 300);
  };
  const ask = () => readJson("teach").then((status) => status && learned(status));
  const act = (promise, said = "") =>
    promise.then(async (status) => {
      problem.textContent = "";
      if (said) announce(said, 0);
      learned(status);
      await refreshKept();
    }, (error) => (problem.textContent = error.message));
  const refreshKept = async () => {
    const shown = await readJson("teach/corrections.json");
    if (shown) showKept(kept, context, state.status, shown, act);
  };
  teachEnds.push(() => clearTimeout(state.timer), context.subscribe(() => showNow(now, context, act)));
  place.replaceChildren(now, problem, kept, lesson);
  showNow(now, context, act);
  learned(first);
  refreshKept();
}

/** The current input, what the model says, and a button for each class that it may really be. */
function showNow(place, context, act) {
  const { classNames } = context.model;
  if (!context.x) return place.replaceChildren(element("p", {}, "Draw something first."));
  const buttons = classNames.map((name, k) =>
    element("button", { type: "button", onclick: () => act(sendImage(`teach/correction?label=${k}`, context.x), `Kept: this is ${name}.`) }, name),
  );
  place.replaceChildren(
    element(
      "div", { class: "snapshot-image" },
      picture(element("canvas", { class: "pixels watched", role: "img", "aria-label": "The current input" }), context.x),
      element(
        "div", {},
        element("p", { class: "answer" }, answerText(context)),
        element("p", { id: "really" }, "What is it really?"),
        element("div", { class: "controls", role: "group", "aria-labelledby": "really" }, ...buttons),
        element("p", { class: "soft" }, element("a", { href: "#draw" }, "Draw another one")),
      ),
    ),
  );
}

/** The newest corrections; each can be taken back. */
function showKept(place, context, status, shown, act) {
  const names = context.model.classNames;
  const all = readTray(shown);
  const items = shown.labels.map((label, k) => {
    const x = all[k].x;
    const canvas = picture(element("canvas", { class: "pixels", "aria-hidden": true }), x);
    const remove = element("button", { type: "button", class: "remove", "aria-label": `Forget correction ${shown.first + k + 1}, ${names[label]}`, onclick: () => act(order("teach/forget", { index: shown.first + k }), "Forgotten.") }, "×");
    return element("li", {}, canvas, element("span", {}, names[label]), remove);
  });
  place.replaceChildren(
    element("h3", {}, status.count === 1 ? "1 correction" : `${status.count} corrections`),
    element("p", { class: "soft" }, "Kept as IDX files in ", element("code", {}, status.folder), status.count > items.length ? `; the newest ${items.length}:` : ""),
    element("ul", { class: "corrections" }, ...items.reverse()),
  );
}

function showLesson(place, context, status, act) {
  const learning = status.state === "learning";
  const learn = element("button", { type: "button", disabled: learning || !status.count, onclick: () => act(order("teach/learn", {}), "Learning.") }, "Learn from these");
  const bar = learning && element("progress", { value: status.share, max: 1, "aria-label": "How far the lesson is" });
  place.replaceChildren(
    ...[
      element("h3", {}, "Learn"),
      element("p", { class: "soft" }, "The filters stay; the dense layers learn from the corrections, mixed with images of the data set so that the others are not forgotten."),
      element("div", { class: "controls" }, learn, bar),
      status.problem && element("p", { class: "warning", role: "alert" }, status.problem),
      status.result && !learning && results(status.result),
      status.result && !learning && decision(status, act),
      sourcePanel(context.sources, "learn", ["taught.fit("], false),
    ].filter(Boolean),
  );
}

function results({ corrections, test, test_images: images, other_images: others }) {
  const row = (name, shares) => element("tr", {}, element("th", { scope: "row" }, name), ...shares.map((share) => element("td", {}, percent(share))));
  return element(
    "div", {},
    element(
      "div", { class: "table" },
      element(
        "table", {},
        element("thead", {}, element("tr", {}, element("td", {}), element("th", { scope: "col" }, "before"), element("th", { scope: "col" }, "after"))),
        element("tbody", {}, row("corrections", corrections), test ? row(`${images.toLocaleString("en")} test images`, test) : null),
      ),
    ),
    element("p", { class: "soft" }, `The corrections are what it learned from${others ? "" : ", and nothing else: the data set was not found here, so it may have forgotten much"}; only other images show how well it reads.`),
  );
}

/** Which model answers, and a new file for the taught one. */
function decision(status, act) {
  const taught = status.uses === "taught";
  const use = element("button", { type: "button", onclick: () => act(order("teach/use", { taught: !taught }).then((found) => (location.reload(), found))) }, taught ? "Use the former model again" : "Use the taught model");
  const save = element("button", { type: "button", onclick: () => act(order("teach/save", {}), "Saved.") }, "Save as a new file");
  return element(
    "div", {},
    element("p", {}, taught ? "This page shows the taught model." : "This page shows the former model."),
    element("div", { class: "controls" }, use, save),
    status.saved ? element("p", { role: "status" }, "Saved: ", element("code", {}, status.saved)) : null,
  );
}
