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
from scratchnet.keywords import explained
from scratchnet.layers.base import Context, Layer, Shape, at_least_zero, flag, integer, show_shape
from scratchnet.layers.named_activations import as_activation, expect_expanded


class Dense(Layer):
    """y = x · W + b: (n, features) -> (n, units).

    units: number of outputs. W: (features, units), by default Glorot uniform; b: (units,), zeros.
    activation: the name of an activation that a model puts behind it, "relu" for instance.
    l2: λ of the penalty λ Σ W², whose gradient 2 λ W is added to dW in training; as Keras' regularizers.L2(λ).

    Raises ValueError for input that is not flat; the message says where Flatten() belongs.

    >>> dense = Dense(10)
    >>> dense.build((128,), np.random.default_rng(0))
    (10,)
    """

    added = ("activation", "l2")

    @explained
    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        initializer: str = "glorot",
        activation: str | None = None,
        l2: float = 0.0,
    ):
        self.units = integer(units, "Dense units", 1)
        self.use_bias = flag(use_bias, "Dense use_bias")
        self.initializer = initializer
        self.initialize = get_initializer(initializer)
        self.activation = as_activation(activation, "Dense")
        self.l2 = at_least_zero(l2, "Dense l2")
        self.params = ("W", "b") if self.use_bias else ("W",)

    def compute_shapes(self, input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
        if len(input_shape) != 1:
            raise ValueError(
                f"Dense: expects flat input (n, features), got {show_shape(input_shape)}. Put Flatten() before it."
            )
        shapes = {"W": (input_shape[0], self.units), "b": (self.units,)}
        return (self.units,), {name: shapes[name] for name in self.params}

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        output_shape, shapes = self.compute_shapes(input_shape)
        features, units = shapes["W"]
        self.W = self.initialize(rng, shapes["W"], features, units, self.dtype)
        if self.use_bias:
            self.b = np.zeros(shapes["b"], self.dtype)
        return output_shape

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
        expect_expanded(self)
        y = x @ self.W  # (n, units)
        if self.use_bias:
            y += self.b
        return y, x

    def backward(self, dy: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        grads = {"W": x.T @ dy}  # (features, units)
        if self.use_bias:
            grads["b"] = dy.sum(axis=0)
        return dy @ self.W.T, grads

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        return input_shape[0] * self.units
