"""Softmax cross-entropy, from logits.

The network's last layer gives one number per class, the logits z. Softmax turns them into probabilities,
cross-entropy is the surprise about the true class y:

    p_k = exp(z_k) / Σ_j exp(z_j)               L = -log p_y = log Σ_j exp(z_j) - z_y

The gradient of both together is simple, prediction minus truth:

    dL/dz_k = p_k - [k = y]

Computed separately it would be 0/0 for confident predictions. Subtracting max z from all logits changes nothing
in exact arithmetic and keeps every exp at or below 1: logits of ±10,000 are fine.

With one-hot labels t instead of a class number, L = log Σ exp(z) - Σ t_k z_k and dL/dz = p - t. Label
smoothing replaces t by (1 - s) t + s / classes: no target is certain (arXiv 1512.00567).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.keywords import explained
from scratchnet.losses.mean import expect_rows, mean_of, rows_of


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log p, (n, classes): z - max z - log Σ exp(z - max z)."""
    z = logits - logits.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, (n, classes); each row sums to 1.

    >>> softmax(np.array([[0.0, 0.0], [10000.0, -10000.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    z = np.exp(logits - logits.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def one_hot(labels: np.ndarray, classes: int, dtype: Any = "float32") -> np.ndarray:
    """Class numbers (n,) -> (n, classes), 1 at the class and 0 elsewhere; one-hot labels pass through.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim == 2:
        if labels.shape[1] != classes:
            raise ValueError(f"one-hot labels of {labels.shape[1]} classes for a model of {classes} classes")
        if not np.abs(labels.sum(axis=1, dtype=np.float64) - 1).max(initial=0) <= 1e-3:
            raise ValueError("each row of one-hot labels must sum to 1: they are probabilities")
        return labels.astype(dtype, copy=False)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "labels must be class numbers, integers of shape (n,), or one-hot of shape (n, classes); "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    return rows_of(labels, classes, dtype)


class SoftmaxCrossEntropy:
    """loss(logits, labels) -> (value, dlogits); value is the mean over the batch.

    logits: (n, classes). labels: integers (n,) or one-hot (n, classes). label_smoothing: s, in [0, 1).

    Raises ValueError for labels that are not classes, and for shapes that do not belong together.

    >>> value, dlogits = SoftmaxCrossEntropy()(np.zeros((1, 4)), np.array([3]))
    >>> round(float(value), 4), dlogits
    (1.3863, array([[ 0.25,  0.25,  0.25, -0.75]]))
    """

    outputs = "softmax"

    @explained
    def __init__(self, label_smoothing: float = 0.0):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing!r}")
        self.label_smoothing = float(label_smoothing)

    def __repr__(self) -> str:
        return f"SoftmaxCrossEntropy({f'label_smoothing={self.label_smoothing}' if self.label_smoothing else ''})"

    def each(self, logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each example's loss (n,), and its gradient (n, classes)."""
        expect_rows(logits, labels)
        classes = logits.shape[1]
        t = one_hot(labels, classes, logits.dtype)
        t = (1 - self.label_smoothing) * t + self.label_smoothing / classes
        log_p = log_softmax(logits)
        return -(t * log_p).sum(axis=1, dtype=np.float64), np.exp(log_p) - t

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        return mean_of(*self.each(logits, labels))

    def right(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether the largest logit is that of the class, (n,)."""
        return logits.argmax(axis=1) == (labels.argmax(axis=1) if labels.ndim == 2 else labels)

    def classifies(self, labels: np.ndarray, k: int) -> bool:
        """Whether an output is right or wrong."""
        return True
