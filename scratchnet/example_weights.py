"""class_weight and sample_weight of `fit`: the weight of each example in the loss.

    w_i = class_weight[y_i] · sample_weight_i              a class or an argument that is missing counts 1

See `scratchnet.losses.weighted` for what a weight does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.losses import LOSSES, Loss


def example_weights(
    class_weight: Any, sample_weight: Any, y: np.ndarray, examples: int, loss: Loss, outputs: int
) -> np.ndarray | None:
    """A weight for each label of y, (n,); None if all count the same.

    examples: how many the user passed; the weights of those behind the n-th, which are held out, are not used.
    outputs: the model's. Raises ValueError, TypeError for weights that do not fit.
    """
    if class_weight is None and sample_weight is None:
        return None
    if not hasattr(loss, "each"):
        known = ", ".join(sorted({kind.__name__ for kind in LOSSES.values()}))
        raise TypeError(
            "class_weight and sample_weight need a loss that gives each example's by itself, as "
            f"{known} do: a loss of your own must weight its examples itself"
        )
    w = np.ones(len(y))
    if class_weight is not None:
        w *= of_classes(class_weight, y, outputs)
    if sample_weight is not None:
        w *= of_examples(sample_weight, examples)[: len(y)]
    if not w.any():
        raise ValueError("all weights are 0: no example would count")
    return w


def of_classes(class_weight: Any, y: np.ndarray, outputs: int) -> np.ndarray:
    """The weight of each label's class. class_weight: class number -> weight.

    >>> of_classes({1: 2.5}, np.array([0, 1, 1]), outputs=2)
    array([1. , 2.5, 2.5])
    """
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"class_weight must be a dict, {{class number: weight}}, got {class_weight!r}. To balance classes: "
            "classes, counts = np.unique(y, return_counts=True); "
            "class_weight=dict(zip(classes, len(y) / (len(classes) * counts)))"
        )
    classes = max(outputs, 2)  # of one output, no and yes
    numbers = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y))
    if y.ndim == 2 and y.shape[1] > 1 and not (y.sum(axis=1) == 1).all():
        raise ValueError("class_weight needs one class for each example; several outputs of an example are 1 here")
    if not np.isin(numbers, np.arange(classes)).all():
        raise ValueError("class_weight needs labels that are classes; for other numbers pass sample_weight")
    table = np.ones(classes)
    for key, value in class_weight.items():
        if isinstance(key, bool) or not isinstance(key, int | np.integer) or not 0 <= key < classes:
            raise ValueError(
                f"class_weight has the key {key!r}; the model's classes are the integers 0 to {classes - 1}"
            )
        table[key] = weights(value, f"class_weight[{key}]", ())
    return table[numbers.astype(np.int64)]


def of_examples(sample_weight: Any, examples: int) -> np.ndarray:
    """sample_weight as an array of a number for each example."""
    return weights(sample_weight, "sample_weight", (examples,))


def weights(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """`value` as an array of this shape of finite numbers of 0 or more, or an error."""
    array = np.asarray(value)
    if array.dtype.kind not in "buif" or array.shape != shape:
        expected = f"one number for each of the {shape[0]:,} examples" if shape else "a number"
        got = f"{array.dtype} of shape {array.shape}" if array.ndim else repr(value)
        if isinstance(value, dict):
            got += ". For a weight of each class: class_weight"
        raise ValueError(f"{name} must be {expected}, got {got}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{name} must be finite and 0 or more, got {array.min():g} to {array.max():g}")
    return array.astype(np.float64)
