/** Elements with their attributes and content in one call. Text enters the page as text nodes alone. */

/**
 * element("button", {type: "button", class: "big", onclick: press}, "Clear") -> HTMLElement.
 * Attributes that are false, null or undefined are left out, true sets an empty one (but aria-… get "true" or "false");
 * functions become listeners;
 * style: {property: value} is set through the object model, as the page's policy forbids style attributes.
 */
export function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for an element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** The same for an element of MathML. */
export function math(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/1998/Math/MathML", tag), attributes, children);
}

/** Remove all content -> the element. */
export function clear(node) {
  node.replaceChildren();
  return node;
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "boolean" && name.startsWith("aria-")) node.setAttribute(name, String(value));
    else if (value === false || value === null || value === undefined) continue;
    else if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
