"""Whitening initialisation: the first filters are the principal components of image patches.

Neighbouring pixels are nearly equal, so most random filters give nearly the same response, and the first layer spends
its first steps on learning to respond to differences. These directions can be computed from the images without
labels. With p the centred patches under the filters, as vectors,

    C = E[p pᵀ] = V Λ Vᵀ        w_i = v_i / √(λ_i + ε)        i = 1, 2, ... from the largest λ on

the responses w_i · p are uncorrelated and have variance 1 ("white"). ε keeps noisy directions from being amplified.
Each filter occurs twice, as w and as -w, because the ReLU after it passes only half of each response.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from scratchnet.callbacks.base import Callback
from scratchnet.layers import Context, Conv2D

IMAGES = 2000  # training images from which the patches are taken; two thousand are enough


class WhitenedStart(Callback):
    """Before the first step, replace the first convolution's weights by whitening filters of the training images.

    epsilon: ε above, relative to the variance of the convolution's inputs. If there are more filters than twice the
    entries of a patch, the others keep their initial values. Skipped when resuming.

    `fit` raises ValueError for a model without Conv2D, and for one that is frozen.

    >>> callbacks = [WhitenedStart()]  # for model.fit(x, y, callbacks=callbacks)
    """

    arguments = ("epsilon",)

    def __init__(self, epsilon: float = 1.0):
        if not epsilon > 0:
            raise ValueError(f"WhitenedStart: epsilon must be positive, got {epsilon!r}")
        self.epsilon = float(epsilon)

    def on_train_begin(self, run: Any) -> None:
        if run.optimizer.steps:
            return
        model, x = run.model, run.x[:IMAGES]
        first = next((i for i, layer in enumerate(model.layers) if isinstance(layer, Conv2D)), None)
        if first is None:
            raise ValueError("WhitenedStart: the model has no Conv2D")
        if not model.layers[first].trainable:
            raise ValueError(f"WhitenedStart: {model.names[first]} is frozen. Leave out the callback, or unfreeze it")
        for _, _, y in islice(model.backend.activations(x, Context()), first):
            x = y
        whiten(model.layers[first].W, x, self.epsilon)


def whiten(W: np.ndarray, x: np.ndarray, epsilon: float) -> None:
    """Replace filters W (k_h, k_w, c, filters), in place, by pairs w, -w from their inputs x (n, h, w, c)."""
    k_h, k_w, c, filters = W.shape
    w = whitening_filters(patches(x, k_h, k_w), epsilon)[: filters // 2]  # (components, k_h·k_w·c)
    pairs = np.concatenate([w, -w])
    W[..., : len(pairs)] = pairs.T.reshape(k_h, k_w, c, len(pairs))


def patches(x: np.ndarray, k_h: int, k_w: int) -> np.ndarray:
    """(patches, k_h·k_w·c): the k_h×k_w patches of images (n, h, w, c), at every other row and column."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (k_h, k_w), axis=(1, 2))[:, ::2, ::2]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k_h * k_w * x.shape[-1])


def whitening_filters(p: np.ndarray, epsilon: float) -> np.ndarray:
    """(components, size): v_i / √(λ_i + ε) for patches (n, size), largest λ first, ε relative to the mean variance."""
    C = np.atleast_2d(np.cov(p, rowvar=False))
    eigenvalues, V = np.linalg.eigh(C)  # in ascending order
    w = V / np.sqrt(eigenvalues + epsilon * np.trace(C) / len(C))
    return w.T[::-1]
