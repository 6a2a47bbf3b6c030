/** Addresses: "#pixel/y/4.conv2d/5,7,12" is the view pixel and the number y[5, 7, 12] of layer 4. */

/** "#pixel/y/4.conv2d/5,7" -> {view: "pixel", rest: ["y", "4.conv2d", "5,7"], address: "y/4.conv2d/5,7", parts}. */
export function parseHash(hash) {
  const parts = hash.replace(/^#/, "").split("/").filter(Boolean).map(decodePart);
  return { view: parts[0] ?? "", rest: parts.slice(1), address: parts.slice(1).join("/"), parts };
}

/** ("pixel", "y", "4.conv2d", [5, 7]) -> "#pixel/y/4.conv2d/5,7"; arrays become indices with commas. */
export function formatHash(...parts) {
  return `#${parts.map((part) => (Array.isArray(part) ? part.join(",") : encodeURI(String(part)))).join("/")}`;
}

/** "5,7,12" -> [5, 7, 12]; null if these are not whole numbers from 0. */
export function parseIndex(text) {
  return /^\d+(,\d+)*$/.test(text ?? "") ? text.split(",").map(Number) : null;
}

function decodePart(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
