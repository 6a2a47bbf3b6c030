/** Any number by its address, and what it is made of: the walk itself. "#number/dy/4.conv2d/5,7,12". */
import { explain, numbersOf } from "../net/ledger.js";
import { element } from "../ui/dom.js";
import { sourcePanel } from "../ui/source.js";
import { explanationPanel } from "./explanation.js";
import { leaveWalk, runOf, showWalk } from "./walk.js";

export const numberView = {
  name: "number",
  title: "Any number",
  accepts: (address) => /^[\w.]+\/.*\d$/.test(address),
  show(container, context) {
    showWalk(container, context, "Any number, and what it is made of", (place) => fillNumber(place, context));
  },
  hide: leaveWalk,
};

function fillNumber(place, context) {
  const run = runOf(context);
  const address = context.route.address || "loss";
  const field = element("input", {
    type: "text",
    id: "address",
    value: address,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
  });
  const form = element(
    "form",
    {
      class: "controls",
      onsubmit: (event) => {
        event.preventDefault();
        context.go(`#number/${field.value.trim()}`);
      },
    },
    element("label", { class: "choice wide", for: "address" }, "Address ", field),
    element("button", { type: "submit" }, "Explain"),
  );
  place.append(
    element(
      "p",
      {},
      "Every number of a step has an address, and is a sum of terms made of other numbers. Follow them: forward to " +
        "the loss, back to a weight or a pixel.",
    ),
    form,
    explained(run, address),
    sourceOf(context, run, address) ?? "",
    directory(run),
  );
}

function explained(run, address) {
  try {
    const found = explain(run, address);
    return explanationPanel(found, { checkable: /^(d(?!y|x\/|logits)\w+\/[^/]+\/|dx\/[\d,]+$)/.test(address) });
  } catch (error) {
    return element("p", { class: "warning" }, error.message);
  }
}

/** The Python function that calculates the number. */
function sourceOf(context, run, address) {
  const [kind, key] = address.split("/");
  const record = run.byKey[key];
  if (!record || record.layer.parameters[kind] || record.layer.state[kind]) return null;
  if (kind.startsWith("new.")) return sourcePanel(context.sources, "SGD.update");
  if (kind === "dy") return record.next ? sourcePanel(context.sources, `${record.next.kind}.backward`) : null;
  return sourcePanel(context.sources, `${record.kind}.${kind.startsWith("d") ? "backward" : "forward"}`);
}

/** What there is: for each layer the kinds of its numbers, with their shapes. */
function directory(run) {
  const rows = Object.values(run.byKey).map((record) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, record.key),
      element(
        "td",
        { class: "kinds" },
        ...Object.entries(numbersOf(record)).flatMap(([kind, { shape }]) => [
          element("a", { href: `#number/${kind}/${record.key}/${shape.map(() => 0)}` }, kind),
          element("span", { class: "soft small" }, ` ${shape.join("×")}  `),
        ]),
      ),
    ),
  );
  const outer = ["x", "dx"]
    .map((kind) => `${kind}/${run.x.shape.map(() => 0)}`)
    .concat("logits/0", "probabilities/0", "dlogits/0", "loss");
  return element(
    "details",
    { open: true },
    element("summary", {}, "All there is"),
    element("p", {}, ...outer.flatMap((name) => [element("a", { href: `#number/${name}` }, name), "  "])),
    element(
      "div",
      { class: "table", tabindex: 0, role: "region", "aria-label": "Numbers of the layers" },
      element("table", {}, element("tbody", {}, ...rows)),
    ),
  );
}
