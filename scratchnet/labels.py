"""The labels of a data set, as the loss takes them.

    class numbers    integers from 0, shape (n,) or (n, 1); also whole-number floats, and bools for two classes
    one-hot          (n, classes), each row a probability for every class

Files and other libraries have further habits: texts, classes that count from 1, -1 and 1. Each is an error here that
shows the line which converts it, because the class numbers decide what the model's outputs mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def as_labels(labels: Any, classes: int) -> np.ndarray:
    """Labels as class numbers (n,), or one-hot (n, classes) as they are.

    Raises ValueError for labels that are neither. Whether one-hot rows sum to 1 is checked by the loss.

    >>> as_labels([[0.0], [2.0]], classes=3)
    array([0, 2])
    """
    labels = without_objects(np.asarray(labels))
    if labels.ndim == 2 and labels.shape[1] == 1 and classes > 1:
        labels = labels[:, 0]
    if labels.dtype.kind in "US":
        raise ValueError(
            f"labels are texts ({', '.join(repr(str(text)) for text in labels.flat[:3])}, ...), the model has classes "
            f"0 to {classes - 1}. {how_to_number(labels)}"
        )
    if labels.ndim != 1:
        return labels
    if labels.dtype.kind == "b":
        labels = from_bools(labels, classes)
    elif labels.dtype.kind == "f":
        labels = from_floats(labels)
    elif labels.dtype.kind in "iu":
        labels = labels.astype(labels.dtype.newbyteorder("="), copy=False)
    check_range(labels, classes)
    return labels


def as_numbers_or_labels(labels: Any, outputs: int) -> np.ndarray:
    """Labels of a loss that has a target for each output: numbers (n, outputs), or class numbers (n,).

    With one output, numbers (n,) are its targets.

    >>> as_numbers_or_labels([[0.5], [2.5]], outputs=1)
    array([[0.5],
           [2.5]])
    """
    labels = without_objects(np.asarray(labels))
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"labels: {np.count_nonzero(~np.isfinite(labels)):,} of {labels.size:,} are NaN or infinite")
    is_target = labels.ndim == 2 and labels.shape[1] == outputs
    if labels.dtype.kind in "buif" and (is_target or (labels.ndim == 1 and outputs == 1)):
        return labels.astype(labels.dtype.newbyteorder("="), copy=False)
    return as_labels(labels, outputs)


def how_to_number(labels: np.ndarray) -> str:
    """The line that makes class numbers of texts."""
    if all(text.isdigit() for text in labels.flat):
        return "Each is a number: pass y.astype(int)"
    return (
        "Number them: names, y = np.unique(y, return_inverse=True), and keep the names: Sequential(..., "
        "class_names=names)"
    )


def without_objects(labels: np.ndarray) -> np.ndarray:
    """An array of Python objects, such as a column of a table, as the array that these objects make."""
    if labels.dtype.kind != "O" or not labels.size:
        return labels
    if any(isinstance(label, str) for label in labels.flat):
        return labels.astype(str)
    try:
        return np.array(labels.tolist())
    except ValueError:
        raise ValueError(f"labels differ in length: {labels.flat[0]!r}, {labels.flat[1]!r}, ...") from None


def from_bools(labels: np.ndarray, classes: int) -> np.ndarray:
    """False and True as the classes 0 and 1 of a model that has two."""
    if classes != 2:
        raise ValueError(
            f"labels are True or False, two classes, but the model has {classes}. End it with Dense(2), or pass class "
            "numbers"
        )
    return labels.view(np.uint8)


def from_floats(labels: np.ndarray) -> np.ndarray:
    """Whole-number floats as integers."""
    with np.errstate(invalid="ignore"):
        whole = labels == np.floor(labels)
    if not whole.all() or np.isinf(labels).any():
        first = int(np.flatnonzero(~whole | np.isinf(labels))[0])
        raise ValueError(
            f"labels must be class numbers; label {first} is {labels[first]}. For numbers that are no classes end the "
            'model with Dense(1) and pass loss="mse", or a function (outputs, labels) -> (value, doutputs)'
        )
    return labels.astype(np.int64)


def check_range(labels: np.ndarray, classes: int) -> None:
    """Raise ValueError for labels that count from 1, or are -1 and 1. Others out of range are the loss's error."""
    if labels.dtype.kind not in "iu" or not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    if low == 1 and high == classes:
        raise ValueError(f"labels run from 1 to {classes}; the model's classes are 0 to {classes - 1}. Pass y - 1")
    if low == -1 and high == 1 and classes == 2 and not (labels == 0).any():
        raise ValueError("labels are -1 and 1; the model's classes are 0 and 1. Pass y > 0")
