"""Mean squared error: for outputs that are numbers, not classes.

    l = 1/k Σ (z - t)²              dl/dz = 2/k (z - t)

with k outputs z and their targets t. Its minimum over all functions is the mean of the targets of equal inputs.

For classes, whose targets are rows of 0 and 1, it can be used too; but behind a sigmoid or a softmax its gradient
vanishes where the answer is confident and wrong, while that of cross-entropy is largest there.
"""

from __future__ import annotations

import numpy as np

from scratchnet.losses.mean import as_targets, expect_rows, mean_of


class MeanSquaredError:
    """loss(outputs, labels) -> (value, doutputs); value is the mean over the batch and the outputs, as in Keras.

    outputs: (n, k). labels: numbers (n, k), with one output also (n,); or class numbers (n,).

    >>> value, doutputs = MeanSquaredError()(np.array([[1.0], [5.0]]), np.array([3.0, 5.0]))
    >>> float(value), doutputs.tolist()
    (2.0, [[-2.0], [0.0]])
    """

    outputs = "linear"

    def __repr__(self) -> str:
        return "MeanSquaredError()"

    def each(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each example's loss (n,), and its gradient (n, k)."""
        expect_rows(outputs, labels)
        k = outputs.shape[1]
        difference = outputs - as_targets(labels, k, outputs.dtype)
        return np.square(difference, dtype=np.float64).mean(axis=1), 2 / k * difference

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        return mean_of(*self.each(outputs, labels))

    def right(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether the largest output is that of the class, (n,)."""
        return outputs.argmax(axis=1) == as_targets(labels, outputs.shape[1], outputs.dtype).argmax(axis=1)

    def classifies(self, labels: np.ndarray, k: int) -> bool:
        """Whether the labels are classes, so that an output is right or wrong: class numbers, or one-hot."""
        if k == 1 or labels.ndim == 1:
            return k > 1
        return bool((((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1)).all())
