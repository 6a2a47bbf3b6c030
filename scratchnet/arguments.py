"""The arguments of `fit`, read: what may be passed in several forms, as the one that the loop works on.

examples         images and labels as arrays, or an error before the first step
validation       a pair, or a share of the training data
callbacks        one, several or none

The weights of classes and examples are read in `example_weights`.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from scratchnet.callbacks import Callback
from scratchnet.inputs import check_pixels, count
from scratchnet.labels import as_labels, as_numbers_or_labels
from scratchnet.layers import Sigmoid, Softmax
from scratchnet.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy

Pair = tuple[np.ndarray, np.ndarray]
PIECE = 2**20  # labels that are checked together


class Data(NamedTuple):
    """What a training run works on."""

    x: np.ndarray
    y: np.ndarray
    validation: Pair | None


def read_data(model: Any, x: Any, y: Any, loss: Loss, validation_data: Any, validation_split: float) -> Data:
    """Images and labels for training and for validation."""
    x, y = check_examples(model, x, y, loss=loss)
    if validation_data is None:
        return split(x, y, validation_split)
    if validation_split:
        raise ValueError("validation_data and validation_split were both given: one of them is enough")
    return Data(x, y, check_examples(model, *validation_pair(validation_data), loss=loss, what="validation_data: "))


def check_examples(model: Any, x: Any, y: Any, *, loss: Loss | None = None, what: str = "") -> Pair:
    """The data as arrays, or an error before the first step instead of after the first epoch."""
    loss = loss or SoftmaxCrossEntropy()
    expect_logits(model, loss)
    try:
        x, y = model.check_input(x), labels_for(loss, y, model.shapes[-1][-1])
        check_pixels(x, model.layers, finite=False)  # the training step reports NaN, with the layer
        if y.shape[:1] != x.shape[:1] or not len(x):
            raise ValueError(f"{len(x)} examples and labels of shape {y.shape}: expected one label per example")
        for start in range(0, len(y), PIECE):  # are the labels in range?
            some = y[start : start + PIECE]
            loss(np.zeros((len(some), *model.shapes[-1]), model.dtype), some)
    except ValueError as error:
        raise ValueError(f"{what}{error}") from None
    return x, y


def expect_logits(model: Any, loss: Loss) -> None:
    """Raise ValueError if the model ends with the function that the loss applies too."""
    last = model.layers[-1]
    pairs = ((Softmax, SoftmaxCrossEntropy, "softmax"), (Sigmoid, BinaryCrossEntropy, "the sigmoid"))
    for layer, kind, function in pairs:
        if isinstance(last, layer) and isinstance(loss, kind):
            name = type(last).__name__
            raise ValueError(
                f"the model ends with {name}(), but {kind.__name__} works on logits and applies {function} itself, "
                f'without loss of digits. Leave the {name}() out, or the activation="{name.lower()}" of the last '
                "layer; predict gives probabilities all the same"
            )


def labels_for(loss: Loss, y: Any, classes: int) -> np.ndarray:
    """The labels as an array. Labels for a user's own loss are passed unchanged."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return as_labels(y, classes)
    if isinstance(loss, BinaryCrossEntropy | MeanSquaredError):
        return as_numbers_or_labels(y, classes)
    return np.asarray(y)


def validation_pair(value: Any) -> tuple[Any, Any]:
    """(x, y), or an error that says which part is missing or one too many."""
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0], value[1]
    if isinstance(value, tuple | list) and len(value) == 3:
        raise ValueError("validation_data has three parts. Sample weights are for the training data only: pass (x, y)")
    got = f"an array of shape {value.shape}" if hasattr(value, "shape") else f"{type(value).__name__}"
    raise TypeError(f"validation_data must be a pair of images and labels, (x, y), got {got}")


def split(x: np.ndarray, y: np.ndarray, share: float) -> Data:
    """The last `share` of the examples for validation, the others for training; 0: all for training.

    >>> train_x, train_y, validation = split(np.zeros((10, 3)), np.arange(10) % 2, 0.2)
    >>> len(train_x), len(validation[0])
    (8, 2)
    """
    if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 <= share < 1:
        raise ValueError(
            f"validation_split is the share of the examples, from 0 to below 1, got {share!r}. "
            "For a number of examples use train_val_split(y, number)"
        )
    if share == 0:
        return Data(x, y, None)
    begin = int(len(x) * (1 - share))
    if not 0 < begin < len(x):
        raise ValueError(f"validation_split={share} leaves {begin} of {len(x)} examples for training")
    if y.ndim == 1 and len(unseen := np.setdiff1d(y[begin:], y[:begin])):
        warnings.warn(
            f"validation_split takes the last {len(x) - begin:,} examples, and class {unseen[0]} occurs only there. "
            "Is the data sorted? train_val_split(y, share) takes the same share of each class.",
            stacklevel=6,
        )
    return Data(x[:begin], y[:begin], (x[begin:], y[begin:]))


def as_callbacks(value: Any) -> list[Callback]:
    """Callbacks as a list; a single one need not be in a list, and None is an empty list.

    >>> as_callbacks(EarlyStopping())
    [EarlyStopping()]
    """
    if value is None:
        return []
    callbacks: list[Any] = [value] if isinstance(value, Callback | type | str) else list(value)
    for callback in callbacks:
        if isinstance(callback, type):
            raise TypeError(f"callbacks holds the class {callback.__name__}. Make one of it: {callback.__name__}()")
    return callbacks


def first_epoch(initial_epoch: Any, epochs: int) -> int:
    """The epoch to begin with, from 0. `epochs` counts from 0 too, not from there."""
    if initial_epoch == 0 and not isinstance(initial_epoch, bool):
        return 0
    if (first := count(initial_epoch, "initial_epoch")) >= epochs:
        raise ValueError(
            f"initial_epoch={first} with epochs={epochs}: no epoch is left. `epochs` is the number of the last one, "
            f"those before initial_epoch included: for {epochs} more pass epochs={first + epochs}"
        )
    return first
