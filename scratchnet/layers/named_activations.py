"""activation="relu": two layers, written as one.

Keras' layers take the activation behind them as an argument. Here it is a layer like any other; the argument only
saves a line. `Sequential` and `Residual` make a layer of it (`row.expanded`): a model has both layers, and so has its
file. On its own, outside of them, such a layer cannot be run: half of what it says would be missing.
"""

from __future__ import annotations

from typing import Any

from scratchnet.layers.activation import ELU, LeakyReLU, ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.smooth_activations import GELU, Sigmoid, SiLU, Softmax, Tanh

ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU, "leaky_relu": LeakyReLU, "elu": ELU, "gelu": GELU, "silu": SiLU, "swish": SiLU, "sigmoid": Sigmoid,
    "tanh": Tanh, "softmax": Softmax,
}  # fmt: skip


def as_activation(value: Any, layer: str) -> str | None:
    """The name of an activation; None for None and "linear", which is none.

    >>> as_activation("tanh", "Dense"), as_activation("linear", "Dense")
    ('tanh', None)
    """
    name = value.lower() if isinstance(value, str) else value
    if name is None or name == "linear":
        return None
    if isinstance(name, str) and name in ACTIVATIONS:
        return name
    known = ", ".join(map(repr, ("linear", *ACTIVATIONS)))
    raise (ValueError if isinstance(value, str) else TypeError)(
        f"{layer} activation must be one of {known}, or None; got {value!r}. Any other is a layer of its own behind "
        f"it: [{layer}(...), LeakyReLU(0.1)]"
    )


def expect_expanded(layer: Any) -> None:
    """Raise ValueError if this layer's activation has not become a layer of its own."""
    if layer.activation is not None:
        name, kind = type(layer).__name__, ACTIVATIONS[layer.activation].__name__
        raise ValueError(
            f"{name}: activation={layer.activation!r} becomes a layer of its own in a Sequential or a Residual. "
            f"Alone, write both: {name}(...) and {kind}()"
        )
