/**
 * What a number is made of: its formula with the numbers put in, and its terms, each a link to another number. Terms of
 * one group (an input channel, a window, a row) are added up first, so that a sum of 800 products can be read.
 */
import { element } from "../ui/dom.js";
import { largestSize } from "../ui/heatmap.js";
import { exactNumber, formatNumber, numberCell, numberLink } from "../ui/number.js";

const MOST_TERMS = 40; // shown at once; more on demand

/** explanation: of `explain` in net/ledger.js -> a section. */
export function explanationPanel(explanation, { checkable = false } = {}) {
  const { address, value, formula, constant, terms } = explanation;
  const check = checkable && element("p", {}, element("a", { class: "button", href: `#check/${address}` }, "Check me"));
  return element(
    "section",
    { class: "explanation", "aria-label": "What this number is made of" },
    element(
      "h3",
      {},
      `${address} = `,
      element("output", { class: "number", title: exactNumber(value) }, formatNumber(value, 6)),
    ),
    element("p", { class: "formula" }, formula),
    ...(terms.length ? [termsTable(explanation)] : []),
    !terms.length &&
      element("p", {}, constant === value ? "It is given, not calculated." : "No path leads here: exactly 0."),
    check || "",
  );
}

/** Terms by their group, in order of appearance: [[name, terms], …]. */
export function groupsOf(terms) {
  const groups = new Map();
  for (const term of terms) groups.set(term.group, [...(groups.get(term.group) ?? []), term]);
  return [...groups];
}

/** The sum of a list of terms. */
export function sumOf(terms) {
  return terms.reduce((sum, term) => sum + term.value, 0);
}

function termsTable({ value, constant, terms }) {
  const groups = groupsOf(terms);
  const scale = largestSize(terms.map((term) => term.value));
  const shown =
    groups.length > 1 && terms.length > 12 ? groups.map((group) => groupRows(group, scale)) : [plainRows(terms, scale)];
  const body = element(
    "tbody",
    {},
    constant !== 0 && row("constant", numberCell(constant, { scale, digits: 4 })),
    ...shown.flat(),
  );
  const total = element(
    "tr",
    { class: "total" },
    element("th", { scope: "row" }, "sum"),
    element("td", { class: "number", title: exactNumber(value) }, formatNumber(value, 6)),
  );
  return element(
    "div",
    { class: "table", tabindex: 0, role: "region", "aria-label": "Terms" },
    element(
      "table",
      { class: "terms" },
      element(
        "thead",
        {},
        element("tr", {}, ...["made of", "adds"].map((name) => element("th", { scope: "col" }, name))),
      ),
      body,
      element("tfoot", {}, total),
    ),
    element("p", { class: "soft small" }, "Numbers are shown rounded; the sum is of the exact ones."),
  );
}

/** A group as one row with its partial sum; its terms unfold below it. */
function groupRows([name, terms], scale) {
  if (terms.length === 1) return plainRows(terms, scale);
  const hidden = plainRows(terms, scale);
  hidden.forEach((line) => (line.hidden = true));
  const button = element(
    "button",
    { type: "button", class: "fold", "aria-expanded": "false" },
    `${name || "terms"}: ${terms.length} terms`,
  );
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", open);
    hidden.forEach((line) => (line.hidden = !open));
  });
  return [
    element(
      "tr",
      { class: "group" },
      element("th", { scope: "row" }, button),
      numberCell(sumOf(terms), { scale: Math.max(scale, Math.abs(sumOf(terms))), digits: 4 }),
    ),
    ...hidden,
  ];
}

/** A row for each term; of very many the largest, and the others together. */
function plainRows(terms, scale) {
  const order = terms.length > MOST_TERMS ? [...terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)) : terms;
  const rows = order
    .slice(0, MOST_TERMS)
    .map((term) => row(madeOf(term), numberCell(term.value, { scale, digits: 4 })));
  const rest = order.slice(MOST_TERMS);
  if (rest.length) rows.push(row(`${rest.length} smaller terms`, numberCell(sumOf(rest), { scale, digits: 4 })));
  return rows;
}

function row(what, cell) {
  return element("tr", {}, element("th", { scope: "row" }, ...[what].flat()), cell);
}

/** "x/3,4,0 0.71 · W/1.conv2d/0,0,0,2 −0.12", the numbers as links. */
function madeOf({ factors, label }) {
  const shown = factors
    .slice(0, 4)
    .flatMap(({ address, value }, n) => [
      n ? " · " : "",
      element(
        "span",
        { class: "factor" },
        element("span", { class: "soft small" }, `${address} `),
        numberLink(address, value),
      ),
    ]);
  const more = factors.length > 4 ? ` and ${factors.length - 4} more` : "";
  return [...shown, more, label ? element("span", { class: "soft small" }, ` ${label}`) : ""];
}
