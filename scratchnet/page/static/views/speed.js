/**
 * Speed: where the time goes, layer by layer. In this browser it is measured here; a served page also shows the times of
 * the engine and of the textbook on the server's machine, and one convolution computed in three ways.
 */
import { element } from "../ui/dom.js";
import { shortCount } from "../ui/cost.js";
import { formatNumber } from "../ui/number.js";
import { sourcePanel } from "../ui/source.js";
import { readJson } from "../orders.js";

const speedEnds = [];

export const speedView = {
  name: "speed",
  title: "Speed",
  show(container, context) {
    const here = element("div", {});
    const there = element("div", {});
    container.append(element("h2", {}, "Where the time goes"), there, here);
    showBrowser(here, context);
    const closed = { yes: false };
    speedEnds.push(() => (closed.yes = true));
    if (!context.server) return there.replaceChildren(element("p", { class: "soft" }, "The times of the compiled engine are in the page of ", element("code", {}, "scratchnet serve MODEL"), "; this file shows those of its JavaScript."));
    there.replaceChildren(element("p", {}, "The server measures …"));
    readJson("speed").then((found) => {
      if (closed.yes) return;
      if (found) showServer(there, found);
      else there.replaceChildren(element("p", { class: "warning" }, "The server is busy; come back to this view."));
    });
    const source = sourcePanel(context.sources, "im2col", [], false);
    if (source) container.append(source);
  },
  hide() {
    for (const end of speedEnds.splice(0)) end();
  },
};

function costOf(multiplyAdds) {
  return multiplyAdds ? `${shortCount(multiplyAdds)} multiply-adds` : "";
}

/** Rows of {name, value, note}: bars with their numbers, the longest of full width. */
function timeBars(rows, label) {
  const most = Math.max(...rows.map((row) => row.value), 1e-9);
  const items = rows.map(({ name, value, note }) => {
    const fill = element("span", { class: "bar-fill", style: { width: `${(100 * value) / most}%` } });
    return element("li", {}, element("span", { class: "time-name" }, name, note ? element("span", { class: "soft" }, ` ${note}`) : null), element("span", { class: "bar", "aria-hidden": true }, fill), element("span", { class: "bar-value" }, `${formatNumber(value, 3)} ms`));
  });
  return element("ol", { class: "bars times", "aria-label": label }, ...items);
}

function showServer(place, found) {
  const layers = found.layers.map((row) => ({ name: row.names.join(", "), value: row.engine, note: costOf(row.multiplyAdds) }));
  const textbook = found.layers.map((row) => ({ name: row.names.join(", "), value: row.textbook }));
  const slow = found.ladder.length > 0 ? found.ladder[0].ms / found.ladder[found.ladder.length - 1].ms : 0;
  place.replaceChildren(
    ...[
      element("p", {}, `On the server's machine an image takes ${formatNumber(found.whole, 3)} ms in a batch of ${found.batch} with ${found.threads} threads, and ${formatNumber(found.one, 3)} ms alone.`),
      element("p", { class: "soft" }, "Medians of a few runs, while other things go on: they show proportions."),
      element("h3", {}, `Its layers, by the engine (${found.engine}), one thread`),
      timeBars(layers, "Milliseconds of each stage of the engine"),
      element("h3", {}, "The same by the textbook, in NumPy"),
      timeBars(textbook, "Milliseconds of the textbook's layers"),
      found.ladder.length > 0 && element("h3", {}, `One convolution in three ways: ${Number(slow.toPrecision(2)).toLocaleString("en")} times as fast`),
      found.ladder.length > 0 && timeBars(found.ladder.map(({ name, ms, share }) => ({ name, value: ms, note: share < 1 ? `measured on ${formatNumber(100 * share, 2)} % of it` : "" })), "Milliseconds of one convolution"),
      found.peers.length > 0 && peersTable(found.peers),
    ].filter(Boolean),
  );
}

function peersTable(peers) {
  const frameworks = [...new Set(peers.map((row) => row.framework))];
  const cases = [...new Set(peers.map((row) => row.case))];
  const time = (name, framework) => peers.find((row) => row.case === name && row.framework === framework)?.ms;
  const cell = (value) => element("td", {}, value === undefined ? "–" : formatNumber(value, 3));
  return element(
    "section", { "aria-label": "Other libraries" },
    element("h3", {}, "Other libraries"),
    element("p", { class: "soft" }, `Milliseconds for an image, batches of ${peers[0].batch}, by benchmarks/inference.py on ${peers[0].cpu}.`),
    element(
      "div", { class: "table", tabindex: 0, role: "region", "aria-label": "Times of other libraries" },
      element(
        "table", {},
        element("thead", {}, element("tr", {}, element("td", {}), ...frameworks.map((name) => element("th", { scope: "col" }, name)))),
        element("tbody", {}, ...cases.map((name) => element("tr", {}, element("th", { scope: "row" }, name), ...frameworks.map((framework) => cell(time(name, framework)))))),
      ),
    ),
  );
}

/** Each layer forward, in JavaScript, the median of some runs. */
function showBrowser(place, context) {
  const runs = 7;
  const times = context.model.layers.map(() => []);
  for (let run = 0; run < runs; run++) {
    context.model.layers.reduce((x, layer, k) => {
      const start = performance.now();
      const { y } = layer.forward(layer, x, false, null);
      times[k].push(performance.now() - start);
      return y;
    }, context.x);
  }
  const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
  const rows = context.model.layers.map((layer, k) => ({ name: layer.key, value: middle(times[k]), note: costOf(layer.multiplyAdds) }));
  const whole = rows.reduce((sum, row) => sum + row.value, 0);
  place.replaceChildren(
    element("h3", {}, `In this browser, in JavaScript: ${formatNumber(whole, 3)} ms for an image`),
    timeBars(rows, "Milliseconds of each layer in this browser"),
  );
}
