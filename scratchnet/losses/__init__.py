"""Losses: what is minimised. loss(outputs, labels) -> (value, doutputs), the mean over the batch and its gradient.

    softmax_cross_entropy     classes of which one is right                the model's outputs are logits
    binary_cross_entropy      yes or no, for each output by itself         logits
    mean_squared_error        numbers                                      the numbers themselves
    weighted                  the same, with a weight for each example

The three are the log-likelihoods of a categorical, a Bernoulli and a normal distribution, up to a factor. With respect
to what the model gives, each has the same simple gradient, prediction minus truth.

A loss also says what the outputs mean: `outputs` names what makes predictions of them ("softmax", "sigmoid" or
"linear"). `fit` tells the model, so that `predict` answers accordingly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.losses.binary_cross_entropy import BinaryCrossEntropy, sigmoid
from scratchnet.losses.mean_squared_error import MeanSquaredError
from scratchnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy, log_softmax, one_hot, softmax
from scratchnet.losses.weighted import WeightedLoss, weighted, without_weights

Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]  # (outputs, labels) -> (value, doutputs)

BUILT_IN = SoftmaxCrossEntropy | BinaryCrossEntropy | MeanSquaredError
LOSSES: dict[str, type[BUILT_IN]] = {
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "categorical_crossentropy": SoftmaxCrossEntropy,
    "sparse_categorical_crossentropy": SoftmaxCrossEntropy,
    "binary_crossentropy": BinaryCrossEntropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
}
# What the outputs of a model mean -> the loss that `evaluate` computes where none is given.
USUAL: dict[str, type[BUILT_IN]] = {
    loss.outputs: loss for loss in (SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError)
}

# The same -> the function that makes predictions of them.
PREDICTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": softmax, "sigmoid": sigmoid, "linear": lambda outputs: outputs,
}  # fmt: skip

__all__ = [
    "BinaryCrossEntropy", "Loss", "LOSSES", "MeanSquaredError", "PREDICTIONS", "SoftmaxCrossEntropy", "USUAL",
    "WeightedLoss", "as_loss", "log_softmax", "one_hot", "sigmoid", "softmax", "weighted",
    "without_weights",
]  # fmt: skip


def as_loss(value: Any) -> Loss:
    """A function (outputs, labels) -> (value, doutputs) as it is; the loss of a name; SoftmaxCrossEntropy for None.

    Keras has two names for softmax cross-entropy, of which one is for one-hot labels; here both kinds of labels are
    accepted.

    >>> as_loss("mse")
    MeanSquaredError()
    """
    if value is None:
        return SoftmaxCrossEntropy()
    if isinstance(value, str) and value.lower() in LOSSES:
        return LOSSES[value.lower()]()
    if isinstance(value, type):
        raise TypeError(f"loss is the class {value.__name__}. Make one of it: loss={value.__name__}()")
    if not callable(value):
        raise TypeError(
            f"loss must be one of {', '.join(map(repr, LOSSES))}, a loss such as SoftmaxCrossEntropy("
            f"label_smoothing=0.1), or a function (logits, labels) -> (value, dlogits); got {value!r}"
        )
    return value
