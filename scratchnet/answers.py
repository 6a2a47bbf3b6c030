"""What a model says about images, to look at: pictures with their predictions, and who is taken for whom.

    answers = Predictions(model, x_test, y_test)
    answers                 in a notebook: the surest mistakes first, each with its picture
    answers.confusion       in a notebook: a table; the diagonal is right

Printed in a terminal, both are text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnet import html, metrics

SHOWN = 12  # pictures


class ConfusionMatrix:
    """Counts of predictions by true class: counts[true, predicted].

    counts: (classes, classes). class_names: one for each class; by default their numbers.
    Raises ValueError if counts is not square, or the names are not as many as the classes.

    >>> matrix = ConfusionMatrix(np.array([[3, 1], [0, 4]]), ["cat", "dog"])
    >>> print(matrix)
    true \\ predicted  cat  dog  recall
    cat                 3    1   75.0%
    dog                 0    4  100.0%
    >>> matrix.accuracy
    0.875
    """

    def __init__(self, counts: np.ndarray, class_names: Sequence[Any] | None = None):
        self.counts = np.asarray(counts)
        if self.counts.ndim != 2 or self.counts.shape[0] != self.counts.shape[1]:
            raise ValueError(f"ConfusionMatrix: expected counts (classes, classes), got {self.counts.shape}")
        names = range(len(self.counts)) if class_names is None else class_names
        self.class_names = [str(name) for name in names]
        if len(self.class_names) != len(self.counts):
            raise ValueError(f"ConfusionMatrix: {len(self.class_names)} names for {len(self.counts)} classes")

    @property
    def accuracy(self) -> float:
        """The share of right answers; 0 without examples."""
        return float(self.counts.trace() / max(self.counts.sum(), 1))

    def rows(self) -> list[list[str]]:
        """A row for each true class: its name, the counts, its recall."""
        recall = metrics.class_scores(self.counts).recall
        return [
            [name, *map(str, line), f"{share:.1%}"]
            for name, line, share in zip(self.class_names, self.counts.tolist(), recall, strict=True)
        ]

    def __repr__(self) -> str:
        head = ["true \\ predicted", *self.class_names, "recall"]
        width = [max(len(line[i]) for line in (head, *self.rows())) for i in range(len(head))]
        lines = ([cell.rjust(w) for cell, w in zip(line, width, strict=True)] for line in (head, *self.rows()))
        return "\n".join("  ".join([line[0].strip().ljust(width[0]), *line[1:]]) for line in lines)

    def _repr_html_(self) -> str:
        return html.table(["true \\ predicted", *self.class_names, "recall"], self.rows())


class Predictions:
    """A model's answers for images, with their pictures.

    x: images, as `predict` takes them. y: their class numbers (n,), or None.
    probabilities: (n, classes). predicted: (n,). confusion: a ConfusionMatrix, with labels.
    Raises ValueError for images that the model does not take, and for labels that do not fit.

    >>> answers = Predictions(model, x, y)
    >>> answers.probabilities.shape, answers.predicted.shape, answers.confusion.counts.sum()
    ((8, 10), (8,), np.int64(8))
    """

    def __init__(self, model: Any, x: np.ndarray, y: Any = None):
        self.images = np.asarray(x)
        self.probabilities = model.predict(x)
        self.predicted = self.probabilities.argmax(axis=1)
        classes = self.probabilities.shape[1]
        self.class_names = [str(name) for name in model.class_names or range(classes)]
        self.labels = None
        if y is not None:
            _, self.labels = metrics.check(self.probabilities, np.asarray(y))

    @property
    def confusion(self) -> ConfusionMatrix:
        """Who is taken for whom. Raises ValueError without labels."""
        if self.labels is None:
            raise ValueError("Predictions: a confusion matrix needs the labels: Predictions(model, x, y)")
        counts = metrics.confusion_matrix(self.labels, self.predicted, len(self.class_names))
        return ConfusionMatrix(counts, self.class_names)

    def order(self) -> np.ndarray:
        """Which examples to look at: the surest mistakes first; without labels, the least sure answers."""
        sure = self.probabilities.max(axis=1)
        if self.labels is None:
            return np.argsort(sure, kind="stable")
        wrong = self.predicted != self.labels
        return np.argsort(np.where(wrong, -sure, 1 - sure), kind="stable")

    def line(self, i: int) -> str:
        """One answer in words."""
        said = f"{self.class_names[self.predicted[i]]} {self.probabilities[i].max():.1%}"
        if self.labels is None or self.labels[i] == self.predicted[i]:
            return said
        return f"{said}, is {self.class_names[self.labels[i]]}"

    def title(self) -> str:
        """How many are right."""
        n = len(self.predicted)
        if self.labels is None:
            return f"{n:,} images"
        right = int((self.predicted == self.labels).sum())
        return f"{right:,} of {n:,} images right, {right / n:.2%}"

    def __repr__(self) -> str:
        return "\n".join([self.title(), *(f"  image {i}: {self.line(i)}" for i in self.order()[:SHOWN])])

    def _repr_html_(self) -> str:
        cells = [
            f"<td>{html.picture(self.images[i], f'image {i}')}<br>{html.escape(self.line(i))}</td>"
            for i in self.order()[:SHOWN]
        ]
        rows = (cells[first : first + 6] for first in range(0, len(cells), 6))
        return f"<p>{self.title()}</p><table>{''.join(f'<tr>{chr(10).join(line)}</tr>' for line in rows)}</table>"
