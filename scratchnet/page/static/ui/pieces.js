/** Long calculations in pieces: each takes some milliseconds, so that the page stays alive between them. */

const budget = 12; // ms of a piece

/**
 * work(k) for k = 0 … count - 1; then done(). progress(share) after each piece. -> a function that stops it.
 */
export function inPieces(count, work, done, progress = () => {}) {
  const state = { next: 0, timer: 0 };
  const piece = () => {
    const end = performance.now() + budget;
    while (state.next < count && performance.now() < end) work(state.next++);
    progress(state.next / count);
    if (state.next < count) state.timer = setTimeout(piece, 0);
    else done();
  };
  state.timer = setTimeout(piece, 0);
  return () => clearTimeout(state.timer);
}
