"""ReLU: the bend that makes a network more than one linear map.

Without something non-linear between them, two matrix products are one matrix product.
"""

from __future__ import annotations

import numpy as np

from scratchnet.layers.base import Context, Layer


class ReLU(Layer):
    """y = max(x, 0), element by element.

    Backward: dx = dy where x > 0, and 0 elsewhere. At x = 0 the slope is taken to be 0.

    >>> ReLU().forward(np.array([-1.0, 0.0, 2.0]), Context())[0]
    array([0., 0., 2.])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        return np.maximum(x, 0), x > 0

    def backward(self, dy: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy * positive, {}
