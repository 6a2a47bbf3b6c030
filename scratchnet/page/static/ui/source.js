/** The Python function that a view illustrates, with the lines of the moment marked. */
import { element } from "./dom.js";

/**
 * sources: context.sources; name: "Conv2D.forward"; mark: part of the lines to mark, or several parts.
 * -> an element, or null if the page has no such source.
 */
export function sourcePanel(sources, name, mark = [], open = true) {
  const found = sources?.[name];
  if (!found) return null;
  const marks = [mark].flat().filter(Boolean);
  const lines = found.text.split("\n").map((text, k) => {
    const marked = marks.some((part) => text.includes(part));
    const number = element("span", { class: "line-number", "aria-hidden": true }, String(found.line + k).padStart(4));
    return element(marked ? "mark" : "span", { class: "source-line" }, number, `${text}\n`);
  });
  return element(
    "details", { class: "source", open },
    element("summary", {}, `${name} in ${found.file}, line ${found.line}`),
    element("pre", { tabindex: 0, role: "region", "aria-label": `Python source of ${name}` }, element("code", {}, ...lines)),
  );
}
