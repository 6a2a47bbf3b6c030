/** The top of the page: the model's name, the links to the views, the current input and the guess. */
import { tensor } from "./net/tensor.js";
import { element } from "./ui/dom.js";
import { percent } from "./ui/number.js";
import { picture } from "./ui/heatmap.js";
import { largest } from "./context.js";

/** Fill the header of index.html, and keep it up to date. */
export function makeBanner(context, views) {
  document.getElementById("name").textContent = context.name;
  document.getElementById("about").textContent = context.description.about ?? "";
  document.getElementById("views").append(
    ...views.map((view) => element("li", {}, element("a", { href: `#${view.name}` }, view.title))),
  );
  const thumbnail = document.getElementById("thumbnail");
  const guess = document.getElementById("guess");
  const update = () => {
    picture(thumbnail, context.x ?? tensor([28, 28, 1]));
    if (!context.x) {
      guess.textContent = "nothing drawn";
      return;
    }
    const best = largest(context.probabilities);
    guess.textContent = context.trusted
      ? `${context.model.classNames[best]} (${percent(context.probabilities[best])})`
      : "no answer";
  };
  context.subscribe(update);
  update();
}
