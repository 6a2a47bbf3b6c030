/**
 * Strip: all layers in a row, with their shapes, their cost and their maps; forward, and the same tiles backwards.
 * "#strip/4.conv2d" is one layer (views/layer.js), and from there a click leads to one number.
 */
import { element } from "../ui/dom.js";
import { formatHash } from "../ui/hash.js";
import { countParameters, receptiveFields, shortCount } from "../ui/cost.js";
import { hasNegative, largestSize, picture } from "../ui/heatmap.js";
import { legend } from "../ui/legend.js";
import { asMaps, montage } from "../ui/montage.js";
import { showLayer } from "./layer.js";

const stripState = { end: null, backward: false };

export const stripView = {
  name: "strip",
  title: "Layers",
  show(container, context) {
    const direction = directionSwitch(() => refresh());
    const place = element("div", {});
    const key = context.route.rest[0];
    const record = key && context.pass().byKey[key];
    container.append(...(record ? [] : [element("h2", {}, "The layers")]), direction, place);
    const refresh = () => {
      if (record) showLayer(place, context, key, stripState.backward);
      else showTiles(place, context);
    };
    stripState.end = context.subscribe(refresh);
    refresh();
  },
  hide() {
    stripState.end?.();
  },
};

/** Two buttons: outputs, or their derivatives. */
function directionSwitch(changed) {
  const buttons = [["Forward: outputs", false], ["Backward: derivatives of the loss", true]].map(([text, backward]) =>
    element("button", {
      type: "button", "aria-pressed": stripState.backward === backward,
      onclick: () => {
        stripState.backward = backward;
        buttons.forEach((button, k) => button.setAttribute("aria-pressed", (k === 1) === backward));
        changed();
      },
    }, text),
  );
  return element("div", { class: "controls", role: "group", "aria-label": "Direction" }, ...buttons);
}

function showTiles(place, context) {
  const { model } = context;
  const pass = context.pass();
  const fields = receptiveFields(model.layers, model.inputShape);
  const input = picture(element("canvas", { class: "pixels", "aria-hidden": true }), context.x);
  const first = element(
    "li", { class: "tile" },
    element("h3", {}, "Input"), input,
    facts([["shape", model.inputShape.join(" × ")], ["from", context.note || "an example"]]),
  );
  const tiles = pass.layers.map((record, k) => layerTile(record, fields[k]));
  const loss = element("p", {}, `Loss for the class ${model.classNames[context.label]}: ${pass.loss.toPrecision(4)}. `, element("a", { href: "#loss" }, "Where it comes from"));
  const list = element("ol", { class: "strip" }, first, ...(stripState.backward ? [...tiles].reverse() : tiles));
  if (stripState.backward) list.append(first);
  const total = model.layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0);
  place.replaceChildren(
    element("p", {}, `${shortCount(model.description.parameters)} parameters, ${shortCount(total)} multiplications and additions for one image. ` +
      (stripState.backward ? "Each tile shows dL/dy: how the loss changes with each number of a layer's output." : "Each tile shows a layer's output for the current input.")),
    loss, list,
  );
}

function layerTile(record, [rows, columns]) {
  const { layer } = record;
  const maps = asMaps(stripState.backward ? record.dy : record.y);
  const scale = largestSize(maps.data);
  const canvas = element("canvas", { class: "pixels plain", "aria-hidden": true });
  const signed = hasNegative(maps.data);
  montage(canvas, maps, { scale, signed });
  return element(
    "li", { class: "tile" },
    element("h3", {}, element("a", { href: formatHash("strip", record.key) }, record.key)),
    canvas, legend(scale, { signed }),
    facts([
      ["shape", layer.outputShape.join(" × ")],
      ["parameters", shortCount(countParameters(layer))],
      ["multiply-adds", shortCount(layer.multiplyAdds)],
      ["sees", rows === 1 && columns === 1 ? "1 pixel" : `${rows} × ${columns} pixels`],
    ]),
  );
}

function facts(pairs) {
  return element("dl", { class: "facts" }, ...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}
