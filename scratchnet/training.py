"""The training loop.

One step: forward, loss, backward, update (`scratchnet.engine`). One epoch: a step for every batch. Printing, saving
and stopping are callbacks.

The value that is minimised is measured while the parameters move and while dropout is on; so it cannot
be compared with a validation loss. The numbers reported as "loss" and "accuracy" at the end of an epoch
are therefore measured like the validation's, in evaluation mode, on a fixed sample of the training set.
The mean of the minimised values is reported too, as "training_loss".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from operator import getitem
from typing import Any

import numpy as np

from scratchnet import checkpoint
from scratchnet.arguments import as_callbacks, first_epoch, labels_for, read_data
from scratchnet.callbacks import Callbacks, Progress
from scratchnet.data.batches import batches, epoch_order
from scratchnet.divergence import TrainingDivergedError, check_finite, explain
from scratchnet.engine import NonFiniteLossError, expect_trained, restored
from scratchnet.example_weights import example_weights
from scratchnet.inputs import count
from scratchnet.kept_outputs import KeptOutputs
from scratchnet.losses import USUAL, SoftmaxCrossEntropy, WeightedLoss, as_loss, weighted, without_weights
from scratchnet.optimizers import Optimizer, as_optimizer
from scratchnet.process.interrupts import HeldSignals, Interrupted
from scratchnet.process.pipes import say
from scratchnet.randomness import ExampleRandom
from scratchnet.run import History, Run
from scratchnet.world import World, alone, shared_world

TRAINING_SAMPLE = 5000  # examples of the training set that are evaluated at the end of an epoch


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is an error, with better words
def train_step(
    model: Any, loss: Any, optimizer: Optimizer, x: Any, labels: Any, augment: Any = None,
    whole: Callable[[], Any] | None = None, above: Any = None,
) -> float:  # fmt: skip
    """One optimizer step on a batch; returns the batch's mean loss before it.

    whole: reads the batch, if x may have this process' examples only (`Engine.batch`). above: the engine that takes
    x, if these are no images but outputs of the layers below (`KeptOutputs`).
    Raises TrainingDivergedError if that loss is not finite; the model is then as it was before the step.
    """
    engine, rng = model.backend, ExampleRandom(model.seed, optimizer.steps)
    stepping = above or engine
    if not engine.training.acquire(blocking=False):
        raise RuntimeError("another thread is in the middle of a training step of this model. Train it in one thread.")
    try:
        return stepping.train_step(loss, optimizer, stepping.check_input(x), labels, rng, augment)
    except NonFiniteLossError as error:
        rng.draws = 0
        with restored(model.state()), alone():
            images = engine.augmented(augment, model.check_input(x if whole is None else whole()), rng)
            raise explain(model, images, rng, error.value, optimizer.steps + 1) from None
    finally:
        engine.training.release()


@np.errstate(over="ignore", invalid="ignore")
def evaluate(
    model: Any, x: Any, y: Any, batch_size: int = 256, loss: Any = None, check: Callable[[], None] | None = None,
    world: World | None = None,
) -> dict[str, float]:  # fmt: skip
    """Mean loss and accuracy in evaluation mode; labels as for `fit`. No accuracy where the labels are not classes.

    loss: by default the one that belongs to the model's outputs, SoftmaxCrossEntropy() for classes. check: called
    before each batch; it may raise to break off. world: whose processes share the work, all of them calling this.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} examples but {len(y)} labels")
    if not len(x):
        raise ValueError("nothing to evaluate: the data set is empty")
    batch_size = count(batch_size, "batch_size")
    loss = loss or USUAL[model.outputs]()
    k = model.shapes[-1][-1]
    y, judge = labels_for(loss, y, k), loss if hasattr(loss, "right") else SoftmaxCrossEntropy()

    def work(part: slice, outputs: np.ndarray) -> tuple[float, float]:
        if check is not None:
            check()
        value = loss(outputs, y[part])[0] * len(outputs)
        return value, float(judge.right(outputs, y[part]).sum()) if classes else 0.0

    classes = judge.classifies(y, k)
    losses, right = zip(*(world or World()).map(model, x, batch_size, work), strict=True)
    found = {"loss": float(sum(losses)) / len(x), "accuracy": sum(right) / len(x)}
    return found if classes else {"loss": found["loss"]}


