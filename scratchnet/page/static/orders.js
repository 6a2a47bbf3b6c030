/** What the views of a served page ask beyond a prediction: JSON to read, short orders in JSON, images as bytes. */
import { ask } from "./server.js";

/** GET -> the JSON of the answer, or null if there is none. */
export async function readJson(path) {
  const answer = await fetch(path).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

/** POST a short object -> the JSON of the answer, {} if it is empty; throws an Error with the server's sentence. */
export async function order(path, data) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error ?? `the server answered ${answer.status}`);
  return found;
}

/** POST the pixels of a tensor (h, w, c), 0 to 255, rounded to bytes. */
export async function sendImage(path, x) {
  return ask(path, Uint8Array.from(x.data, Math.round));
}
