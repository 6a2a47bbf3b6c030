"""Smooth activations: the sigmoid and what is made of it, and GELU.

    sigmoid    σ(x) = 1 / (1 + e⁻ˣ)          σ' = σ (1 - σ)
    tanh       tanh x = 2 σ(2x) - 1          tanh' = 1 - tanh²
    SiLU       x σ(x), also called swish     σ + x σ (1 - σ)               Elfwing, Uchibe, Doya 2017 (arXiv 1702.03118)
    GELU       x Φ(x)                        Φ + x φ                       Hendrycks, Gimpel 2016 (arXiv 1606.08415)
    softmax    p_k = e^{x_k} / Σ_j e^{x_j}   ∂p_k/∂x_j = p_k ([j = k] - p_j)

Φ and φ are the distribution function and the density of the standard normal distribution.

Sigmoid and tanh level off on both sides. There the derivative is nearly 0, and in a deep network the product of many
such derivatives vanishes: ReLU replaced them. SiLU and GELU are smooth relatives of ReLU: nearly x for a large x,
nearly 0 for a very negative one. NaN stays NaN.
"""

from __future__ import annotations

import math

import numpy as np

from scratchnet.layers.base import Context, Layer
from scratchnet.layers.error_function import erf


def sigmoid(x: np.ndarray) -> np.ndarray:
    """σ(x) = 1 / (1 + e⁻ˣ) = eˣ / (1 + eˣ): of the two forms, the one whose exponent is not positive.

    >>> sigmoid(np.array([0.0, 1000.0, -1000.0]))
    array([0.5, 1. , 0. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


class Sigmoid(Layer):
    """y = σ(x), between 0 and 1, element by element.

    Backward: dx = dy y (1 - y).

    Any shape; no input is an error.

    >>> Sigmoid().forward(np.array([0.0, 2.0]), Context())[0].round(3)
    array([0.5  , 0.881])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        y = sigmoid(x)
        return y, y

    def backward(self, dy: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy * y * (1 - y), {}


class Tanh(Layer):
    """y = tanh(x), between -1 and 1, element by element.

    Backward: dx = dy (1 - y²).

    Any shape; no input is an error.

    >>> Tanh().forward(np.array([0.0, 2.0]), Context())[0].round(3)
    array([0.   , 0.964])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        y = np.tanh(x)
        return y, y

    def backward(self, dy: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy * (1 - y * y), {}


class SiLU(Layer):
    """y = x σ(x), element by element; also called swish.

    Backward: dx = dy (σ + x σ (1 - σ)).

    Any shape; no input is an error.

    >>> SiLU().forward(np.array([-2.0, 0.0, 2.0]), Context())[0].round(3)
    array([-0.238,  0.   ,  1.762])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        s = sigmoid(x)
        return x * s, (x, s)

    def backward(
        self, dy: np.ndarray, cache: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        x, s = cache
        return dy * (s + x * s * (1 - s)), {}


class GELU(Layer):
    """y = x Φ(x) with Φ(x) = (1 + erf(x / √2)) / 2, element by element.

    Backward: dx = dy (Φ + x φ) with φ = exp(-x²/2) / √(2π).

    This is the exact form, the default of Keras and PyTorch too. Their approximation by tanh differs by up to 5e-4.

    Any shape; no input is an error.

    >>> GELU().forward(np.array([-2.0, 0.0, 2.0]), Context())[0].round(3)
    array([-0.046,  0.   ,  1.954])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        Phi = 0.5 * (1 + erf(x * math.sqrt(0.5)))
        return x * Phi, (x, Phi)

    def backward(
        self, dy: np.ndarray, cache: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        x, Phi = cache
        phi = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return dy * (Phi + x * phi), {}


class Softmax(Layer):
    """p = e^x / Σ e^x over the last axis: numbers of 0 or more that sum to 1.

    Backward: dx_j = Σ_k dp_k p_k ([j = k] - p_j) = p_j (dp_j - Σ_k dp_k p_k).

    A classifier does not end with it: SoftmaxCrossEntropy works on the numbers before softmax, where nothing is lost
    to rounding, and `predict` applies softmax.

    Any shape; no input is an error.

    >>> Softmax().forward(np.array([[0.0, 0.0], [1000.0, 0.0]]), Context())[0]
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        return p, p

    def backward(self, dp: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return p * (dp - (dp * p).sum(axis=-1, keepdims=True)), {}
