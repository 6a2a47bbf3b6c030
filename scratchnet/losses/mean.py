"""The mean over a batch of what each example's loss is, and of its gradient; and the rows that a loss expects."""

from __future__ import annotations

from typing import Any

import numpy as np


def mean_of(values: np.ndarray, gradients: np.ndarray) -> tuple[float, np.ndarray]:
    """L = Σ l_i / n and dL/dz = dl_i/dz_i / n, of each example's l (n,) and its gradient (n, k)."""
    n = len(values)
    return values.sum(dtype=np.float64) / n, gradients / n


def expect_rows(outputs: np.ndarray, labels: np.ndarray) -> None:
    """Raise ValueError unless these are a row of outputs and a label for each of one or more examples."""
    if outputs.ndim != 2 or not len(outputs):
        raise ValueError(
            f"expected logits (n, classes) of at least one example, got {outputs.shape}. "
            "A model ends with Dense(classes)."
        )
    if np.shape(labels)[:1] != outputs.shape[:1]:
        raise ValueError(f"{len(outputs)} rows of logits but labels of shape {np.shape(labels)}")


def as_targets(labels: np.ndarray, k: int, dtype: np.dtype) -> np.ndarray:
    """A target (n, k) for each output: the labels themselves, or class numbers (n,) as rows of 0 and 1.

    With one output, labels (n,) are its targets.

    >>> as_targets(np.array([2, 0]), 3, np.dtype("float32"))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim == 1 and k == 1:
        labels = labels[:, None]
    if labels.ndim == 2 and labels.shape[1] == k and labels.dtype.kind in "buif":
        return labels.astype(dtype, copy=False)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be numbers of shape (n, {k}), one for each output, or class numbers, integers of shape (n,); "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    return rows_of(labels, k, dtype)


def rows_of(labels: np.ndarray, k: int, dtype: Any) -> np.ndarray:
    """Class numbers (n,) as rows (n, k) of 0 and 1, or a ValueError if one is not a class."""
    if labels.size and not (0 <= labels.min() and labels.max() < k):
        raise ValueError(
            f"labels must lie in 0..{k - 1}, got {labels.min()}..{labels.max()}. "
            "The last Dense layer needs one unit per class."
        )
    return np.eye(k, dtype=dtype)[labels]
