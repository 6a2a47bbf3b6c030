"""Dense: every output sees every input.

    y = x · W + b

The gradients follow from y_nj = Σ_i x_ni W_ij + b_j and the chain rule:

    dW_ij = Σ_n dy_nj ∂y_nj/∂W_ij = Σ_n x_ni dy_nj       dW = xᵀ · dy
    dx_ni = Σ_j dy_nj ∂y_nj/∂x_ni = Σ_j dy_nj W_ij       dx = dy · Wᵀ
    db_j  = Σ_n dy_nj

The shapes leave no other way to multiply them.
"""

from __future__ import annotations

import numpy as np

from scratchnet.initializers import get_initializer
from scratchnet.layers.base import Layer, integer, show_shape


class Dense(Layer):
    """y = x · W + b: (n, features) -> (n, units).

    units: number of outputs. W: (features, units), by default Glorot uniform; b: (units,), zeros.

    >>> dense = Dense(10)
    >>> dense.build((128,), np.random.default_rng(0))
    (10,)
    """

    def __init__(self, units, use_bias=True, initializer="glorot"):
        self.units = integer(units, "Dense units", 1)
        self.use_bias = bool(use_bias)
        self.initializer = initializer
        self.initialize = get_initializer(initializer)
        self.params = ("W", "b") if self.use_bias else ("W",)

    def build(self, input_shape, rng):
        if len(input_shape) != 1:
            raise ValueError(
                f"Dense: expects flat input (n, features), got {show_shape(input_shape)}. Put Flatten() before it."
            )
        features = input_shape[0]
        self.W = self.initialize(rng, (features, self.units), features, self.units, self.dtype)
        if self.use_bias:
            self.b = np.zeros(self.units, self.dtype)
        return (self.units,)

    def forward(self, x, ctx):
        y = x @ self.W  # (n, units)
        if self.use_bias:
            y += self.b
        return y, x

    def backward(self, dy, x):
        grads = {"W": x.T @ dy}  # (features, units)
        if self.use_bias:
            grads["b"] = dy.sum(axis=0)
        return dy @ self.W.T, grads

    def multiply_adds(self, input_shape, output_shape):
        return input_shape[0] * self.units
