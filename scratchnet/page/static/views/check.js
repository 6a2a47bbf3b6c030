/**
 * Check me: a derivative beside its central difference, computed there and then. "#check" checks ten weights of every
 * layer; "#check/dW/4.conv2d/1,2,0,7" one weight, "#check/dx/5,7,0" one pixel.
 */
import { checkRun, lossCurve, someGradients } from "../net/gradcheck.js";
import { parseAddress } from "../net/addresses.js";
import { element } from "../ui/dom.js";
import { announce } from "../ui/live.js";
import { lineChart } from "../ui/chart.js";
import { formatNumber, numberLink } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { leaveWalk, runOf, showWalk } from "./walk.js";
import { labelButtons } from "./loss.js";

export const CHECK_TOLERANCE = 1e-5;
const checkState = { stopped: false };

export const checkView = {
  name: "check",
  title: "Check me",
  show(container, context) {
    showWalk(container, context, "Check me: is the derivative right?", (place) => fillCheck(place, context));
  },
  hide() {
    checkState.stopped = true;
    leaveWalk();
  },
};

function fillCheck(place, context) {
  checkState.stopped = false;
  const run = runOf(context);
  const results = element("div", { id: "check-results" });
  const start = element(
    "button",
    { type: "button", id: "check-all", onclick: () => checkAll(results, run, 10) },
    "Check ten weights of each layer",
  );
  place.append(
    element(
      "p",
      {},
      "A derivative says how the loss changes when a number moves a little. So move it a little, both ways, and " +
        "look: (L(w + h) − L(w − h)) / 2h. Here both are calculated in float64, in this page.",
    ),
    labelButtons(context),
    element("div", { class: "controls" }, start),
    results,
  );
  if (context.route.address) place.append(oneCheck(context, run, context.route.address));
  place.append(sourcePanel(context.sources, "gradcheck", ["gradient, slopes =", "is_corner"]) ?? "");
}

/** Every layer, ten weights of each of its parameters; a row for each parameter when it is done. */
async function checkAll(results, run, count) {
  const body = element("tbody", {});
  const head = ["derivative", "checked", "largest error", "on a corner", ""].map((name) =>
    element("th", { scope: "col" }, name),
  );
  results.replaceChildren(
    element(
      "div",
      { class: "table", tabindex: 0, role: "region", "aria-label": "Checks" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), body),
    ),
  );
  const summary = { worst: 0, checked: 0 };
  for (const record of Object.values(run.byKey)) {
    for (const name of Object.keys(record.gradients)) {
      const rows = [];
      for (const address of someGradients(record, name, count)) {
        if (checkState.stopped || !body.isConnected) return;
        rows.push(checkRun(run, address));
        await new Promise((done) => setTimeout(done));
      }
      body.append(resultRow(record, name, rows));
      const smooth = rows.filter((row) => !row.corner || row.error < CHECK_TOLERANCE);
      summary.worst = Math.max(summary.worst, ...smooth.map((row) => row.error));
      summary.checked += rows.length;
    }
  }
  const good = summary.worst < CHECK_TOLERANCE;
  const worst = `${summary.worst.toExponential(1)}${good ? "" : ": too large"}`;
  const text = `${summary.checked} derivatives checked, largest error ${worst}.`;
  results.prepend(
    element(
      "p",
      { class: good ? "good" : "warning", "data-worst": summary.worst, "data-checked": summary.checked },
      good ? "✓ " : "✗ ",
      text,
    ),
  );
  announce(text);
}

function resultRow(record, name, rows) {
  const corners = rows.filter((row) => row.corner && row.error >= CHECK_TOLERANCE);
  const smooth = rows.filter((row) => !corners.includes(row));
  const worst = smooth.reduce((most, row) => (row.error > most.error ? row : most), {
    error: 0,
    address: rows[0].address,
  });
  const good = worst.error < CHECK_TOLERANCE;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, `d${name} of ${record.key}`),
    element("td", {}, String(rows.length)),
    element("td", {}, element("a", { class: "number", href: `#check/${worst.address}` }, formatNumber(worst.error, 2))),
    element("td", {}, String(corners.length)),
    element("td", { class: good ? "good" : "warning" }, good ? "✓ right" : "✗ too large"),
  );
}

/** One derivative: the numbers, and the loss around the weight with its tangent. */
function oneCheck(context, run, address) {
  try {
    const found = checkRun(run, address);
    const rows = [
      ["backward says", numberLink(address, found.analytic, { digits: 8 })],
      ["central difference", number(found.central)],
      ["slope to the left", number(found.left)],
      ["slope to the right", number(found.right)],
      ["error, relative to the array's largest", number(found.error, 2)],
      ["h", number(found.h, 2)],
    ].map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
    return element(
      "section",
      { "aria-label": "One derivative" },
      element("h3", {}, address),
      element(
        "div",
        { class: "table" },
        element("table", { id: "check-one", "data-error": found.error }, element("tbody", {}, ...rows)),
      ),
      found.corner && found.error >= CHECK_TOLERANCE
        ? element(
            "p",
            { class: "warning" },
            "The slopes on both sides differ and stay so for a smaller h: a corner of a ReLU or a tie of a pool " +
              "lies here, and there is no derivative.",
          )
        : "",
      curve(run, address, found),
    );
  } catch (error) {
    return element("p", { class: "warning" }, error.message);
  }
}

function number(value, digits = 8) {
  return element("span", { class: "number" }, formatNumber(value, digits));
}

function curve(run, address, found) {
  const { key } = parseAddress(address);
  const reach = key ? Math.max(0.05, Math.abs(found.value)) : 60;
  const points = lossCurve(run, address, reach);
  const tangent = points.map(({ t }) => [found.value + t, run.loss + found.analytic * t]);
  const what = key ? "the weight" : "the pixel";
  return lineChart(
    [
      { name: "loss", points: points.map(({ t, loss }) => [found.value + t, loss]) },
      { name: "tangent: the derivative", points: tangent, dashed: true },
    ],
    {
      title: `The loss while ${what} moves`,
      xLabel: what,
      yLabel: "loss",
      marks: [{ x: found.value, y: run.loss, name: "now" }],
    },
  );
}
