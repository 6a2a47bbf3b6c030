"""Health: measurements inside the layers during training.

A loss that does not fall shows that something is wrong, but not where. Four numbers per layer show where. Each is
measured on the same few training images:

    activations      mean and spread of the layer's output: do they vanish or explode with depth?
    dead share       units of a ReLU that are 0 for every image. Their gradient is 0 too, so they stay dead.
    gradient norm    |dL/dw| over the layer's parameters: does the gradient vanish on its way here?
    update ratio     |Δw| / |w| of one step: the relative change of a layer. About 1e-3 is healthy
                     (Karpathy, CS231n notes "Learning and Evaluation"): a much larger ratio is unstable, and a
                     ratio of 1e-6 means that the layer hardly learns.

The network is measured in training mode: dropout on (the same masks each time), BatchNorm with the statistics of
these images. The model is unchanged. The activations come from the textbook layers, one
after the other, whatever the engine; the gradients from the engine that trains, which is faster.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet import html
from scratchnet.callbacks import Callback
from scratchnet.callbacks.base import warn_on_os_error
from scratchnet.data.atomic import replacing
from scratchnet.engine import NonFiniteLossError
from scratchnet.gradcheck import FrozenContext
from scratchnet.layers import ReLU
from scratchnet.randomness import ExampleRandom

COLUMNS = (
    "epoch", "step", "layer", "activation_mean", "activation_std", "dead_share", "gradient_norm", "update_ratio",
)  # fmt: skip
Row = dict[str, Any]  # one layer at one step, by COLUMNS; None where a number makes no sense for the layer


class Health(Callback):
    """Record every layer's health after the first step of a training run and at the end of each epoch.

    path: where to write it, as CSV with COLUMNS, or None to keep it in `rows` only. sample: how many images of the
    training set are looked at. every: steps between two records, instead of an epoch's.
    A record of 32 images costs about as much as training on 400, some 20 milliseconds; `seconds` says what all of
    them took. Of so few images a unit that fires for one in ten may be silent by chance (3 %).

    Raises ValueError for a sample or an `every` below 1.

    >>> health = Health()
    >>> history = model.fit(x, y, epochs=2, callbacks=[health], verbose=False)
    >>> [(row["step"], row["layer"]) for row in health.rows[-3:]]
    [(2, '0.rescale'), (2, '1.flatten'), (2, '2.dense')]
    """

    writes = True

    def __init__(self, path: str | os.PathLike | None = None, sample: int = 32, every: int | None = None):
        if sample < 1 or (every is not None and every < 1):
            raise ValueError(f"Health: sample and every must be at least 1, got {sample} and {every}")
        self.path, self.sample, self.every = path, sample, every
        self.rows: list[Row] = []
        self.seconds = 0.0

    def on_train_begin(self, run: Any) -> None:
        started = run.optimizer.steps
        self.rows = [row for row in read_health(self.path) if row["step"] <= started] if started else []
        self.before = None if started else copies(run.model)
        self.chosen = np.linspace(0, run.examples - 1, min(self.sample, run.examples)).astype(np.int64)
        self.seconds, self.warned = 0.0, False

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        start, step = time.perf_counter(), run.optimizer.steps
        if self.before is not None:
            self.rows += record(run, run.x[self.chosen], run.y[self.chosen], self.before)
            self.before = None
            if self.path is not None:
                with warn_on_os_error(self, self.path):
                    write_health(self.path, self.rows)
        if (step + 1) % (self.every or run.batches_per_epoch) == 0:
            self.before = copies(run.model)
        self.seconds += time.perf_counter() - start

    def _repr_html_(self) -> str:
        """For notebooks: the last record, a row for each layer, and the update ratios as curves."""
        steps = sorted({row["step"] for row in self.rows})
        last = [row for row in self.rows if row["step"] == steps[-1]] if steps else []
        ratios: dict[str, list[float]] = {}
        for row in self.rows:
            if row["update_ratio"] is not None:
                ratios.setdefault(row["layer"], []).append(row["update_ratio"])
        lines = [[cell(row[name]) for name in COLUMNS] for row in last]
        return html.table(COLUMNS, lines) + html.curves(ratios, "update ratio of each record")


def cell(value: Any) -> str:
    """A cell of the table: text as it is, numbers with four digits, nothing for None."""
    return "" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def copies(model: Any) -> dict[str, np.ndarray]:
    """The parameters as they are now."""
    return {name: p.copy() for name, p in model.parameters().items()}


@np.errstate(all="ignore")  # what overflows is seen in the numbers
def record(run: Any, x: np.ndarray, y: np.ndarray, before: dict[str, np.ndarray]) -> list[Row]:
    """A row for each layer; before: the parameters before the step that was just made."""
    model, rows = run.model, []
    outputs, grads = activations(model, x), gradients(model, run.loss, x, y)
    for name, layer in zip(model.names, model.layers, strict=True):
        w, out = {f"{name}.{p}": array for p, array in layer.arrays("params").items()}, outputs[name]
        trained = bool(w) and layer.trainable
        rows.append({
            "epoch": run.epoch + 1, "step": run.optimizer.steps, "layer": name,
            "activation_mean": float(out.mean()), "activation_std": float(out.std()),
            "dead_share": dead_share(out) if isinstance(layer, ReLU) else None,
            "gradient_norm": norm(grads[p] for p in w if p in grads) if trained else None,
            "update_ratio": ratio(norm(w[p] - before[p] for p in w), norm(before[p] for p in w)) if trained else None,
        })  # fmt: skip
    return rows


def activations(model: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    """The output of each layer for these images."""
    ctx = FrozenContext(training=True, seed=model.seed)
    return {name: y for name, _, y in model.backend.activations(model.check_input(x), ctx)}


def gradients(model: Any, loss: Any, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """dL/dp by name for every parameter that is trained.

    NaN if the loss is not finite, which the next training step reports.
    """
    try:
        rng = ExampleRandom(model.seed, step=0)
        return model.backend.gradients(loss, model.check_input(x), y, rng)[1]
    except NonFiniteLossError:
        return {name: np.array(np.nan) for name in model.trainable_parameters()}


def dead_share(y: np.ndarray) -> float:
    """Of a ReLU's output (n, ..., c): the share of the c units that are 0 for all examples and positions.

    >>> dead_share(np.array([[0.0, 2.0], [0.0, 0.0]]))
    0.5
    """
    return float((y.reshape(-1, y.shape[-1]).max(axis=0) <= 0).mean())


def norm(arrays: Iterable[np.ndarray]) -> float:
    """The length of several arrays taken as one vector."""
    return float(np.sqrt(sum(float(np.vdot(a, a)) for a in arrays)))


def ratio(change: float, size: float) -> float:
    """change / size; parameters that were all zero and move have changed beyond measure."""
    return change / size if size else (np.inf if change else 0.0)


def write_health(path: str | os.PathLike, rows: list[Row]) -> None:
    """Write rows as CSV, atomically. A cell is empty where a row has None."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def read_health(path: str | os.PathLike | None) -> list[Row]:
    """What write_health wrote; no rows where there is no file."""
    if path is None or not Path(path).exists():
        return []
    with open(path, newline="") as file:
        return [{name: read_cell(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


def read_cell(name: str, text: str) -> Any:
    """One cell as the number it was."""
    if name == "layer":
        return text
    if name in ("epoch", "step"):
        return int(text)
    return float(text) if text else None
