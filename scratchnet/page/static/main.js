/**
 * The page's shell: it reads the model, keeps the input and its label, and shows one view at a time.
 *
 * A view is {name, title, show(container, context), hide()}, and optionally accepts(address, model) -> boolean: whether
 * it shows the number of an address. context (context.js) is what views know of the page. The hash says what is shown:
 * "#draw", "#strip", "#pixel/y/4.conv2d/5,7,12", or the address of a number alone, which the first view that accepts
 * it shows.
 */
import { makeContext } from "./context.js";
import { loadPage } from "./load.js";
import { checkGolden } from "./golden.js";
import { predict } from "./net/model.js";
import { tensor } from "./net/tensor.js";
import { inputFromStrokes } from "./draw/input.js";
import { element, clear } from "./ui/dom.js";
import { parseHash } from "./ui/hash.js";
import { installKeys } from "./ui/keys.js";
import { makeBanner } from "./banner.js";
import { drawView } from "./views/draw.js";
import { stripView } from "./views/strip.js";
import { pixelView } from "./views/pixel.js";
import { columnsView } from "./views/columns.js";
import { gatesView } from "./views/gates.js";
import { denseView } from "./views/dense.js";
import { lossView } from "./views/loss.js";
import { backwardView } from "./views/backward.js";
import { normaliseView } from "./views/normalise.js";
import { checkView } from "./views/check.js";
import { stepView } from "./views/step.js";
import { numberView } from "./views/number.js";
import { learntView } from "./views/learnt.js";
import { speedView } from "./views/speed.js";
import { teachView } from "./views/teach.js";
import { trainingView } from "./views/training.js";

/** All views, in the order of the navigation. */
export const views = [
  drawView,
  stripView,
  pixelView,
  columnsView,
  gatesView,
  normaliseView,
  denseView,
  lossView,
  backwardView,
  checkView,
  stepView,
  trainingView,
  learntView,
  speedView,
  teachView,
  numberView,
];

/** Read the page's data, check the arithmetic, and show the view of the address. */
export async function start() {
  const content = document.getElementById("content");
  try {
    const page = await loadPage();
    const context = makeContext(page);
    context.trusted = checkGolden(context, page.golden, document.getElementById("check"), document.getElementById("alarm"));
    makeBanner(context, views);
    installKeys(document.getElementById("help"));
    const shown = { view: null };
    const show = () => showView(content, context, shown);
    window.addEventListener("hashchange", show);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show); // maps are drawn in its colours
    show();
    offerToPrograms(context);
    performance.mark("ready");
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    clear(content).append(element("p", { class: "alarm", role: "alert" }, `The page cannot start: ${error.message}`));
    throw error;
  }
}

/** The view that the hash names; of a number's address, the first that accepts it; else the first of all. */
export function viewOf(hash, model) {
  const parsed = parseHash(hash);
  const named = views.find((view) => view.name === parsed.view);
  if (named) return { view: named, route: parsed };
  const route = { view: "", rest: parsed.parts, address: parsed.parts.join("/"), parts: parsed.parts };
  const accepting = route.address && views.find((view) => view.accepts?.(route.address, model));
  return accepting ? { view: accepting, route } : { view: views[0], route: parseHash(`#${views[0].name}`) };
}

/** window.scratchnet, for the console and for programs that check the page: predict(pixels), predictStrokes(strokes). */
function offerToPrograms(context) {
  const { model } = context;
  const answer = (x) => Array.from(predict(model, x));
  window.scratchnet = {
    context,
    predict: (pixels) => answer(tensor(model.inputShape, pixels)),
    predictStrokes: (strokes) => answer(inputFromStrokes(strokes, model.inputShape)),
  };
}

function showView(content, context, shown) {
  if (location.hash === "#content") return;
  const { view, route } = viewOf(location.hash, context.model);
  shown.view?.hide();
  if (shown.view && shown.view !== view) window.scrollTo({ top: 0, behavior: "instant" });
  shown.view = view;
  context.route = route;
  if (view.name !== "draw") context.needInput();
  document.title = `${view.title} · ${context.name}`;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash !== `#${view.name}`) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "page");
      link.parentElement.parentElement.scrollLeft = link.offsetLeft - 40; // where the list of views scrolls
    }
  }
  content.dataset.view = view.name;
  view.show(clear(content), context);
  // A link inside of the old view is gone, and the focus with it.
  if (document.activeElement === document.body && document.documentElement.dataset.ready) content.focus({ preventScroll: true });
}

start();
