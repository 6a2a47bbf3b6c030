// Addresses: what the numbers of a training step are called; see scratchnet/page/addresses.py, which is the same.
//
//     x/5,7,0   y/4.conv2d/5,7,12   dy/4.conv2d/5,7,12   W/4.conv2d/1,2,0,7   dW/...   new.W/...
//     logits/3  probabilities/3     dlogits/3            loss

/** Numbers that need no layer. */
export const OF_THE_MODEL = ["x", "dx", "logits", "probabilities", "dlogits", "loss"];

/** "dW/4.conv2d/1,2,0,7" -> {kind: "dW", key: "4.conv2d", index: [1, 2, 0, 7]}; an Error if it cannot be an address. */
export function parseAddress(text) {
  const parts = String(text).split("/");
  const place = parts.length > 1 ? parts.at(-1) : "";
  const fits = place === "" ? parts[0] === "loss" : /^\d{1,9}(,\d{1,9})*$/.test(place);
  if (parts.length > 3 || !fits) {
    throw new Error(`"${text}" is no address: expected kind/layer/index, such as y/2.dense/3`);
  }
  return { kind: parts[0], key: parts.length === 3 ? parts[1] : "", index: place ? place.split(",").map(Number) : [] };
}

/** ("dW", "4.conv2d", [1, 2, 0, 7]) -> "dW/4.conv2d/1,2,0,7"; empty parts are left out. */
export function formatAddress(kind, key = "", index = []) {
  return [kind, key, index.join(",")].filter(Boolean).join("/");
}
