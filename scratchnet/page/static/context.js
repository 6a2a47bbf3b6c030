/**
 * What the views know of the page: the model, the input, its label, and the pass through the network.
 *
 * context = {
 *   model, description         the network (net/model.js) and its JSON description
 *   name                       the model's name, for headings
 *   x                          tensor (h, w, c) of pixels 0 to 255, or null: nothing was drawn yet
 *   label                      the class that counts as right: set by the reader, else known of the example, else guessed
 *   probabilities              of x, Float64Array, or null without an input
 *   pass({training, seed})     the pass through the network for x and label; calculated once for each of them
 *   setInput(x, label, note)   another input; label: its class if known; note: where it came from
 *   setLabel(k)                another class that counts as right; null: the known or guessed one again
 *   needInput()                if there is no input, take an example
 *   tray                       [{x, label}]: test images, those the model finds hardest first; can be empty
 *   sources                    {"Conv2D.forward": {file, line, text}}: Python source, for ui/source.js
 *   snapshots                  the recorded training, or null
 *   server                     null in an exported file, else what server.js offers
 *   trusted                    whether the golden input gave Python's logits; if not, no answer is shown
 *   route                      {view, rest, address}: what follows the view's name in the hash
 *   go(hash)                   show another address
 *   subscribe(fn)              call fn() after every change of input or label -> a function that ends it
 * }
 */
import { pass, predict } from "./net/model.js";

/** page: what load.js read. */
export function makeContext(page) {
  const listeners = new Set();
  const kept = { known: null, chosen: null, passes: new Map() };
  const changed = () => {
    kept.passes.clear();
    for (const listener of [...listeners]) listener();
  };
  const context = {
    ...page,
    name: page.description.name || "a model of scratchnet",
    x: null,
    probabilities: null,
    note: "",
    trusted: true,
    route: null,
    get label() {
      return kept.chosen ?? kept.known ?? largest(context.probabilities);
    },
    setInput(x, label = null, note = "") {
      Object.assign(kept, { known: label, chosen: null });
      Object.assign(context, { x, note, probabilities: x && predict(page.model, x) });
      changed();
    },
    setLabel(k) {
      kept.chosen = k;
      changed();
    },
    needInput() {
      if (context.x) return;
      const example = page.tray[0] ?? { x: page.golden.x, label: page.golden.label };
      context.setInput(example.x, example.label, "an example");
    },
    pass({ training = false, seed = 0 } = {}) {
      const key = `${training}/${seed}`;
      if (!kept.passes.has(key)) kept.passes.set(key, pass(page.model, context.x, context.label, { training, seed }));
      return kept.passes.get(key);
    },
    go(hash) {
      location.hash = hash;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return context;
}

/** The index of the largest number, the first of equal ones; null without numbers. */
export function largest(numbers) {
  if (!numbers) return null;
  let best = 0;
  for (let k = 1; k < numbers.length; k++) if (numbers[k] > numbers[best]) best = k;
  return best;
}
