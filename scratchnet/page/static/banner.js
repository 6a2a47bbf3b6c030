/** The top of the page: the model's name, the links to the views, the current input and the guess. */
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
  const current = document.getElementById("current");
  const thumbnail = document.getElementById("thumbnail");
  const guess = document.getElementById("guess");
  const update = () => {
    current.hidden = !context.x;
    if (!context.x) return;
    picture(thumbnail, context.x);
    const best = largest(context.probabilities);
    guess.textContent = context.trusted
      ? `${context.model.classNames[best]} (${percent(context.probabilities[best])})`
      : "no answer";
  };
  context.subscribe(update);
  update();
}
