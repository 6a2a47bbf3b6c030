"""A training run that can be watched, paused, made to do a single step, and given another learning rate.

`Live` is a callback. In the training's thread it publishes events into a `Feed` and obeys what was asked of it between
two batches; in the server's thread the page reads the feed and asks. Watching changes no bit of the weights: events are
made of copies. What is changed by hand is noted, as the command alone no longer reproduces such a run.

A paused training waits inside a callback, where a signal is only noted (`process.interrupts`). So it asks
`run.interrupted` ten times a second, and Ctrl-C ends it at once.
"""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.callbacks import Callback
from scratchnet.page.observe import Observer

STEP_SECONDS = 0.1  # at least, between two events of steps
SNAPSHOT_SECONDS = 0.5  # and between two snapshots,
SNAPSHOT_SHARE = 0.02  # which take at most this share of the time; but
RAREST = 5.0  # seconds at most: on a machine that does other work too, they take more
STEPS, SNAPSHOTS = 2000, 40  # events that are kept for those who come late
LARGEST_SCALE = 1000.0
Event = tuple[int, str, str]  # number, kind, JSON
Note = Callable[[list[dict[str, Any]]], None]


class EndedError(RuntimeError):
    """An order for a training run that is over."""


class Feed:
    """Events in order, the newest of them kept. Any thread may publish and read.

    >>> feed = Feed()
    >>> feed.publish("step", {"loss": 2.5}), feed.publish("step", {"loss": 2.1})
    (1, 2)
    >>> feed.since(1)
    [(2, 'step', '{"loss": 2.1}')]
    """

    def __init__(self) -> None:
        self.lock, self.number = threading.Lock(), 0
        self.steps: deque[Event] = deque(maxlen=STEPS)
        self.snapshots: deque[Event] = deque(maxlen=SNAPSHOTS)

    def publish(self, kind: str, data: dict[str, Any]) -> int:
        """Add an event; its number. Numbers that are not finite become null, which JSON has."""
        text = json.dumps({name: sound(value) for name, value in data.items()}, allow_nan=False)
        with self.lock:
            self.number += 1
            (self.snapshots if kind == "snapshot" else self.steps).append((self.number, kind, text))
            return self.number

    def since(self, number: int) -> list[Event]:
        """The kept events after this number, in order."""
        with self.lock:
            return sorted(event for event in (*self.steps, *self.snapshots) if event[0] > number)