def fit(
    model: Any, x: Any, y: Any, *, epochs: int = 1, batch_size: int = 128, optimizer: Any = None, loss: Any = None,
    validation_data: Any = None, validation_split: float = 0.0, shuffle: bool = True, initial_epoch: int = 0,
    class_weight: Any = None, sample_weight: Any = None, callbacks: Any = (), augment: Any = None, resume: Any = None,
    verbose: bool = True,
) -> History:  # fmt: skip
    """Train for `epochs` epochs; return the History. The arguments are those of `Sequential.fit`."""
    epochs, batch_size = count(epochs, "epochs"), count(batch_size, "batch_size")
    first = first_epoch(initial_epoch, epochs)
    loss, optimizer = as_loss(loss), as_optimizer(optimizer)
    expect_trained(model.network)
    optimizer.check_owner(model.parameters())
    data = read_data(model, x, y, loss, validation_data, validation_split)
    weights = example_weights(class_weight, sample_weight, data.y, len(x), loss, model.shapes[-1][-1])
    model.outputs = getattr(loss, "outputs", model.outputs)
    measured = getattr(loss, "classifies", lambda y, k: True)(data.y, model.shapes[-1][-1])
    labels, loss = (data.y, loss) if weights is None else (weighted(data.y, weights), WeightedLoss(loss))
    run = Run(
        model, optimizer, loss, epochs, batch_size, data.x, labels, data.validation, augment,
        shuffle=bool(shuffle), initial_epoch=first, epoch=first, measures_accuracy=measured,
    )  # fmt: skip
    world = shared_world()
    listeners = Callbacks(run, [*as_callbacks(callbacks), *([Progress()] if verbose else [])], world.rank == 0)
    run.callbacks = listeners.callbacks
    world.check(run)
    saved = None if resume is None else world.first(lambda: checkpoint.load(resume, run))
    if saved is not None:
        saved.restore(run)
    run.history.compile_seconds += world.in_turn(lambda: compile_kernels(run, verbose and world.rank == 0))
    listeners.dispatch("on_train_begin")
    with world.signals() as signals:
        run.interrupted = lambda: signals.waiting is not None
        try:
            if saved is not None:
                resume_callbacks(run, saved, listeners)
            while run.epoch < epochs and not run.stop:
                train_epoch(run, listeners, signals, world)
        except Interrupted:
            listeners.dispatch("on_interrupt")
            world.saved()
        except TrainingDivergedError as error:
            if not listeners.dispatch("on_divergence", error):
                raise
        finally:
            listeners.dispatch("on_train_end")
    if verbose and (said := world.describe()):
        say(said)
    return run.history


def resume_callbacks(run: Run, saved: Any, listeners: Callbacks) -> None:
    """Bring the callbacks to where they were; if that was within an epoch, after its beginning."""
    saved.restore_callbacks(run)
    if run.batch:
        listeners.dispatch("on_epoch_begin")
        saved.restore_callbacks(run)


def train_epoch(run: Run, listeners: Callbacks, signals: HeldSignals, world: World) -> None:
    """A step for every batch of the epoch that is not done yet; evaluation; the history; the next epoch."""
    if run.batch == 0:
        listeners.dispatch("on_epoch_begin")
    start = time.perf_counter() - run.seconds
    order = epoch_order(run.examples, run.model.seed, run.epoch) if run.shuffle else np.arange(run.examples)
    run.kept = KeptOutputs.current(run, signals.check)
    for rows in islice(batches(order, run.batch_size), run.batch, None):
        run.losses.append(step_of(run, rows))
        run.batch, run.seconds = run.batch + 1, time.perf_counter() - start
        listeners.dispatch("on_batch_end", {"training_loss": run.losses[-1]})
        world.after_batch(run)
        signals.check()
    listeners.dispatch("on_evaluation_begin")
    logs = {
        "epoch": run.epoch + 1,
        "training_loss": float(np.mean(run.losses)),
        "seconds": run.seconds,
        "images": run.examples,
        "lr": run.optimizer.learning_rate(run.optimizer.steps - 1),  # that of the last step
        **evaluate_both(run, signals, world),
    }
    check_finite(run.model, run.optimizer)
    world.check_weights(run)
    run.history.epochs.append(logs)
    listeners.dispatch("on_epoch_end", logs)
    (run.epoch, run.batch), run.losses, run.seconds = run.position, [], 0.0
    run.stop = world.agree(run.stop)
    signals.check()


def step_of(run: Run, rows: np.ndarray) -> float:
    """A training step on these rows of the data; its loss."""
    whole, kept = partial(getitem, run.x, rows), run.kept if run.kept is not None and run.kept.hold() else None
    x, above = (run.model.backend.batch(run.x, rows), None) if kept is None else (kept.outputs[rows], kept.above)
    return train_step(run.model, run.loss, run.optimizer, x, run.y[rows], run.augment, whole, above)


def evaluate_both(run: Run, signals: HeldSignals, world: World) -> dict[str, float]:
    """Loss and accuracy on a sample of the training set, and with "val_" in front on the validation set."""
    sample = np.linspace(0, run.examples - 1, min(run.examples, TRAINING_SAMPLE)).astype(np.int64)
    loss, y = without_weights(run.loss, run.y)
    logs = evaluate(run.model, run.x[sample], y[sample], loss=loss, check=signals.check, world=world)
    if not math.isfinite(logs["loss"]):
        for rows in batches(sample, 256):
            if not math.isfinite(evaluate(run.model, run.x[rows], y[rows], loss=loss)["loss"]):
                raise explain(run.model, run.x[rows], None, logs["loss"], run.optimizer.steps)
    if run.validation_data is not None:
        validation = evaluate(run.model, *run.validation_data, loss=loss, check=signals.check, world=world)
        logs |= {f"val_{name}": value for name, value in validation.items()}
    return logs


def compile_kernels(run: Run, verbose: bool) -> float:
    """Compile what is not compiled yet; the seconds that took. Ctrl-C goes to the caller at once."""
    with HeldSignals() as signals:
        try:
            run.kept = KeptOutputs.of(run)
            return signals.run_in_thread(lambda: run.model.backend.prepare(run, verbose))
        except Interrupted:
            run.stop = True
    return 0.0
