"""Exercise 6: where the gradient of a max-pool goes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.layers.base import Context
from scratchnet.layers.pool import MaxPool2D
from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises.draw import convolutions


def maxpool_backward(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """The gradient of y = max over each window of x, with respect to x.

    dy: (n, out_h, out_w, c). x: (n, h, w, c), the input of forward. The windows are size × size and lie side by side;
    rows and columns that fill no whole window are in none. Each channel has windows of its own.
    Returns dx: (n, h, w, c).

    If several numbers of a window are the largest, the first of them has won: the upper one, then the left one.

    >>> maxpool_backward(np.array([[[[3.0]]]]), np.array([1.0, 7, 2, 0]).reshape(1, 2, 2, 1), 2).ravel()
    array([0., 3., 0., 0.])
    """
    raise NotImplementedError


def pooling(x: np.ndarray, size: int) -> MaxPool2D:
    """The library's layer, built for x."""
    layer = MaxPool2D(size)
    layer.build(x.shape[1:], np.random.default_rng(0))
    return layer


def textbook(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """The library's layer."""
    layer = pooling(x, size)
    return layer.backward(dy, layer.forward(x, Context())[1])[0]


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Numbers from 0 to 3: most windows have ties. Odd sizes leave a rest."""
    for s in convolutions(rng):
        size = max(s.k_h, s.k_w, 2)
        h, w = max(s.h, size), max(s.w, size)
        x = rng.integers(0, 4, (s.n, h, w, s.c)).astype(float)
        yield rng.standard_normal((s.n, h // size, w // size, s.c)), x, size


def spread(dy: np.ndarray, x: np.ndarray, size: int, share: np.ndarray) -> np.ndarray:
    """dy times `share` of each place of its window, (n, out_h, out_w, size², c), back in the shape of x."""
    n, out_h, out_w, c = dy.shape
    inside = (dy[:, :, :, None] * share).reshape(n, out_h, out_w, size, size, c)
    dx = np.zeros(x.shape)
    dx[:, : out_h * size, : out_w * size] = inside.transpose(0, 1, 3, 2, 4, 5).reshape(n, out_h * size, out_w * size, c)
    return dx


def values(x: np.ndarray, size: int) -> np.ndarray:
    """(n, out_h, out_w, size², c): the numbers of each window."""
    n, h, w, c = x.shape
    cut = x[:, : h // size * size, : w // size * size].reshape(n, h // size, size, w // size, size, c)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // size, w // size, size * size, c)


def ties_all_win(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Where several numbers are equally large, each of them gets the whole gradient, which multiplies it. Only the
    first one has won."""
    found = values(x, size)
    return spread(dy, x, size, found == found.max(axis=3, keepdims=True))


def ties_share(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Ties share the gradient. That is a valid choice; but here, as in most libraries, the first one gets all of it."""
    found = values(x, size)
    largest = found == found.max(axis=3, keepdims=True)
    return spread(dy, x, size, largest / largest.sum(axis=3, keepdims=True))


def last_tie_wins(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Of several equally large numbers the last one wins; it is to be the first. Compare with > instead of >=."""
    found = values(x, size)[:, :, :, ::-1]
    first = np.arange(size * size)[:, None] == found.argmax(axis=3, keepdims=True)
    return spread(dy, x, size, first[:, :, :, ::-1])


def spread_evenly(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """The gradient is spread over the window, as average pooling does it. Only the largest number can change y."""
    return spread(dy, x, size, np.full(size * size, 1 / size**2)[:, None])


def copied_to_all(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """Each number of a window gets the gradient. Only the largest can change y; the others get exactly 0."""
    return spread(dy, x, size, np.ones(size * size)[:, None])


def ones_at_the_winners(dy: np.ndarray, x: np.ndarray, size: int) -> np.ndarray:
    """The winners get 1: that is dy/dx. The chain rule multiplies it with dy."""
    first = np.arange(size * size)[:, None] == values(x, size).argmax(axis=3, keepdims=True)
    return spread(np.ones_like(dy), x, size, first)


EXERCISE = Exercise(
    number=6, lesson=6, title="the gradient of a max-pool", stub=maxpool_backward, outputs=("dx",), textbook=textbook,
    cases=cases, library="layers/pool.py: MaxPool2D.backward",
    loss=lambda dy, x, size: (dy * pooling(x, size).forward(x, Context())[0]).sum(), gradients={"dx": "x"},
    mistakes=(ties_all_win, ties_share, last_tie_wins, spread_evenly, copied_to_all, ones_at_the_winners),
)  # fmt: skip
