/** What a page from a server can ask of it; an exported file asks nothing. */

/** -> {predict(x), prepare(file)}. */
export function makeServer() {
  return {
    /** x: tensor (h, w, c) of pixels -> {logits, probabilities, engine, ms} by the compiled engine. */
    async predict(x) {
      return ask("predict", Uint8Array.from(x.data));
    },
    /** A picture file -> {shape, pixels: base64, steps}, prepared as `predict.py` does. */
    async prepare(file) {
      return ask("prepare", await file.arrayBuffer());
    },
  };
}

/** POST bytes -> the JSON of the answer; throws an Error with the server's sentence. */
export async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error ?? `the server answered ${answer.status}`);
  return found;
}
