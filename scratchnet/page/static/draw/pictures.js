/**
 * Picture files: by a button, dropped on the page, or pasted. A server prepares them as predict.py does. An exported
 * file cannot: it would have to read pixels back from a canvas, and browsers that resist fingerprinting falsify these.
 */
import { element } from "../ui/dom.js";
import { bytesOf } from "../load.js";
import { tensor } from "../net/tensor.js";
import { picture } from "../ui/heatmap.js";

export const noReader =
  "This file has no reader of pictures: a browser may falsify the pixels of a canvas. Draw the digit here; or read the " +
  "picture with `scratchnet predict MODEL picture.png`, or in the page of `scratchnet serve MODEL`.";

const pictureStepTexts = { ink: "Ink on paper", box: "In a box of 20 pixels", field: "Centred by mass" };

/** server: context.server. found(x, digits): the input and what was found; say(text): a message. -> {element, end()} */
export function makePictureReader(server, { found, say }) {
  const read = async (file) => {
    if (!server) return say(noReader);
    say("Reading the picture …");
    try {
      const prepared = await server.prepare(file);
      found(inputOf(prepared), prepared);
    } catch (error) {
      say(`No digit was read: ${error.message}`);
    }
  };
  const chooser = element("input", {
    type: "file", accept: "image/*", class: "unseen", tabindex: -1, "aria-label": "Picture file",
    onchange: (event) => {
      if (event.target.files[0]) read(event.target.files[0]);
      event.target.value = "";
    },
  });
  const button = element("button", { type: "button", onclick: () => (server ? chooser.click() : say(noReader)) }, "Picture …");
  const drop = (event) => {
    event.preventDefault();
    const file = [...(event.dataTransfer?.files ?? [])][0];
    if (file) read(file);
  };
  const paste = (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) read(file);
  };
  const keep = (event) => event.preventDefault();
  const listeners = { drop, paste, dragover: keep };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);
  return {
    element: element("span", {}, button, server ? chooser : null),
    end() {
      for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener);
    },
  };
}

/**
 * What was done to a picture: its steps as small pictures, for each digit in it. choose(digit): another digit was
 * chosen. prepared: the server's answer -> an element, or null without steps.
 */
export function pictureSteps(prepared, choose) {
  if (!prepared.digits?.length) return null;
  const rows = prepared.digits.map((digit, k) => {
    const tiles = digit.steps.map((step) => {
      const canvas = picture(element("canvas", { class: "pixels", role: "img", "aria-label": `The digit after the step: ${pictureStepTexts[step.name]}` }), inputOf(step));
      return element("li", {}, element("p", { class: "step-switch" }, pictureStepTexts[step.name] ?? step.name), canvas);
    });
    const button = prepared.digits.length > 1 && element("button", { type: "button", onclick: () => choose(digit) }, `Take digit ${k + 1}`);
    return element("div", {}, element("ol", { class: "steps" }, ...tiles), button);
  });
  return element("section", { "aria-labelledby": "picture-title" }, element("h3", { id: "picture-title" }, "What was done to the picture"), ...rows);
}

/** {shape, pixels: base64} -> tensor. */
export function inputOf({ shape, pixels }) {
  return tensor(shape, Float64Array.from(new Uint8Array(bytesOf(pixels))));
}
