"""Before training: is everything connected?

A network with a wrong gradient, shuffled labels or unscaled images still trains, only worse than it could, and
without an error. Each of these checks takes seconds and catches one such mistake
(Karpathy, "A Recipe for Training Neural Networks" and CS231n, "Before learning: sanity checks").
All checks work on copies: the model is not changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from scratchnet.divergence import TrainingDivergedError
from scratchnet.gradcheck import GradientError, gradcheck
from scratchnet.layers import Dropout, Rescale
from scratchnet.losses import SoftmaxCrossEntropy, one_hot
from scratchnet.optimizers import Adam
from scratchnet.process.pipes import printable
from scratchnet.run import Run
from scratchnet.training import train_step

SAMPLE, BATCH, FEW = 256, 32, 4  # images for the loss, for overfitting one batch, for the gradients
UNDECIDED = 0.2  # the largest relative distance of the first loss from log(classes)
BY_HEART, STEPS = 0.05, 300  # a batch counts as memorised below this fraction of log(classes), within STEPS steps
ENTRIES = 4  # per parameter, at random places: a wrong formula is wrong nearly everywhere
EXACT = 1e-5  # BatchNorm over four images is strongly curved: differences err by 1e-6, a wrong formula by 1e-2
SAME = 1e-4  # relative difference of two sums of a million float32 products in different order


class Check(NamedTuple):
    """The result of one check. print(check) shows ✓ or ✗ and the numbers, in ASCII if the output has no such signs."""

    passed: bool
    text: str

    def __str__(self) -> str:
        return printable(f"{'✓' if self.passed else '✗'} {self.text}")


def examine(model: Any, x: np.ndarray, y: Any, verbose: bool = True) -> Iterator[Check]:
    """Check a model and its training set before training; yield each Check as soon as it is done.

    x: (n, ...) images, y: labels, as for `fit`. verbose: print a line if kernels have to be compiled.
    Invalid labels end the checks: no loss could be computed.

    >>> for check in examine(model, x, y):
    ...     print(check)
    ✓ labels: 8 images, classes 0 to 7 of 10
    ✓ input: mean 0.499, spread 0.289, within 0.000108 to 1
    ✓ first loss: 2.285 ≈ log 10 = 2.303
    ✓ gradients: 4 entries per array differ from finite differences by ...
    ✓ one batch: 8 images memorised in ... steps, loss 0.1...
    """
    if len(model.trainable_parameters()) < len(model.parameters()):  # the checks are about the whole network
        model = model.untrained_copy()
        model.unfreeze()
    labels = check_labels(model, x, y)
    yield labels
    if not labels.passed:
        return
    chosen = np.linspace(0, len(x) - 1, min(len(x), SAMPLE)).astype(np.int64)
    x, y = model.check_input(x[chosen]), np.asarray(y)[chosen]
    yield check_input_scale(model, x)
    model.backend.prepare(Run(model, Adam(), SoftmaxCrossEntropy(), 1, BATCH, x, y), verbose)
    yield check_first_loss(model, x, y)
    if model.engine == "numba":
        yield check_engines(model, x[:BATCH], y[:BATCH])
    yield check_gradients(model, x[:FEW], y[:FEW])
    yield check_one_batch(model, x[:BATCH], y[:BATCH])


def print_checks(model: Any, x: np.ndarray, y: Any) -> str:
    """Print what `examine` finds, each check when it is made; "" if all passed, else "1 of 5 checks failed".

    >>> print_checks(model, x, [10] * len(x))
    ✗ labels: ...
    '1 of 1 checks failed'
    """
    passed = []
    for check in examine(model, x, y):
        print(check, flush=True)
        passed.append(check.passed)
    return "" if all(passed) else f"{passed.count(False)} of {len(passed)} checks failed"


def check_labels(model: Any, x: np.ndarray, y: Any) -> Check:
    """One label per image, each a class of the model."""
    classes = model.shapes[-1][-1]
    try:
        if len(x) != len(y) or not len(x):
            raise ValueError(f"{len(x)} images and {len(y)} labels; expected one label per image")
        present = np.flatnonzero(one_hot(y, classes).any(axis=0))
    except ValueError as error:
        return Check(False, f"labels: {error}")
    which = f"all {classes} classes" if len(present) == classes else f"classes {numbers(present)} of {classes}"
    return Check(True, f"labels: {len(x):,} images, {which}")


def numbers(present: Sequence[int] | np.ndarray) -> str:
    """[0, 1, 2] -> "0 to 2"; [0, 2] -> "0, 2"."""
    together = len(present) == present[-1] - present[0] + 1
    return f"{present[0]} to {present[-1]}" if together else ", ".join(map(str, present))


def check_input_scale(model: Any, x: np.ndarray) -> Check:
    """The input of the first layer after Rescale has a scale of about 1, as the initial weights assume."""
    if isinstance(model.layers[0], Rescale):
        x = model.layers[0].scale * x.astype(np.float64) + model.layers[0].offset
    with np.errstate(invalid="ignore"):  # `passed` below finds nan and inf
        mean, spread = float(x.mean(dtype=np.float64)), float(x.std(dtype=np.float64))
    passed = bool(np.isfinite(x).all() and abs(mean) <= 5 and 0.01 <= spread <= 5)
    advice = "" if passed else ". Put Rescale() first, with a scale that brings the numbers near 1"
    return Check(passed, f"input: mean {mean:.3g}, spread {spread:.3g}, within {x.min():.3g} to {x.max():.3g}{advice}")


def check_first_loss(model: Any, x: np.ndarray, y: np.ndarray) -> Check:
    """An untrained model cannot prefer a class: its loss is log(classes)."""
    classes = model.shapes[-1][-1]
    loss, _ = SoftmaxCrossEntropy()(model.untrained_copy().forward(x, training=True), y)
    passed = abs(loss - math.log(classes)) <= UNDECIDED * math.log(classes)
    advice = "" if passed else ". The last layer's initial weights, or its inputs, are too large"
    return Check(passed, f"first loss: {loss:.3f} {'≈' if passed else 'is not near'} log {classes} = "
                         f"{math.log(classes):.3f}{advice}")  # fmt: skip


def check_engines(model: Any, x: np.ndarray, y: np.ndarray) -> Check:
    """The compiled layers compute the same loss as the textbook layers."""
    one, other = (
        SoftmaxCrossEntropy()(model.untrained_copy(engine).forward(x, training=True), y)[0]
        for engine in ("numba", "numpy")
    )
    passed = abs(one - other) <= SAME * abs(other)
    return Check(passed, f"engines: the compiled loss is {one:.6f}, the textbook's {other:.6f}")


def check_gradients(model: Any, x: np.ndarray, y: np.ndarray) -> Check:
    """backward is the derivative of forward, at a few places of each parameter, in float64."""
    exact = model.untrained_copy("numpy", np.float64)
    x = x + np.random.default_rng(0).random(x.shape) * np.std(x)  # equal pixels would be ties in a max-pool
    try:
        worst = gradcheck(exact, x, tolerance=EXACT, labels=y, entries=ENTRIES, verbose=False)
    except GradientError as error:
        return Check(False, f"gradients: {error}")
    return Check(True, f"gradients: {ENTRIES} entries per array differ from finite differences by {worst.error:.0e}")


def check_one_batch(model: Any, x: np.ndarray, y: np.ndarray) -> Check:
    """A network that cannot overfit one small batch will not learn a large data set."""
    loss, steps = overfit_one_batch(model, x, y, STEPS)
    passed = loss <= BY_HEART * math.log(model.shapes[-1][-1])
    result = f"memorised in {steps} steps" if passed else f"not memorised in {steps} steps"
    return Check(passed, f"one batch: {len(x)} images {result}, loss {loss:.3f}")


def overfit_one_batch(model: Any, x: np.ndarray, y: np.ndarray, steps: int) -> tuple[float, int]:
    """Overfit a copy to one batch, without dropout, until its loss is small; the last loss and the number of steps."""
    copy, optimizer, loss = model.untrained_copy(), Adam(1e-3), math.inf
    for layer in copy.network.parts():
        if isinstance(layer, Dropout):
            layer.rate = 0.0
    target = BY_HEART * math.log(model.shapes[-1][-1])
    with suppress(TrainingDivergedError):  # then the previous loss counts
        while optimizer.steps < steps and not loss <= target:
            loss = train_step(copy, SoftmaxCrossEntropy(), optimizer, x, y)
    return loss, optimizer.steps
