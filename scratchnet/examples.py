"""Data as scikit-learn's users pass it: tables, lists, images; labels of any type.

An estimator there checks its input itself. The error messages contain the words that scikit-learn's own tests expect.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np


def as_rows(X: Any) -> np.ndarray:
    """X as an array (n, features), (n, h, w) or (n, h, w, c) of finite real numbers."""
    if hasattr(X, "toarray"):
        raise TypeError("sparse data is not supported. Make an array of it: X.toarray()")
    rows = np.asarray(X)
    if rows.dtype.kind in "OUS":
        rows = rows.astype(np.float64)
    if rows.dtype.kind == "c":
        raise ValueError("Complex data not supported: X must hold real numbers")
    if not 2 <= rows.ndim <= 4:
        raise ValueError(
            f"expected images (n, h, w) or features (n, features), got an array of shape {rows.shape}. Reshape your "
            "data: X.reshape(1, -1) for a single example, X.reshape(-1, 1) for a single feature"
        )
    if not len(rows) or not flat_features(rows):
        raise ValueError(
            f"Found array with {len(rows)} sample(s) and {flat_features(rows)} feature(s) (shape={rows.shape}) while a "
            "minimum of 1 is required."
        )
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        raise ValueError("X contains NaN or infinity. Replace them first: np.nan_to_num(X)")
    return rows


def flat_features(rows: np.ndarray) -> int:
    """How many numbers an example has."""
    return math.prod(rows.shape[1:])


def as_classes(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and the number of each label's class.

    >>> classes, numbers = as_classes(["b", "a", "b"])
    >>> classes.tolist(), numbers.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    if y is None:
        raise ValueError("ImageClassifier requires y to be passed, but the target y is None")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        message = f"A column-vector y was passed when a 1d array was expected: {labels.shape}. Pass y.ravel()"
        warnings.warn(message, conversion_warning(), stacklevel=3)
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {labels.shape} instead.")
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise ValueError("Input y contains NaN or infinity.")
        if (labels != np.floor(labels)).any():
            raise ValueError("Unknown label type: continuous. The labels of a classifier are classes")
    return np.unique(labels, return_inverse=True)


def labelled(rows: np.ndarray, numbers: np.ndarray) -> None:
    """Raise ValueError if there is not one label for each example."""
    if len(rows) != len(numbers):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{len(rows)}, {len(numbers)}]")


def not_fitted(message: str) -> Exception:
    """scikit-learn's NotFittedError, or where it is not installed one of our own with the same bases."""
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return NotFitted(message)
    return NotFittedError(message)


class NotFitted(ValueError, AttributeError):
    """A prediction was asked for before `fit`."""


def conversion_warning() -> type[Warning]:
    """scikit-learn's DataConversionWarning, or UserWarning where it is not installed."""
    try:
        from sklearn.exceptions import DataConversionWarning
    except ImportError:
        return UserWarning
    return DataConversionWarning
