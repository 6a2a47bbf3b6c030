"""Binary cross-entropy, from logits: a yes or no for each output by itself.

An output z is a logit: p = σ(z) = 1 / (1 + e⁻ᶻ) is the probability of a yes. With t = 1 for yes and 0 for no,

    l = -t log p - (1 - t) log (1 - p) = max(z, 0) - z t + log(1 + e^{-|z|})              dl/dz = p - t

and the mean over the outputs. The second form has no logarithm of a small number and no large exponential: logits of
±10,000 are fine. One output decides between two classes. Several outputs are independent of each other: an image may
show a cat and a dog, and softmax, whose probabilities sum to 1, could not say so.
"""

from __future__ import annotations

import numpy as np

from scratchnet.losses.mean import as_targets, expect_rows, mean_of


def sigmoid(z: np.ndarray) -> np.ndarray:
    """σ(z) = 1 / (1 + e⁻ᶻ) = eᶻ / (1 + eᶻ): of the two forms, the one whose exponent is not positive.

    >>> sigmoid(np.array([0.0, 1000.0, -1000.0]))
    array([0.5, 1. , 0. ])
    """
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


class BinaryCrossEntropy:
    """loss(logits, labels) -> (value, dlogits); value is the mean over the batch and the outputs, as in Keras.

    logits: (n, k). labels: 0 or 1, or a probability, of shape (n, k), with one output also (n,); or class numbers (n,).

    Raises ValueError for labels and logits that do not belong together.

    >>> value, dlogits = BinaryCrossEntropy()(np.array([[0.0]]), np.array([1]))
    >>> round(float(value), 4), dlogits
    (0.6931, array([[-0.5]]))
    """

    outputs = "sigmoid"

    def __repr__(self) -> str:
        return "BinaryCrossEntropy()"

    def each(self, logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each example's loss (n,), and its gradient (n, k)."""
        expect_rows(logits, labels)
        k = logits.shape[1]
        t = as_targets(labels, k, logits.dtype)
        if t.size and not (0 <= t.min() and t.max() <= 1):
            raise ValueError(
                f"labels of a binary cross-entropy must be 0 or 1, or between them; got {t.min():g} to {t.max():g}. "
                "For -1 and 1 pass y > 0; for other numbers loss=MeanSquaredError()"
            )
        values = np.maximum(logits, 0) - logits * t + np.log1p(np.exp(-np.abs(logits)))
        return values.mean(axis=1, dtype=np.float64), (sigmoid(logits) - t) / k

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        return mean_of(*self.each(logits, labels))

    def right(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The share of the outputs that are on the right side of p = 1/2, (n,)."""
        t = as_targets(labels, logits.shape[1], logits.dtype)
        return ((logits > 0) == (t > 0.5)).mean(axis=1)

    def classifies(self, labels: np.ndarray, k: int) -> bool:
        """Whether an output is right or wrong."""
        return True
