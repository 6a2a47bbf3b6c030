/** One snapshot at the network: its first filters, the maps of one image, dead units, and what it confuses. */
import { element } from "../ui/dom.js";
import { probabilityBars } from "../ui/bars.js";
import { inkOn, magnitudeColour, toCss } from "../ui/colours.js";
import { hasNegative, largestSize, picture } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { montage } from "../ui/montage.js";
import { numberCell, percent } from "../ui/number.js";
import { unpackLevels } from "../ui/packed.js";
import { inputOf } from "../draw/pictures.js";

/** Fill `place`. Scales are fixed over all snapshots, so that one sees values grow. */
export function showSnapshot(place, context, training, snapshot) {
  const names = context.model.classNames;
  const bars = probabilityBars(names);
  bars.update(snapshot.probabilities);
  const watched = training.watched && picture(element("canvas", { class: "pixels watched", role: "img", "aria-label": "The watched image" }), inputOf(training.watched));
  place.replaceChildren(
    ...[
      snapshot.filters && filterFigure(snapshot.filters, scaleOf(training.snapshots, (one) => one.filters)),
      element("section", { "aria-label": "The watched image" }, element("h3", {}, "One image on its way through the layers"), element("div", { class: "snapshot-image" }, watched, bars.element)),
      element("div", { class: "maps" }, ...snapshot.maps.map((part, k) => mapFigure(part, scaleOf(training.snapshots, (one) => one.maps[k])))),
      deadUnits(snapshot.dead),
      confusion(snapshot.confusion, names, snapshot.accuracy),
    ].filter(Boolean),
  );
}

function scaleOf(snapshots, part) {
  return Math.max(...snapshots.map((snapshot) => part(snapshot)?.scale ?? 0));
}

/** The first filters (h, w, c, filters): of several input channels the first. */
function filterFigure(packed, scale) {
  const [h, w, c, filters] = packed.shape;
  const all = unpackLevels(packed);
  const maps = { shape: [h, w, filters], data: all.data.filter((_, k) => Math.floor(k / filters) % c === 0) };
  const canvas = element("canvas", { class: "pixels plain", role: "img", "aria-label": `Filters of ${packed.name}` });
  const layout = montage(canvas, maps, { scale, columns: Math.min(filters, w > 12 ? 8 : 16) });
  canvas.style.setProperty("width", `min(100%, ${layout.width * (w > 12 ? 2 : 6)}px)`);
  const caption = `${filters} filters of ${packed.name}${c > 1 ? ", their first input channel" : ""}`;
  return element("section", { "aria-label": "Filters" }, element("h3", {}, "First filters"), element("figure", {}, element("figcaption", {}, caption), canvas, legend(scale, { label: "weight" })));
}

function mapFigure(packed, scale) {
  const maps = unpackLevels(packed);
  const signed = hasNegative(maps.data);
  const canvas = element("canvas", { class: "pixels plain", role: "img", "aria-label": `Maps of ${packed.name}` });
  montage(canvas, maps, { scale: scale || largestSize(maps.data), signed, columns: 4 });
  return element("figure", {}, element("figcaption", {}, `${packed.name}, its first ${packed.shape[2]} maps`), canvas, legend(scale, { signed }));
}

function deadUnits(dead) {
  const rows = Object.entries(dead).map(([name, share]) =>
    element("tr", {}, element("th", { scope: "row" }, name), numberCell(share, { scale: 1, signed: false, digits: 2 }), element("td", {}, percent(share))),
  );
  if (!rows.length) return null;
  return element(
    "section", { "aria-label": "Dead units" },
    element("h3", {}, "Dead units"),
    element("p", { class: "soft" }, "The share of a ReLU's units that are 0 for every image of a sample: they get no gradient."),
    element("div", { class: "table" }, element("table", {}, element("tbody", {}, ...rows))),
  );
}

function confusion(counts, names, accuracy) {
  const most = Math.max(1, ...counts.map((row, k) => Math.max(...row.filter((_, j) => j !== k))));
  const head = element("tr", {}, element("th", { scope: "col" }, "true \\ said"), ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = counts.map((row, k) =>
    element("tr", {}, element("th", { scope: "row" }, names[k]), ...row.map((count, j) =>
      j === k ? element("td", { class: "number soft" }, String(count)) : countCell(count, most))),
  );
  return element(
    "section", { "aria-label": "Confusion matrix" },
    element("h3", {}, `What it confuses: ${percent(accuracy)} of held-out images are right`),
    element("div", { class: "table", tabindex: 0, role: "region", "aria-label": "Confusion matrix" }, element("table", { class: "confusion" }, element("thead", {}, head), element("tbody", {}, ...rows))),
  );
}

function countCell(count, most) {
  const colour = magnitudeColour(count, most);
  return element("td", { class: "number", style: { "background-color": toCss(colour), color: inkOn(colour) } }, count ? String(count) : "·");
}
