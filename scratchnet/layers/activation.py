"""ReLU and its relatives: the bend that makes a network more than one linear map.

Without something non-linear between them, two matrix products are one matrix product. The activations of this file
pass positive numbers as they are, with a gradient of 1, however deep the network. They differ in what a negative
number becomes:

    ReLU         0             a unit that is negative for every example has no gradient any more
    LeakyReLU    s x           a small slope s keeps it alive           Maas, Hannun, Ng 2013 (ICML)
    ELU          α (eˣ - 1)    bends softly, levels off at -α           Clevert et al. 2015 (arXiv 1511.07289)

At x = 0 the derivative from the left is taken. NaN stays NaN.
"""

from __future__ import annotations

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, at_least_zero


class ReLU(Layer):
    """y = max(x, 0), element by element.

    Backward: dx = dy where x > 0, and 0 elsewhere. At x = 0 the slope is taken to be 0.

    Any shape; no input is an error.

    >>> ReLU().forward(np.array([-1.0, 0.0, 2.0]), Context())[0]
    array([0., 0., 2.])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        return np.maximum(x, 0), x > 0

    def backward(self, dy: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy * positive, {}


class LeakyReLU(Layer):
    """y = x where x > 0, and s x elsewhere.

    Backward: dx = dy where x > 0, and s dy elsewhere.

    slope: s, 0 or more. 0.01 is PyTorch's default and the paper's value; Keras' default is 0.3.

    Any shape. Raises ValueError for a negative slope.

    >>> LeakyReLU(0.1).forward(np.array([-1.0, 0.0, 2.0]), Context())[0]
    array([-0.1,  0. ,  2. ])
    """

    @explained
    def __init__(self, slope: float = 0.01):
        self.slope = at_least_zero(slope, "LeakyReLU slope")

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        positive = x > 0
        return np.where(positive, x, self.slope * x), positive

    def backward(self, dy: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return np.where(positive, dy, self.slope * dy), {}


class ELU(Layer):
    """y = x where x > 0, and α (eˣ - 1) elsewhere.

    Backward: dx = dy where x > 0, and dy α eˣ elsewhere.

    alpha: α, 0 or more. With α = 1 the slope has no jump at 0.

    Any shape. Raises ValueError for a negative alpha.

    >>> ELU().forward(np.array([-1.0, 0.0, 2.0]), Context())[0].round(3)
    array([-0.632,  0.   ,  2.   ])
    """

    @explained
    def __init__(self, alpha: float = 1.0):
        self.alpha = at_least_zero(alpha, "ELU alpha")

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0))), x  # eˣ of a large x would overflow

    def backward(self, dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy * np.where(x > 0, 1, self.alpha * np.exp(np.minimum(x, 0))), {}
