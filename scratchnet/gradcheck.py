"""Gradient check: is backward the derivative of forward? Compare it with finite differences.

    ∂L/∂x_i ≈ (L(x + h e_i) - L(x - h e_i)) / 2h          error of order h²

for every entry of the input and of every parameter, in float64, where L = Σ y · r for a fixed random r.
r is random because with L = Σ y, batch normalisation makes L constant, the true dx is zero, and a
backward that returns zeros passes.

The derivative does not exist at the corner of a ReLU or where two numbers of a pooling window are equal.
There the slopes to the right and to the left differ for every h; on a smooth curve they approach each other
as h shrinks. So an entry that disagrees is checked again with a smaller h: an entry on a corner is
left out (and counted), any other is an error.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.layers.base import Context
from scratchnet.process.pipes import say


class GradientError(AssertionError):
    """backward does not agree with finite differences.

    It is an AssertionError; the message has the worst entry, what backward says of it, and the difference.

    >>> class Wrong(ReLU):
    ...     def backward(self, dy, positive):
    ...         return 2 * dy * positive, {}
    >>> gradcheck(Wrong(), np.array([[1.0, -2.0]]))
    Traceback (most recent call last):
    scratchnet.gradcheck.GradientError: gradcheck Wrong: worst error ... at x[0, 0]: backward ..., difference ...
    """


@dataclass(frozen=True)
class Worst:
    """The entry with the largest error."""

    name: str
    index: tuple[int, ...]
    backward: float
    difference: float
    error: float  # |backward - difference|, relative to the largest gradient of that array


class FrozenContext(Context):
    """The same random numbers at every evaluation, and no running averages moved."""

    def __init__(self, training: bool, seed: int):
        super().__init__(training, np.random.default_rng(seed))

    def update(self, state: np.ndarray, value: np.ndarray) -> None:
        """Leave the state as it is: two evaluations must see the same layer."""


def gradcheck(
    target: Any, x: np.ndarray, training: bool = True, h: float = 1e-5, tolerance: float = 1e-6,
    seed: int = 0, labels: np.ndarray | None = None, loss: Any = None, entries: int | None = None, verbose: bool = True,
) -> Worst:  # fmt: skip
    """Check a layer's or a whole model's backward; return the worst entry or raise GradientError.

    target: a layer (a copy is checked, built for x's shape if need be) or a model with dtype float64.
    x: the input, with n first. labels: if given, L is `loss` (softmax cross-entropy) of the output.
    The error of an entry is relative to the largest gradient of its array; all must be under `tolerance`.

    >>> worst = gradcheck(Dense(4), np.random.default_rng(0).normal(size=(3, 5)))
    gradcheck Dense: worst error ... at ...: backward ..., difference ...
    """
    x = np.array(x, np.float64)
    function = Checked(target, x, training, seed, labels, loss)
    analytic = function.backward()
    worst, corners, looked_at = Worst("x", (), 0.0, 0.0, 0.0), 0, 0
    rng = np.random.default_rng(seed)
    for name, array in function.arrays.items():
        scale = np.abs(analytic[name][np.isfinite(analytic[name])]).max(initial=1e-3)
        for index in places(array.shape, entries, rng):
            looked_at += 1
            gradient, slopes = float(analytic[name][index]), function.slopes(array, index, h)
            if not abs(gradient - sum(slopes) / 2) <= tolerance * scale:
                far, slopes = slopes, function.slopes(array, index, h / 10)
                if is_corner(far, slopes):
                    corners += 1
                    continue
            error = float(abs(gradient - sum(slopes) / 2) / scale)
            if not error <= worst.error:  # also where it is nan
                worst = Worst(name, index, gradient, sum(slopes) / 2, math.inf if math.isnan(error) else error)
    report = describe(target, worst, corners)
    if worst.error > tolerance:
        raise GradientError(report)
    if corners * 10 > looked_at:
        raise GradientError(f"{report}. That is too many to check the rest: choose an x without zeros and ties.")
    if verbose:
        say(report)
    return worst


def places(shape: tuple[int, ...], entries: int | None, rng: Any) -> list[tuple[int, ...]]:
    """The indices of an array's entries: all of them, or as many as `entries` says, chosen at random."""
    size = math.prod(shape)
    if entries is None or entries >= size:
        return list(np.ndindex(shape))
    flat = rng.choice(size, entries, replace=False)
    return [tuple(map(int, index)) for index in np.transpose(np.unravel_index(flat, shape))]


def is_corner(far: tuple[float, float], near: tuple[float, float]) -> bool:
    """Whether the slopes on both sides still differ when h is a tenth. On a curve a tenth of the gap is left."""
    gap, noise = abs(near[0] - near[1]), 1e-3 * max(abs(near[0]), abs(near[1]), 1e-3)
    return gap > abs(far[0] - far[1]) / 5 and gap > noise


def describe(target: Any, worst: Worst, corners: int) -> str:
    """The outcome in one line."""
    where = f"{worst.name}[{', '.join(map(str, worst.index))}]" if worst.index else worst.name
    left_out = f" ({corners} entries on a corner left out)" if corners else ""
    return (
        f"gradcheck {type(target).__name__}: worst error {worst.error:.1e} at {where}: "
        f"backward {worst.backward:.7g}, difference {worst.difference:.7g}{left_out}"
    )


class Checked:
    """L as a function of the input and every parameter, all of them arrays that can be nudged."""

    def __init__(self, target: Any, x: np.ndarray, training: bool, seed: int, labels: Any, loss: Any) -> None:
        self.x, self.training, self.seed = x, training, seed
        self.rng = np.random.default_rng(seed)
        self.is_model = hasattr(target, "parameters")
        self.target = target if self.is_model else copy.deepcopy(target)
        if self.is_model:
            params = target.trainable_parameters()
            if any(p.dtype != np.float64 for p in params.values()):
                raise ValueError('gradcheck needs float64: build the model with dtype="float64"')
        else:
            params = build_in_float64(self.target, x, self.rng)
        self.arrays = {"x": x, **params}
        self.labels = labels
        if labels is not None and loss is None:
            from scratchnet.losses import SoftmaxCrossEntropy

            loss = SoftmaxCrossEntropy()
        self.loss_function = loss
        self.weights = self.rng.standard_normal(self.output()[0].shape)  # r

    def output(self) -> tuple[np.ndarray, Any]:
        """y and the cache, with the same random numbers every time."""
        ctx = FrozenContext(self.training, self.seed)
        if self.is_model:
            return self.target.forward_cached(self.x, ctx)
        return self.target.forward(self.x, ctx)

    def value(self) -> float:
        """L."""
        y, _ = self.output()
        if self.labels is not None:
            return float(self.loss_function(y, self.labels)[0])
        return float((y * self.weights).sum())

    def backward(self) -> dict[str, np.ndarray]:
        """dL with respect to every array, as the code under test has it."""
        y, cache = self.output()
        dy = self.weights.copy() if self.labels is None else self.loss_function(y, self.labels)[1]
        dx, grads = self.target.backward(dy, cache)
        found = {"x": np.asarray(dx), **{name: np.asarray(g) for name, g in grads.items()}}
        shapes = {name: array.shape for name, array in self.arrays.items()}
        if shapes != {name: g.shape for name, g in found.items()}:
            got = ", ".join(f"{name} {g.shape}" for name, g in found.items())
            expected = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise GradientError(f"backward must return gradients of {expected}; it returned {got}")
        return found

    def slopes(self, array: np.ndarray, index: tuple[int, ...], h: float) -> tuple[float, float]:
        """The slopes of L on both sides of one entry; their mean is the central difference."""
        start, here = array[index], self.value()
        array[index] = start + h
        above = self.value()
        array[index] = start - h
        below = self.value()
        array[index] = start
        return (above - here) / h, (here - below) / h


def build_in_float64(layer: Any, x: np.ndarray, rng: Any) -> dict[str, np.ndarray]:
    """Build the layer in float64 (or cast it, if it was built) and return its parameters by name."""
    parts = [part for _, part in layer.walk() if not part.children()]
    for part in (layer, *parts):
        part.dtype = np.dtype("float64")
    if not any(hasattr(part, name) for part in parts for name in part.params):
        layer.build(x.shape[1:], rng)
    for part in parts:
        for name, array in part.arrays("params", "state").items():
            setattr(part, name, np.array(array, np.float64))
    params = layer.arrays("params")
    for array in params.values():  # zeros and ones hide errors: a bias of 0 never shows
        array += 0.1 * rng.standard_normal(array.shape)
    return params
