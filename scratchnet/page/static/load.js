/**
 * What the page is made of: read from the elements of an exported file, or asked of the server.
 *
 *     name             element            file                 content
 *     model            id="model"         model.json           the description of the network
 *     weights          id="weights"       model.safetensors    its parameters; base64 in an element
 *     golden           id="golden"        golden.json          an input and the logits that Python has for it
 *     tray             id="tray"          tray.json            {shape, labels, pixels: base64 of bytes}; may be absent
 *     sources          id="sources"       sources.json         Python source shown beside the views; may be absent
 *     snapshots        id="snapshots"     snapshots.json       a recorded training; may be absent
 */
import { readSafetensors } from "./net/safetensors.js";
import { makeModel } from "./net/model.js";
import { tensor } from "./net/tensor.js";
import { makeServer } from "./server.js";

/** -> {model, description, golden, tray, sources, snapshots, server}. */
export async function loadPage() {
  const inlined = document.getElementById("model") !== null;
  const json = inlined ? inlineJson : fetchedJson;
  const [description, golden, tray, sources, snapshots] = await Promise.all([
    json("model"), json("golden"), json("tray", null), json("sources", {}), json("snapshots", null),
  ]);
  const weights = inlined ? bytesOf(document.getElementById("weights").textContent) : await fetched("model.safetensors");
  const model = makeModel(description, readSafetensors(weights).tensors);
  return {
    model, description, sources, snapshots, golden: readGolden(golden, model), tray: readTray(tray),
    server: inlined ? null : makeServer(),
  };
}

/** base64 text -> ArrayBuffer. */
export function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes.buffer;
}

/** The test images of a tray -> [{x, label}]. */
export function readTray(tray) {
  if (!tray) return [];
  const pixels = new Uint8Array(bytesOf(tray.pixels));
  const size = tray.shape.reduce((a, b) => a * b, 1);
  return tray.labels.map((label, k) => ({
    x: tensor(tray.shape, Float64Array.from(pixels.subarray(k * size, (k + 1) * size))), label,
  }));
}

function readGolden(golden, model) {
  return { ...golden, x: tensor(model.inputShape, Float64Array.from(golden.x)) };
}

function inlineJson(name, otherwise) {
  const found = document.getElementById(name);
  if (!found && otherwise === undefined) throw new Error(`the part "${name}" of the file is missing`);
  return found ? JSON.parse(found.textContent) : otherwise;
}

async function fetchedJson(name, otherwise) {
  const answer = await fetch(`${name}.json`);
  if (!answer.ok && otherwise !== undefined) return otherwise;
  if (!answer.ok) throw new Error(`the server has no ${name}.json (${answer.status})`);
  return answer.json();
}

async function fetched(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`the server has no ${path} (${answer.status})`);
  return answer.arrayBuffer();
}
