/**
 * The events of a live training, collected. A browser opens at most six connections to a server, so the stream is closed
 * while the page is hidden; when it is seen again, the stream goes on after the last event.
 */

const keptPoints = 1200;

/** training: the view's record, which is filled; changed(): after each event; say(text): for a screen reader. -> end() */
export function openFeed(training, changed, say) {
  const open = { source: null };
  const handlers = {
    begin(data) {
      Object.assign(training.state, { epochs: data.epochs, scale: data.scale, ended: false, paused: false });
      training.epochs = data.history;
      training.watched = data.watched ?? training.watched;
      Object.assign(training, { steps: [], snapshots: [] });
    },
    step(data) {
      training.steps.push(data);
      training.state.paused = data.paused;
      if (training.steps.length > keptPoints) thin(training.steps);
    },
    epoch(data) {
      training.epochs.push(data);
      if (data.val_accuracy !== undefined) say(`Epoch ${data.epoch}: ${(100 * data.val_accuracy).toFixed(1)} % of the validation images are right.`);
    },
    snapshot(data) {
      training.snapshots.push(data);
      if (training.snapshots.length > 200) thin(training.snapshots);
    },
    state(data) {
      Object.assign(training.state, { paused: data.paused, scale: data.scale, changes: data.changes });
      training.watched = data.watched ?? training.watched;
    },
    problem(data) {
      training.state.problem = `${data.message}.`;
    },
    end() {
      training.state.ended = true;
      say("The training has ended.");
    },
  };
  const start = () => {
    if (open.source || training.state.ended || document.hidden) return;
    open.source = new EventSource(`training?after=${training.seen}`);
    for (const [kind, handle] of Object.entries(handlers)) {
      open.source.addEventListener(kind, (event) => {
        training.seen = Number(event.lastEventId);
        handle(JSON.parse(event.data));
        if (kind === "end") stop();
        changed();
      });
    }
  };
  const stop = () => {
    open.source?.close();
    open.source = null;
  };
  const seen = () => (document.hidden ? stop() : start());
  document.addEventListener("visibilitychange", seen);
  start();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    stop();
  };
}

/** Keep every second of the older half. */
function thin(list) {
  const half = Math.floor(list.length / 2);
  list.splice(0, half, ...list.slice(0, half).filter((_, k) => k % 2 === 0));
}
