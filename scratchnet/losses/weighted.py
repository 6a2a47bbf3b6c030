"""A weight for each example: some count more than others.

    L = Σ w_i l_i / n              as in Keras: divided by the number of examples, not by the sum of the weights

An example of weight 2 counts like two examples. Weights make a rare class count as much as a frequent one, or doubtful
labels less than certain ones.

A weight travels with its label: in one array, with two fields. So batches, chunks, checkpoints and the compiled engine
pass weights on without knowing of them; only the loss looks at both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.losses.mean import mean_of


def weighted(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """An array (n,) of labels with their weights: the fields "label" and "weight".

    >>> weighted(np.array([3, 1]), np.array([1.0, 0.5]))["weight"]
    array([1. , 0.5])
    """
    both = np.empty(len(labels), [("label", labels.dtype, labels.shape[1:]), ("weight", np.float64)])
    both["label"], both["weight"] = labels, weights
    return both


class WeightedLoss:
    """Another loss, with a weight for each example. labels: as `weighted` makes them.

    >>> labels = weighted(np.array([[3.0], [5.0]]), np.array([0.5, 1.0]))
    >>> float(WeightedLoss(MeanSquaredError())(np.array([[1.0], [5.0]]), labels)[0])
    1.0
    """

    def __init__(self, loss: Any):
        self.loss = loss

    def __call__(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        values, gradients = self.loss.each(outputs, labels["label"])
        w = labels["weight"]
        return mean_of(w * values, w.astype(gradients.dtype)[:, None] * gradients)


def without_weights(loss: Any, labels: np.ndarray) -> tuple[Any, np.ndarray]:
    """The loss and the labels of an evaluation, where all examples count the same."""
    plain = labels["label"] if labels.dtype.names else labels
    return (loss.loss if isinstance(loss, WeightedLoss) else loss), plain
