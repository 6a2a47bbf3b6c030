"""Exercise 2: softmax cross-entropy, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.learn.exercise import Exercise
from scratchnet.losses import SoftmaxCrossEntropy


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean loss of a batch, and its gradient.

        p_k = exp(z_k) / Σ_j exp(z_j)          L = mean of -log p_y over the examples

    logits: z, (n, classes), also large ones such as ±1000. labels: y, (n,).
    Returns the value L and dlogits, dL/dz, (n, classes).

    >>> value, dlogits = softmax_cross_entropy(np.zeros((1, 4)), np.array([3]))
    >>> round(float(value), 4), dlogits
    (1.3863, array([[ 0.25,  0.25,  0.25, -0.75]]))
    """
    raise NotImplementedError


def textbook(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The library's loss."""
    return SoftmaxCrossEntropy()(logits, labels)


def cases(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of 1 to 6 examples; the last ones are certain, with logits up to ±1000."""
    for i in range(30):
        n, classes = int(rng.integers(1, 7)), int(rng.integers(2, 7))
        scale = 1000.0 if i > 25 else 2.0
        yield scale * rng.standard_normal((n, classes)), rng.integers(0, classes, n)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of each row."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def right(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient, from which the mistakes below differ in one place."""
    n, rows = len(logits), np.arange(len(logits))
    z = logits - logits.max(axis=1, keepdims=True)
    value = (np.log(np.exp(z).sum(axis=1)) - z[rows, labels]).mean()
    return value, (probabilities(logits) - np.eye(logits.shape[1])[labels]) / n


def gradient_not_divided_by_n(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The gradient is too large by a factor of n: the loss is a mean over the batch, so each example counts 1/n."""
    value, gradient = right(logits, labels)
    return value, gradient * len(logits)


def sum_instead_of_mean(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient are sums over the batch; they are to be means: divide both by n."""
    value, gradient = right(logits, labels)
    return value * len(logits), gradient * len(logits)


def overflowing_exponential(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """exp(1000) is infinite, and the result NaN. Subtract the largest logit of each row first: softmax is unchanged."""
    e = np.exp(logits)
    p = e / e.sum(axis=1, keepdims=True)
    value = -np.log(p[np.arange(len(p)), labels]).mean()
    return value, (p - np.eye(logits.shape[1])[labels]) / len(logits)


def logarithm_of_zero(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss is infinite where p has become 0. Take log p directly: z - max z - log Σ exp(z - max z)."""
    p = probabilities(logits)
    return -np.log(p[np.arange(len(p)), labels]).mean(), right(logits, labels)[1]


def softmax_over_the_batch(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The wrong axis: softmax sums over the classes of one example (axis 1), and not over the examples (axis 0)."""
    z = logits - logits.max(axis=0)
    log_p = z - np.log(np.exp(z).sum(axis=0))
    p = np.exp(log_p)
    value = -log_p[np.arange(len(p)), labels].mean()
    return value, (p - np.eye(logits.shape[1])[labels]) / len(logits)


def truth_minus_prediction(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The sign of the gradient is wrong: it is prediction minus truth, p - t."""
    value, gradient = right(logits, labels)
    return value, -gradient


def only_the_true_class(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Only the logit of the true class has a gradient; the others are in the denominator, and have p_k each."""
    value, gradient = right(logits, labels)
    return value, gradient * np.eye(logits.shape[1])[labels]


EXERCISE = Exercise(
    number=2, lesson=2, title="softmax cross-entropy and its gradient", stub=softmax_cross_entropy,
    outputs=("value", "dlogits"), textbook=textbook, cases=cases,
    library="losses/softmax_cross_entropy.py: SoftmaxCrossEntropy",
    loss=lambda logits, labels: textbook(logits, labels)[0], gradients={"dlogits": "logits"},
    mistakes=(
        gradient_not_divided_by_n, sum_instead_of_mean, overflowing_exponential, logarithm_of_zero,
        softmax_over_the_batch, truth_minus_prediction, only_the_true_class,
    ),
)  # fmt: skip
