"""The training loop.

One step: cut the batch into chunks, run each forward and backward, add up the gradients in order, let
the optimizer step. One epoch: a step for every batch. Printing, saving, stopping are callbacks.

The value that is minimised is measured while the parameters move and while dropout is on; so it cannot
be compared with a validation loss. The numbers reported as "loss" and "accuracy" at the end of an epoch
are therefore measured like the validation's, in evaluation mode, on a fixed sample of the training set.
The moving value is there too, as "training_loss".
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.callbacks import Callbacks, Progress
from scratchnet.checkpoint import restore
from scratchnet.data.batches import batches, epoch_order
from scratchnet.losses import SoftmaxCrossEntropy
from scratchnet.optimizers import Adam, Optimizer
from scratchnet.randomness import ExampleRandom
from scratchnet.team import cut

TRAINING_SAMPLE = 5000  # examples of the training set that are evaluated at the end of an epoch


class History:
    """What was recorded at the end of each epoch.

    `history.epochs` is a list of dicts, `history["val_accuracy"]` one quantity over the epochs. The time that
    kernels took to compile before the first epoch is in no epoch's "seconds", but in `compile_seconds`.
    """

    def __init__(self, epochs=()):
        self.epochs: list[dict[str, float]] = list(epochs)
        self.compile_seconds = 0.0

    def __getitem__(self, name: str) -> list[float]:
        if not any(name in logs for logs in self.epochs):
            known = ", ".join(self.epochs[0]) if self.epochs else "nothing yet"
            raise KeyError(f"{name!r} was not recorded. Recorded: {known}")
        return [logs[name] for logs in self.epochs if name in logs]

    @property
    def history(self) -> dict[str, list[float]]:
        """Name -> values, for those who know it from Keras."""
        return {name: self[name] for name in (self.epochs[0] if self.epochs else ())}


@dataclass
class Run:
    """A training in progress: what every callback is handed."""

    model: Any
    optimizer: Optimizer
    epochs: int
    batch_size: int
    examples: int
    epoch: int = 0  # the current epoch, from 0
    history: History = field(default_factory=History)
    stop: bool = False  # set it to end the training after this epoch

    @property
    def batches_per_epoch(self) -> int:
        return -(-self.examples // self.batch_size)


def train_step(model, loss, optimizer: Optimizer, x, labels, augment=None) -> float:
    """Forward, loss, backward, update; returns the batch's mean loss before the update."""
    n, plan = len(x), model.plan
    parts, batch, loss = cut(n, plan.chunk_size(n)), plan.begin(training=True), plan.loss(loss)

    def work(chunk):
        part = parts[chunk.index]
        rng = ExampleRandom(model.seed, optimizer.steps, first=part.start)
        images = x[part] if augment is None else augment(x[part], rng)
        logits, caches = model.forward_cached(images, batch.context(True, rng, chunk))
        value, dlogits = loss(logits, labels[part], (part.stop - part.start) / n)
        return value, model.backward(dlogits, caches)[1]

    values, grads = zip(*plan.team().map(work, len(parts)), strict=True)
    plan.update(optimizer, model.parameters(), grads)
    return float(sum(values))


def evaluate(model, x, y, batch_size: int = 256) -> dict[str, float]:
    """Mean cross-entropy and accuracy in evaluation mode; labels are class numbers or one-hot."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} examples but {len(y)} labels")
    if not len(x):
        raise ValueError("nothing to evaluate: the data set is empty")
    y, loss = np.asarray(y), SoftmaxCrossEntropy()

    def work(part, logits):
        numbers = y[part].argmax(axis=1) if y.ndim == 2 else y[part]
        return loss(logits, y[part])[0] * len(logits), int((logits.argmax(axis=1) == numbers).sum())

    losses, right = zip(*model.map(x, batch_size, work), strict=True)
    return {"loss": float(sum(losses)) / len(x), "accuracy": sum(right) / len(x)}


def fit(model, x, y, *, epochs=1, batch_size=128, optimizer=None, loss=None, validation_data=None,
        callbacks=(), augment=None, resume=None, verbose=True) -> History:  # fmt: skip
    """Train for `epochs` epochs; return the History.

    x: (n, ...) images, uint8 or floating; y: class numbers (n,) or one-hot (n, classes).
    optimizer: by default Adam(1e-3); one that is passed again goes on where it was.
    loss: by default SoftmaxCrossEntropy(). validation_data: (x, y), evaluated after every epoch.
    augment: a function (images, rng) -> images, called on every chunk of a batch.
    resume: a checkpoint file to go on from (see `scratchnet.checkpoint`).
    verbose: show progress. Each batch's order is a function of the model's seed and the epoch alone.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    x, y = check_examples(model, x, y)
    if validation_data is not None:
        validation_data = check_examples(model, *validation_data, what="validation_data: ")
    loss = loss or SoftmaxCrossEntropy()
    run = Run(model, optimizer or Adam(1e-3), epochs, batch_size, len(x))
    if resume is not None:
        restore(run, resume)
    listeners = Callbacks(run, [*callbacks, *([Progress()] if verbose else [])])
    sample = np.linspace(0, len(x) - 1, min(len(x), TRAINING_SAMPLE)).astype(np.int64)

    run.history.compile_seconds += model.plan.rehearse(
        lambda: rehearsal(model, loss, run.optimizer, x, y, batch_size, augment), verbose
    )
    listeners.tell("on_train_begin")
    try:
        for epoch in range(run.epoch, epochs):
            run.epoch = epoch
            listeners.tell("on_epoch_begin")
            logs = train_epoch(run, loss, x, y, augment, listeners) | evaluate(model, x[sample], y[sample])
            if validation_data is not None:
                logs |= {f"val_{name}": value for name, value in evaluate(model, *validation_data).items()}
            run.history.epochs.append(logs)
            listeners.tell("on_epoch_end", logs)
            if run.stop:
                break
    finally:
        listeners.tell("on_train_end")
    return run.history


def train_epoch(run: Run, loss, x, y, augment, listeners) -> dict[str, float]:
    """A step for every batch of the epoch; what it cost."""
    start, losses = time.perf_counter(), []
    for rows in batches(epoch_order(len(x), run.model.seed, run.epoch), run.batch_size):
        losses.append(train_step(run.model, loss, run.optimizer, x[rows], y[rows], augment))
        listeners.tell("on_batch_end", {"training_loss": losses[-1]})
    return {
        "epoch": run.epoch + 1,
        "training_loss": float(np.mean(losses)),
        "seconds": time.perf_counter() - start,
        "images": len(x),
        "lr": run.optimizer.learning_rate(run.optimizer.steps - 1),  # that of the last step
    }


def rehearsal(model, loss, optimizer, x, y, batch_size, augment) -> None:
    """Do everything once with a copy of the model, so that whatever has to be compiled is compiled."""
    stand_in = model.untrained_copy()
    train_step(stand_in, loss, copy.deepcopy(optimizer), x[:batch_size], y[:batch_size], augment)
    evaluate(stand_in, x[:1], y[:1])


def check_examples(model, x, y, *, what=""):
    """The data as arrays, or an error before the first step instead of after the first epoch."""
    try:
        x, y = model.check_input(x), np.asarray(y)
        if y.shape[:1] != x.shape[:1] or not len(x):
            raise ValueError(f"{len(x)} examples and labels of shape {y.shape}: expected one label per example")
        SoftmaxCrossEntropy()(np.zeros((len(y), *model.shapes[-1]), model.dtype), y)  # are the labels in range?
    except ValueError as error:
        raise ValueError(f"{what}{error}") from None
    return x, y
