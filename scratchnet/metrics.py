"""How good are the answers? Everything here comes from two things: the probabilities that a model gave,
(n, classes), and the true labels, (n,).

The *confusion matrix* counts predictions by true class, C[true, predicted]. Its diagonal counts the right ones:

    accuracy = Σ C[k, k] / n        precision_k = C[k, k] / Σ_i C[i, k]        recall_k = C[k, k] / Σ_j C[k, j]

of all that was called k, how much was k; of all that was k, how much was called so. An accuracy measured on n
examples is itself uncertain, by about 0.2 points for 99 % of 10,000; `wilson_interval` says how much, and
`mcnemar` whether two models differ by more than chance. `calibration` asks whether a model that is 90 % sure is
right nine times in ten.

Where a fraction is 0/0 (the precision of a class that was never predicted, the recall of one that has no
examples) it counts as 0. Averages over classes leave out classes without examples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

BINS = 15  # of confidence; the number that Guo et al. used


def check(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays that belong together, or a ValueError that says why they do not."""
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            "metrics: expected probabilities (n, classes) and class numbers (n,), got "
            f"{probabilities.shape} and {labels.dtype} {labels.shape}. One-hot labels: labels.argmax(axis=1)."
        )
    if not len(labels):
        raise ValueError("metrics: nothing to measure, there are no examples")
    classes = probabilities.shape[1]
    if not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(f"metrics: labels from {labels.min()} to {labels.max()} for a model of {classes} classes")
    if not np.isfinite(probabilities).all():
        raise ValueError("metrics: there are probabilities that are no numbers. The model's parameters are damaged.")
    return probabilities, labels.astype(np.int64)


def confusion_matrix(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes): C[i, j] examples of class i were taken for class j.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    pairs = np.asarray(true, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


class ClassScores(NamedTuple):
    """One number per class, each array (classes,)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray  # examples of the class


def class_scores(confusion: np.ndarray) -> ClassScores:
    """Precision, recall and F1 = 2 · precision · recall / (precision + recall) of every class.

    >>> class_scores(np.array([[3, 1], [0, 4]])).recall
    array([0.75, 1.  ])
    """
    right, predicted, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    f1 = fraction(2 * right, predicted + support)  # the same, without 0/0 where only one of the two is 0
    return ClassScores(fraction(right, predicted), fraction(right, support), f1, support)


def averages(scores: ClassScores) -> dict[str, dict[str, float]]:
    """{"macro": every class counts the same, "weighted": every example does}; classes without examples do not."""
    asked = scores.support > 0
    weights = {"macro": asked.astype(float), "weighted": scores.support.astype(float)}
    return {
        name: {what: float(np.average(getattr(scores, what), weights=w)) for what in ("precision", "recall", "f1")}
        for name, w in weights.items()
    }


def fraction(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 for 0/0."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole != 0)


def most_confused(confusion: np.ndarray, top: int = 10) -> list[tuple[int, int, int]]:
    """(true, predicted, how often), the most frequent first; of equals the one that stands first in the matrix.

    >>> most_confused(np.array([[5, 2, 0], [1, 5, 0], [0, 3, 5]]), top=2)
    [(2, 1, 3), (0, 1, 2)]
    """
    mistakes = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-mistakes, axis=None, kind="stable")[:top]
    cells = (np.unravel_index(cell, mistakes.shape) for cell in order)
    return [(int(i), int(j), int(mistakes[i, j])) for i, j in cells if mistakes[i, j]]


def wilson_interval(right: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The shares of right answers that are compatible with `right` of `n` (Wilson 1927, doi 10.2307/2276774).

    All p from which the observed share p̂ is at most z standard errors away, |p̂ - p| ≤ z √(p (1 - p) / n):

        (p̂ + z²/2n ± z √(p̂ (1 - p̂)/n + z²/4n²)) / (1 + z²/n)        z = 1.96 for 95 %

    It never leaves [0, 1], and 10,000 of 10,000 is not certainty. Without examples it is (0, 1).

    >>> low, high = wilson_interval(9900, 10000)
    >>> f"{low:.4f} to {high:.4f}"
    '0.9879 to 0.9918'
    """
    if not 0 <= right <= n:
        raise ValueError(f"wilson_interval: expected from 0 to n right answers, got {right} of {n}")
    if n == 0:
        return 0.0, 1.0
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), right / n
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max((middle - half) / (1 + z * z / n), 0.0), min((middle + half) / (1 + z * z / n), 1.0)


