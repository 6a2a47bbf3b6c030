"""Divergence: detect a NaN or infinite loss at the step where it occurs, and name the layer where it began.

One NaN spreads: through the next convolution to all its outputs, backward to all gradients, and after the
update every parameter is NaN. The loss is computed at every step and depends on everything before it, so it alone
is checked at every step, before the update. If it is not finite, and before a file is written, every array is
searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.layers import Context

ADVICE = "Try a smaller learning rate"


class TrainingDivergedError(ArithmeticError):
    """A loss, a parameter or what an optimizer remembers became NaN or infinite.

    step: the number of the optimizer's step, from 1. layer: the name of the first layer concerned, as in
    `model.names`, or None if it is no layer (the images, the loss).

    It is an ArithmeticError.

    >>> model.fit(np.full((8, 28, 28), np.inf), y, epochs=1, verbose=False)
    Traceback (most recent call last):
    scratchnet.divergence.TrainingDivergedError: the training has diverged at step ...
    """

    def __init__(self, message: str, step: int = 0, layer: str | None = None):
        super().__init__(message)
        self.step, self.layer = step, layer


def check_finite(model: Any, optimizer: Any) -> None:
    """Raise if a parameter, a statistic or a moment is not finite. Called before saving."""
    memory = {
        f"{name} ({slot} of {type(optimizer).__name__})": array
        for name, arrays in optimizer.memory.items()
        for slot, array in zip(optimizer.slots, arrays, strict=True)
    }
    for name, array in {**model.parameters(), **model.state(), **memory}.items():
        if not np.isfinite(array).all():
            layer = layer_of(name)
            raise TrainingDivergedError(
                f"the training has diverged: after step {optimizer.steps} {in_words(model, layer)} is the first whose "
                f"{name.removeprefix(layer)[1:]} is not finite ({share(array)}). {ADVICE}.",
                step=optimizer.steps,
                layer=layer,
            )


def explain(model: Any, x: np.ndarray, rng: Any, value: float, step: int) -> TrainingDivergedError:
    """The error for a batch whose loss is not finite. It names the first layer with such an output.

    x: the batch. rng: the step's, or None for an evaluation. Forward again, layer by layer, on the textbook's layers;
    in training that moves the statistics of the model.
    """
    begin = f"the training has diverged at step {step}: the loss is {value}"
    for name, array in model.parameters().items():
        if not np.isfinite(array).all():
            layer = layer_of(name)
            where = f"{in_words(model, layer)} is the first whose {name.rpartition('.')[2]} is not finite"
            message = f"{begin}. {where} ({share(array)}). {ADVICE}."
            return TrainingDivergedError(message, step=step, layer=layer)
    bad = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))
    if len(bad):
        message = f"{begin}. The images themselves are not finite: example {bad[0]} of the batch ({share(x)})"
        message += f"; {in_words(model, model.names[0])} is the first that gets them."
        return TrainingDivergedError(message, step=step, layer=model.names[0])
    x, ctx = model.check_input(x), Context(training=rng is not None, rng=rng)
    with np.errstate(all="ignore"):
        for name, _, y in model.backend.activations(x, ctx):
            if not np.isfinite(y).all():
                where = f"{in_words(model, name)} is the first whose output is not finite"
                return TrainingDivergedError(f"{begin}. {where} ({share(y)}). {ADVICE}.", step=step, layer=name)
    message = f"{begin}, though the logits are finite: look at the labels and at the loss."
    return TrainingDivergedError(message, step=step)


def layer_of(name: str) -> str:
    """1.conv2d.W -> 1.conv2d"""
    return ".".join(name.split(".")[:2])


def in_words(model: Any, layer: str) -> str:
    """1.conv2d -> layer 1 (Conv2D)"""
    index = model.names.index(layer)
    return f"layer {index} ({type(model.layers[index]).__name__})"


def share(array: np.ndarray) -> str:
    """The share of its numbers that are not finite."""
    return f"{np.count_nonzero(~np.isfinite(array)):,} of {array.size:,} numbers"
