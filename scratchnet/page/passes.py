"""One image forward and backward through the textbook, in float64, with every number kept.

The layers of a copy of the model run one after the other, as in `layers.row`; each leaves a record of what went in,
what came out, and both derivatives. The rows within a residual block leave records of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.layers import Context, Layer, Residual
from scratchnet.layers.row import prefixes
from scratchnet.losses import PREDICTIONS, USUAL
from scratchnet.page.addresses import Index, format_address
from scratchnet.page.parts import Factor
from scratchnet.randomness import ExampleRandom


class Still(Context):
    """A context in which running averages do not move."""

    def update(self, state: np.ndarray, value: np.ndarray) -> None:
        """Leave the state as it is."""


@dataclass
class Record:
    """One layer in one pass. Arrays are of one example, without n. source: the beginning of its input's addresses."""

    layer: Any
    key: str
    source: str
    x: np.ndarray
    y: np.ndarray
    cache: Any
    stages: list[Record] = field(default_factory=list)
    shortcut: list[Record] = field(default_factory=list)
    dy: np.ndarray = field(default_factory=lambda: np.empty(0))
    dx: np.ndarray = field(default_factory=lambda: np.empty(0))
    gradients: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The name of the layer's class."""
        return type(self.layer).__name__

    @property
    def inner(self) -> dict[str, Any]:
        """x̂, mean, var and scale of a BatchNorm, and m: over how many numbers the mean is taken, 0 in evaluation."""
        x_hat, scale, m, _ = self.cache
        mean, var = self.layer.running_mean, self.layer.running_var
        if m:
            axes = tuple(range(self.x.ndim - 1))
            mean, var = self.x.mean(axis=axes), self.x.var(axis=axes)
        return {"x_hat": x_hat[0], "scale": scale, "mean": mean, "var": var, "m": m or 0}

    # numbers with their addresses

    def input(self, index: Index) -> Factor:
        """x[index], which is a pixel or a number that the layer before gives."""
        return Factor(f"{self.source}/{','.join(map(str, index))}", float(self.x[index]))

    def output(self, index: Index) -> Factor:
        """y[index]."""
        return Factor(format_address("y", self.key, index), float(self.y[index]))

    def upstream(self, index: Index) -> Factor:
        """dy[index]."""
        return Factor(format_address("dy", self.key, index), float(self.dy[index]))

    def downstream(self, index: Index) -> Factor:
        """dx[index]."""
        return Factor(format_address("dx", self.key, index), float(self.dx[index]))

    def array(self, name: str, index: Index) -> Factor:
        """A number of a parameter or of the state."""
        return Factor(format_address(name, self.key, index), float(getattr(self.layer, name)[index]))


class Pass:
    """A forward and a backward pass of one image.

    x: one image (h, w), (h, w, c), or whatever the model's input_shape is, as `predict` takes them. label: its class.
    training: as in a training step on this image alone, with dropout masks of `seed` and BatchNorm's own statistics.

    >>> run = Pass(model, x[0], 3)
    >>> [(record.key, record.dy.shape) for record in run.records]
    [('0.rescale', (28, 28, 1)), ('1.flatten', (784,)), ('2.dense', (10,))]
    """

    def __init__(self, model: Any, x: np.ndarray, label: int, training: bool = False, seed: int = 0):
        self.model = in_float64(model)
        self.outputs, self.training, self.seed = model.outputs, bool(training), int(seed)
        self.x = one_image(x, self.model)
        self.label = as_label(label, self.model.shapes[-1], self.outputs)
        ctx = Still(self.training, ExampleRandom(self.seed, step=0))
        y, self.records = forward(self.model.layers, "", self.x[None], ctx, "x")
        value, dlogits = USUAL[self.outputs]()(y, np.array([self.label]))
        self.loss, self.logits, self.dlogits = float(value), y[0], dlogits[0]
        self.probabilities = PREDICTIONS[self.outputs](y)[0]
        self.dx = backward(self.records, dlogits)[0]
        self.by_key = {record.key: record for record in every_record(self.records)}

    @property
    def target(self) -> np.ndarray:
        """t: 1 at the label and 0 elsewhere; with one output that is not a softmax the label itself."""
        k = len(self.logits)
        return np.array([float(self.label)]) if k == 1 and self.outputs != "softmax" else np.eye(k)[self.label]

    def gradients(self) -> dict[str, np.ndarray]:
        """Parameter name -> its gradient, of all layers."""
        return {f"{key}.{name}": g for key, record in self.by_key.items() for name, g in record.gradients.items()}


def in_float64(model: Any) -> Any:
    """A copy of the model on the textbook in float64, frozen layers frozen."""
    copied = model.untrained_copy("numpy", "float64")
    copied.set_weights(model.get_weights())
    return copied


def one_image(x: Any, model: Any) -> np.ndarray:
    """The image in float64 and in the model's input shape, or a ValueError."""
    x = np.asarray(x)
    if x.shape == (1, *model.input_shape):
        x = x[0]
    fits = (model.input_shape, model.input_shape[:-1]) if model.input_shape[-1:] == (1,) else (model.input_shape,)
    if x.shape not in fits or x.dtype.kind not in "buif":
        raise ValueError(
            f"x must be one example of shape {model.input_shape}, got {x.dtype} of shape {x.shape}. "
            "Of several images take one: x[0]"
        )
    return x.reshape(model.input_shape).astype(np.float64)


def as_label(label: Any, shape: tuple[int, ...], outputs: str) -> int:
    """The label as an int, or a ValueError."""
    classes = 2 if shape == (1,) and outputs != "softmax" else shape[-1]
    if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < classes:
        raise ValueError(f"label must be the number of a class, 0 to {classes - 1}, got {label!r}")
    return int(label)


def forward(
    layers: Sequence[Layer], prefix: str, x: np.ndarray, ctx: Context, source: str
) -> tuple[np.ndarray, list[Record]]:
    """x -> y, and a record for each layer. source: what the addresses of x begin with."""
    records = []
    for layer, name in zip(layers, prefixes(layers), strict=True):
        key = prefix + name
        if isinstance(layer, Residual):
            branch, stages = forward(layer.layers, f"{key}.", x, ctx, source)
            way, shortcut = forward(layer.way, f"{key}.shortcut.", x, ctx, source)
            record = Record(layer, key, source, x[0], (branch + way)[0], None, stages, shortcut)
        else:
            y, cache = layer.forward(x, ctx)
            record = Record(layer, key, source, x[0], y[0], cache)
        records.append(record)
        x, source = record.y[None], f"y/{key}"
    return x, records


def backward(records: Sequence[Record], dy: np.ndarray) -> np.ndarray:
    """dy -> dx; every record gets its dy, dx and gradients."""
    for record in reversed(records):
        if isinstance(record.layer, Residual):
            dx = backward(record.stages, dy) + backward(record.shortcut, dy)
        else:
            dx, record.gradients = record.layer.backward(dy, record.cache)
        record.dy, record.dx, dy = dy[0], dx[0], dx
    return dy


def every_record(records: Sequence[Record]) -> Iterator[Record]:
    """All records; those within a residual block follow their block's."""
    for record in records:
        yield record
        yield from every_record(record.stages)
        yield from every_record(record.shortcut)