class McNemar(NamedTuple):
    """The comparison of two models on the same examples."""

    only_a: int  # examples that a had right and b wrong
    only_b: int
    p_value: float  # the chance of a difference at least as large between two equally good models


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> McNemar:
    """Is one of two models better on the same examples, or was it chance? (McNemar 1947, doi 10.1007/BF02295996)

    right_a, right_b: (n,) booleans, whether each had the example right. Only examples on which they differ carry
    information. If both were equally good, each such example would be a fair coin: the exact two-sided test is

        p = min(1, 2 Σ_{k ≤ min(only_a, only_b)} C(m, k) / 2^m)        m = only_a + only_b

    >>> mcnemar(np.array([1, 1, 1, 1, 1, 0], bool), np.array([0, 0, 0, 0, 0, 1], bool))
    McNemar(only_a=5, only_b=1, p_value=0.21875)
    """
    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"mcnemar: expected two answers to each of the same examples, got {a.shape} and {b.shape}")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    m, term, tail = only_a + only_b, 1, 0
    for k in range(min(only_a, only_b) + 1):
        tail += term  # term = C(m, k), in exact integers
        term = term * (m - k) // (k + 1)
    return McNemar(only_a, only_b, min(1.0, 2 * tail / 2**m))


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy in bins of equal width; bins without examples have 0 in both."""

    edges: np.ndarray  # (bins + 1,)
    count: np.ndarray  # (bins,) examples, by the confidence of their prediction
    confidence: np.ndarray  # (bins,) its mean
    accuracy: np.ndarray  # (bins,) the share that was right
    error: float  # Σ count / n · |accuracy - confidence|


def calibration(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Calibration:
    """Is the model as often right as it believes? The expected calibration error (Guo et al. 2017, arXiv 1706.04599).

    An example lies in bin b if b/bins < confidence ≤ (b + 1)/bins, the confidence being its largest probability.

    >>> calibration(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1]), bins=5).error.round(2)
    np.float64(0.3)
    """
    probabilities, labels = check(probabilities, labels)
    confidence, right = probabilities.max(axis=1).astype(float), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    b = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(b, minlength=bins)
    mean = fraction(np.bincount(b, confidence, bins), count)
    accuracy = fraction(np.bincount(b, right, bins), count)
    return Calibration(edges, count, mean, accuracy, (count * abs(accuracy - mean)).sum() / len(labels))


@dataclass(frozen=True)
class Example:
    """One example and what the model said about it."""

    index: int  # its place in the data set
    true: int
    predicted: int
    p_true: float
    p_predicted: float
    loss: float  # -log p_true; at most 87, where float32 ends


def examples(probabilities: np.ndarray, labels: np.ndarray, indices: Iterable[int]) -> list[Example]:
    """The named examples as rows of a table.

    >>> examples(np.array([[0.5, 0.25, 0.25]]), np.array([2]), [0])[0].p_true
    0.25
    """
    probabilities, labels = check(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    loss = losses(probabilities, labels)
    rows = ((int(i), int(labels[i]), int(predicted[i])) for i in indices)
    return [
        Example(i, y, k, float(probabilities[i, y]), float(probabilities[i, k]), float(loss[i])) for i, y, k in rows
    ]


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log p of the true class, (n,); a probability of 0 counts as the smallest float32."""
    p = probabilities[np.arange(len(labels)), labels].astype(float)
    return -np.log(np.maximum(p, float(np.finfo(np.float32).tiny)))


def top_losses(probabilities: np.ndarray, labels: np.ndarray, top: int = 25) -> list[Example]:
    """The examples that surprised the model most: the largest losses first.

    >>> [e.index for e in top_losses(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]), top=1)]
    [1]
    """
    probabilities, labels = check(probabilities, labels)
    return examples(probabilities, labels, np.argsort(-losses(probabilities, labels), kind="stable")[:top])


def confident_mistakes(probabilities: np.ndarray, labels: np.ndarray, top: int = 25) -> list[Example]:
    """Wrong answers, those the model was surest of first."""
    probabilities, labels = check(probabilities, labels)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:top]
    return examples(probabilities, labels, surest)


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """All of it as plain data, ready for JSON: what `metrics.json` holds about the test set.

    >>> measure(np.array([[0.9, 0.1], [0.3, 0.7], [0.8, 0.2]]), np.array([0, 1, 1]))["most_confused"]
    [{'true': 1, 'predicted': 0, 'count': 1}]
    """
    probabilities, labels = check(probabilities, labels)
    n, classes = probabilities.shape
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = predicted == labels
    confusion = confusion_matrix(labels, predicted, classes)
    scores = class_scores(confusion)
    return {
        "accuracy": float(right.mean()),
        "accuracy_interval": list(wilson_interval(int(right.sum()), n)),
        "examples": n,
        "mistakes": int(n - right.sum()),
        "classes": [ClassScores(*row)._asdict() for row in zip(*(s.tolist() for s in scores), strict=True)],
        **averages(scores),
        "never_predicted": np.flatnonzero((confusion.sum(axis=0) == 0) & (scores.support > 0)).tolist(),
        "without_examples": np.flatnonzero(scores.support == 0).tolist(),
        "confusion_matrix": confusion.tolist(),
        "most_confused": [dict(zip(("true", "predicted", "count"), c, strict=True)) for c in most_confused(confusion)],
        "confidence_when_right": float(confidence[right].mean()) if right.any() else None,
        "confidence_when_wrong": float(confidence[~right].mean()) if not right.all() else None,
        "calibration_error": float(calibration(probabilities, labels).error),
        "top_losses": [asdict(e) for e in top_losses(probabilities, labels)],
        "confident_mistakes": [asdict(e) for e in confident_mistakes(probabilities, labels)],
    }