class Live(Callback):
    """Tell the page what the training does, and do what the page asks.

    observer: takes snapshots of the network, or None. note: called after each change by hand, with the list of all.
    """

    last = True  # a pause comes after everything else of a step is done

    def __init__(self, observer: Observer | None = None, note: Note | None = None):
        self.observer, self.note = observer, note
        self.feed, self.asked = Feed(), queue.SimpleQueue()  # type: ignore[var-annotated]
        self.paused, self.single, self.ended = False, 0, False
        self.changes: list[dict[str, Any]] = []
        self.wake = threading.Event()
        self.losses: list[float] = []
        self.said = self.taken = 0.0
        self.snapshot_costs = 0.0
        self.images = 0

    # in the server's thread

    def ask(self, do: str, value: Any = None) -> None:
        """pause, resume, step, scale (a factor on the learning rate), watch (an image). Raises ValueError for anything
        else, EndedError after the end."""
        if do not in ("pause", "resume", "step", "scale", "watch"):
            raise ValueError("do: expected pause, resume, step or scale")
        if self.ended:
            raise EndedError("the training has ended")
        if do == "scale":
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not 0 < value <= LARGEST_SCALE:
                raise ValueError(f"scale: expected a value from above 0 to {LARGEST_SCALE:g}")
        self.asked.put((do, value))
        self.wake.set()

    def weights(self, seconds: float = 2.0) -> dict[str, np.ndarray] | None:
        """Copies of all arrays between two batches; None if the training does not come to one within the time."""
        if self.ended:
            return None
        answer: queue.SimpleQueue = queue.SimpleQueue()
        self.asked.put(("weights", answer))
        self.wake.set()
        try:
            return answer.get(timeout=seconds)
        except queue.Empty:
            return None

    # in the training's thread

    def on_train_begin(self, run: Any) -> None:
        self.said = self.taken = time.monotonic()
        self.ended = False
        self.feed.publish("begin", {
            "epochs": run.epochs, "batchesPerEpoch": run.batches_per_epoch, "batchSize": run.batch_size,
            "step": run.optimizer.steps, "optimizer": type(run.optimizer).__name__, "scale": run.optimizer.lr_scale,
            "history": [{name: sound(value) for name, value in logs.items()} for logs in run.history.epochs],
            "watched": self.observer.image() if self.observer else None,
        })  # fmt: skip
        self.snapshot(run, None)

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        self.losses.append(logs["training_loss"])
        self.images += min(run.batch_size, run.examples - (run.batch - 1) * run.batch_size)
        now = time.monotonic()
        self.single = max(0, self.single - 1)
        if now - self.said >= STEP_SECONDS or self.paused:
            self.say_step(run, now)
        wait = min(max(SNAPSHOT_SECONDS, self.snapshot_costs / SNAPSHOT_SHARE), RAREST)
        if self.paused or now - self.taken >= wait:
            self.snapshot(run, logs["training_loss"])
        self.obey(run)
        while self.paused and not self.single and not run.interrupted():
            self.wake.wait(0.1)
            self.wake.clear()
            self.obey(run)

    def say_step(self, run: Any, now: float) -> None:
        """Publish the mean loss since the last event, and where the training is."""
        self.feed.publish("step", {
            "step": run.optimizer.steps, "epoch": run.epoch + run.batch / run.batches_per_epoch,
            "loss": float(np.mean(self.losses)), "lr": run.optimizer.learning_rate(run.optimizer.steps - 1),
            "imagesPerSecond": self.images / max(now - self.said, 1e-9), "paused": self.paused,
        })  # fmt: skip
        self.losses, self.images, self.said = [], 0, now

    def snapshot(self, run: Any, loss: float | None) -> None:
        """Publish a snapshot of the network."""
        if self.observer is None:
            return
        start = time.monotonic()
        seen = self.observer.snapshot(run.model)
        step = run.optimizer.steps
        self.feed.publish("snapshot", {"step": step, "epoch": step / run.batches_per_epoch, "loss": loss, **seen})
        self.taken = time.monotonic()
        self.snapshot_costs = self.taken - start

    def obey(self, run: Any) -> None:
        """Do all that was asked."""
        while not self.asked.empty():
            do, value = self.asked.get()
            if do == "weights":
                arrays = {**run.model.parameters(), **run.model.state()}
                value.put({name: array.copy() for name, array in arrays.items()})
                continue
            if do == "watch" and self.observer is not None:
                self.observer.watch(value)
                self.snapshot(run, None)
            elif do == "step":
                self.paused, self.single = True, self.single + 1
            elif do == "scale":
                run.optimizer.lr_scale = float(value)
                self.changes.append({"step": run.optimizer.steps, "lr_scale": float(value)})
                if self.note is not None:
                    self.note(self.changes)
            else:
                self.paused, self.single = do == "pause", 0
            state = {"paused": self.paused, "scale": run.optimizer.lr_scale, "step": run.optimizer.steps}
            self.feed.publish("state", {**state, "changes": self.changes, "watched": self.watched(do)})

    def watched(self, do: str) -> dict[str, Any] | None:
        """The watched image, if it is another one."""
        return self.observer.image() if self.observer is not None and do == "watch" else None

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        self.feed.publish("epoch", dict(logs))

    def on_divergence(self, run: Any, error: Exception) -> bool:
        self.feed.publish("problem", {"message": str(error)})
        return False

    def on_train_end(self, run: Any) -> None:
        self.ended = True
        if self.losses:
            self.say_step(run, time.monotonic())
        self.snapshot(run, None)
        self.feed.publish("end", {"step": run.optimizer.steps, "interrupted": run.interrupted()})


def sound(value: Any) -> Any:
    """A number that JSON can say; None for infinity and for what is not a number.

    >>> sound(float("nan")), sound(0.5)
    (None, 0.5)
    """
    return None if isinstance(value, float) and not math.isfinite(value) else value
