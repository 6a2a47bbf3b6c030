"""A start that has seen the images: the first filters as the principal components of their patches.

Neighbouring pixels are nearly equal, so most random filters see nearly the same thing, and the first layer spends its
first steps on learning to look for differences. What it would look for can be read from the images without a label:
with p the patches that the filters meet, as vectors without their mean,

    C = E[p pᵀ] = V Λ Vᵀ        w_i = v_i / √(λ_i + ε)        i = 1, 2, ... from the largest λ on

the responses w_i · p are uncorrelated and of variance 1 ("white"). ε keeps directions that are little more than
noise from being magnified. Each filter comes twice, as w and as -w: the ReLU behind lets only half of each through.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from scratchnet.callbacks.base import Callback
from scratchnet.layers import Context, Conv2D

IMAGES = 2000  # of the training set, from which the patches are taken: two thousand images say enough


class WhitenedStart(Callback):
    """Before the first step, replace the first convolution's weights by whitening filters of the training images.

    epsilon: ε above, in units of the variance that the convolution's inputs have. If there are more filters than
    twice the numbers of a patch, the others stay as they are. A training that goes on is left alone.

    >>> callbacks = [WhitenedStart()]  # for model.fit(x, y, callbacks=callbacks)
    """

    arguments = ("epsilon",)

    def __init__(self, epsilon: float = 1.0):
        if not epsilon > 0:
            raise ValueError(f"WhitenedStart: epsilon must be positive, got {epsilon!r}")
        self.epsilon = float(epsilon)

    def on_train_begin(self, run):
        if run.optimizer.steps:
            return
        model, x = run.model, run.x[:IMAGES]
        first = next((i for i, layer in enumerate(model.layers) if isinstance(layer, Conv2D)), None)
        if first is None:
            raise ValueError("WhitenedStart: the model has no Conv2D")
        for _, _, y in islice(model.backend.activations(x, Context()), first):
            x = y
        whiten(model.layers[first].W, x, self.epsilon)


def whiten(W: np.ndarray, x: np.ndarray, epsilon: float) -> None:
    """Replace filters W (k_h, k_w, c, filters) by pairs w, -w for images (n, h, w, c) that meet them, in place."""
    k_h, k_w, c, filters = W.shape
    w = whitening_filters(patches(x, k_h, k_w), epsilon)[: filters // 2]  # (components, k_h·k_w·c)
    pairs = np.concatenate([w, -w])
    W[..., : len(pairs)] = pairs.T.reshape(k_h, k_w, c, len(pairs))


def patches(x: np.ndarray, k_h: int, k_w: int) -> np.ndarray:
    """(patches, k_h·k_w·c): what a k_h×k_w filter meets on images (n, h, w, c), at every other row and column."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (k_h, k_w), axis=(1, 2))[:, ::2, ::2]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k_h * k_w * x.shape[-1])


def whitening_filters(p: np.ndarray, epsilon: float) -> np.ndarray:
    """(components, size): v_i / √(λ_i + ε) for patches (n, size), from the largest λ on, ε in mean variances."""
    C = np.atleast_2d(np.cov(p, rowvar=False))
    eigenvalues, V = np.linalg.eigh(C)  # in ascending order
    w = V / np.sqrt(eigenvalues + epsilon * np.trace(C) / len(C))
    return w.T[::-1]
