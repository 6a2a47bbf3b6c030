"""Which examples a step sees: index arrays, and nothing else.

A split, an epoch and a batch are all arrays of positions in the data set. The data is never moved or copied
for them, and each is a pure function of its seed: epoch 7 has the same order in a run that was interrupted
after epoch 6 as in one that was not.

Each use of a seed adds a number of its own: two uses that drew the same random numbers would be correlated.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np

SPLIT, EPOCH = 0x5B117, 0xE50C8  # two arbitrary numbers that no other use of a seed has


def train_val_split(labels: np.ndarray, val: float | int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a validation set in which each class has its share -> (train_index, val_index), both sorted.

    labels: (n,), any classes. val: the number of examples to hold out, an integer from 0 to n - 1, or their
    fraction, below 1. Each class contributes in proportion, rounded down or up so that the sum is exact.

    Raises ValueError if the share or the number that is held out leaves one of the two parts empty.

    >>> train, val = train_val_split(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 2, seed=0)
    >>> len(train), len(val)
    (6, 2)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(
            f"train_val_split: expected labels of shape (n,), n at least 1, got {labels.shape}. "
            "Convert one-hot labels with labels.argmax(axis=1)."
        )
    n = len(labels)
    n_val = _count(val, n)

    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    exact = sizes * n_val / n
    share = np.floor(exact).astype(int)
    largest_remainders = np.argsort(share - exact, kind="stable")[: n_val - share.sum()]
    share[largest_remainders] += 1

    shuffled = _generator(seed, SPLIT).permutation(n)
    held_out = np.zeros(n, bool)
    for label, count in enumerate(share):
        held_out[shuffled[classes[shuffled] == label][:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits the n examples: a permutation that depends on seed and epoch only.

    >>> sorted(epoch_order(4, seed=0, epoch=7).tolist())
    [0, 1, 2, 3]
    """
    return _generator(seed, EPOCH, epoch).permutation(n)


def batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Cut an order into batches, views of `batch_size` indices each; the last may be shorter.

    >>> [batch.tolist() for batch in batches(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    if batch_size < 1:
        raise ValueError(f"batches: expected a batch_size of at least 1, got {batch_size}")
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def _generator(seed: int, *purpose: int) -> np.random.Generator:
    """Random numbers for one purpose."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


def _count(val: float | int, n: int) -> int:
    """The number of examples that `val` means, a count or a fraction; at least one remains for training."""
    if isinstance(val, Integral) and not isinstance(val, bool) and 0 <= val < n:
        return int(val)
    if isinstance(val, Real) and not isinstance(val, Integral) and 0 <= val < 1:
        return min(round(val * n), n - 1)
    raise ValueError(
        f"train_val_split: expected a count from 0 to {n - 1} or a fraction below 1.0, got {val!r}. "
        "Some examples must be left to train on."
    )
