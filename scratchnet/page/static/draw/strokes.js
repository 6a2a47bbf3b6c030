/**
 * A pen on an element: mouse, pen and finger become strokes of points.
 *
 * One finger draws, two fingers move the page: the second one takes the first one's stroke back. While a pen draws,
 * fingers are the palm of a hand. Points are shares of the element's sides; the width or pressure of a pen means nothing.
 */

/**
 * drawing: {strokes: [[[x, y], …], …]}, changed in place. changed(): after every event that adds or removes points;
 * ended(): after a stroke.
 */
export function listenToPen(target, drawing, { changed, ended }) {
  const active = { pen: null, type: "", fingers: new Map() };
  const point = (event) => {
    const area = target.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  const finish = () => {
    active.pen = null;
    ended();
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (event.pointerType === "touch") active.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (active.pen !== null) {
      if (event.pointerType === "touch" && active.type === "touch") {
        drawing.strokes.pop();
        active.pen = null;
        changed();
      }
      return;
    }
    if (active.fingers.size > 1) return;
    event.preventDefault();
    target.focus({ preventScroll: true });
    target.setPointerCapture(event.pointerId);
    Object.assign(active, { pen: event.pointerId, type: event.pointerType });
    drawing.strokes.push([point(event)]);
    changed();
  });
  target.addEventListener("pointermove", (event) => {
    if (active.fingers.size > 1 && active.fingers.has(event.pointerId)) return movePage(event, active.fingers);
    if (event.pointerId !== active.pen) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) drawing.strokes.at(-1).push(point(part));
    changed();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    target.addEventListener(kind, (event) => {
      active.fingers.delete(event.pointerId);
      if (event.pointerId === active.pen) finish();
    });
  }
}

/** Two fingers: the page follows the mean of them. */
function movePage(event, fingers) {
  const [x, y] = fingers.get(event.pointerId);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  window.scrollBy({ left: (x - event.clientX) / fingers.size, top: (y - event.clientY) / fingers.size, behavior: "instant" });
}

/** How many digits the strokes seem to be: parts with a wide gap between them, from left to right. */
export function countParts(strokes) {
  const spans = strokes
    .filter((points) => points.length > 1)
    .map((points) => {
      const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
      return { left: Math.min(...xs), right: Math.max(...xs), height: Math.max(...ys) - Math.min(...ys) };
    })
    .sort((a, b) => a.left - b.left);
  const parts = [];
  for (const span of spans) {
    const last = parts.at(-1);
    if (last && span.left - last.right < 0.25 * Math.max(last.height, span.height)) {
      Object.assign(last, { right: Math.max(last.right, span.right), height: Math.max(last.height, span.height) });
    } else {
      parts.push({ ...span });
    }
  }
  const tallest = Math.max(0, ...parts.map(({ height }) => height));
  return parts.filter(({ height }) => height > 0.4 * tallest).length;
}
