/** The page's live region: what a screen reader should say now. Only the last of quick changes is said. */

const speech = { timer: 0 };

/** Say a sentence after a pause of `wait` ms, unless another one follows. */
export function announce(text, wait = 400) {
  clearTimeout(speech.timer);
  speech.timer = setTimeout(() => {
    document.getElementById("live").textContent = text;
  }, wait);
}
