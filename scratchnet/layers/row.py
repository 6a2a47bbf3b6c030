"""Layers in a row: what Sequential and Residual have in common.

names       0.conv2d, 1.batchnorm, ...: what the names of each layer's arrays begin with
checks      the same layer twice, a class in place of a layer
expansion   Conv2D(..., activation="relu") becomes Conv2D(...), ReLU()
running     forward through all of them; backward in the reverse order
"""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchnet.layers.base import Context, Layer, Shape
from scratchnet.layers.conv import Conv2D
from scratchnet.layers.dense import Dense
from scratchnet.layers.depthwise import DepthwiseConv2D
from scratchnet.layers.named_activations import ACTIVATIONS
from scratchnet.layers.smooth_activations import Sigmoid, Softmax

VALUE_LIMIT = 1 << 26  # numbers in one example, before or after any layer that a file asks for
Grads = dict[str, np.ndarray]


# names and checks


def as_layers(layers: Any) -> tuple[Layer, ...]:
    """The layers of a new model, activations given by name among them."""
    if isinstance(layers, Layer | type):
        raise TypeError("layers must be a list: Sequential([Flatten(), Dense(10)], input_shape=(28, 28, 1))")
    return expanded(layers)


def prefixes(layers: Sequence[Layer]) -> list[str]:
    """What the names of each layer's arrays begin with: 0.conv2d, 1.relu, ..."""
    return [f"{i}.{type(layer).__name__.lower()}" for i, layer in enumerate(layers)]


def named_parts(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Every layer by its name, and those within a Residual by what the names of their arrays begin with.

    >>> list(named_parts([ReLU(), Residual([ReLU(), Sigmoid()])]))
    ['0.relu', '1.residual', '1.residual.0.relu', '1.residual.1.sigmoid']
    """
    rows = zip(prefixes(layers), layers, strict=True)
    return {f"{name}.{inner}".rstrip("."): part for name, layer in rows for inner, part in layer.walk()}


def names_of(layers: Sequence[Layer], holds: Callable[[Layer], bool]) -> list[str]:
    """The names of the layers for which `holds`; that of a block, if it holds for all of its layers with parameters."""

    def of(name: str, layer: Layer) -> list[str]:
        leaves = [part for _, part in layer.walk() if not part.children()]
        if all(map(holds, [part for part in leaves if part.params] or leaves)):
            return [name]
        return [found for inner, child in layer.children().items() for found in of(f"{name}.{inner}", child)]

    return [found for name, layer in zip(prefixes(layers), layers, strict=True) for found in of(name, layer)]


def described(layers: Iterable[Layer]) -> list[dict[str, Any]]:
    """Each layer of an expanded row as plain data: its class, and its arguments by name."""
    return [{"class": type(layer).__name__, **layer.config()} for layer in map(without_activation, layers)]


@contextmanager
def at_layer(index: int, kind: str, advice: str = "", inside: str = "") -> Iterator[None]:
    """An error in a layer says which layer it is. advice: a sentence to end with. inside: where the row is."""
    try:
        yield
    except ValueError as error:
        message = f"{inside}layer {index} ({kind}): {str(error).removeprefix(f'{kind}: ')}"
        raise ValueError(f"{message.rstrip('.')}. {advice}" if advice else message) from None


def check_layers(layers: Sequence[Any]) -> None:
    """An error if one of these cannot be a layer of a new model, or stands in it twice, also within another one."""
    if not layers:
        raise ValueError("a model needs at least one layer")
    seen: set[int] = set()
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            hint = f" Write {layer.__name__}() with parentheses." if isinstance(layer, type) else ""
            raise TypeError(f"layer {index} must be a Layer, got {layer!r}.{hint}")
        kind, parts = type(layer).__name__, [part for _, part in layer.walk()]
        if seen & {id(part) for part in parts}:
            raise ValueError(f"layer {index} ({kind}) stands in the model twice. Make a second one.")
        if any(part.in_model for part in parts):
            raise ValueError(f"layer {index} ({kind}) belongs to another model. Make new layers for each model.")
        seen |= {id(part) for part in parts}


def expanded(layers: Iterable[Any]) -> tuple[Layer, ...]:
    """The layers, and behind each one with an activation this activation as a layer. The layers are not changed.

    >>> expanded([Dense(8, activation="relu"), Dense(2)])[1:]
    (ReLU(), Dense(units=2))
    """
    row: list[Layer] = []
    for layer in layers:
        row.append(layer)
        if has_activation(layer):
            row.append(ACTIVATIONS[layer.activation]())
    return tuple(row)


def has_activation(layer: Any) -> bool:
    """Whether an activation was given to this layer as an argument, and no model was built of it since."""
    return isinstance(layer, Conv2D | DepthwiseConv2D | Dense) and layer.activation is not None


def without_activation(layer: Any) -> Any:
    """The layer as it is, or a copy without its activation, which follows in the row."""
    if not has_activation(layer):
        return layer
    plain = copy.copy(layer)
    plain.activation = None
    return plain


def forget_activations(layers: Iterable[Layer]) -> None:
    """From now on the activations are layers of their own: called when a row of expanded layers is built."""
    for layer in layers:
        if has_activation(layer):
            layer.activation = None


def set_in_model(layers: Iterable[Layer], value: bool) -> None:
    """Say of the layers, and of all layers in them, whether they are part of a model."""
    forget_activations(layers := list(layers))
    for layer in layers:
        for _, part in layer.walk():
            part.in_model = value


# shapes


def shapes_of(layers: Sequence[Layer], input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
    """What building the row would make, as shapes: the output's, and each array's by name. Nothing is made."""
    shape, arrays = input_shape, dict[str, Shape]()
    for i, (layer, prefix) in enumerate(zip(layers, prefixes(layers), strict=True)):
        with at_layer(i, type(layer).__name__):
            expect_size(shape)
            shape, own = layer.compute_shapes(shape)
        arrays |= {f"{prefix}.{name}": size for name, size in own.items()}
    expect_size(shape)
    return shape, arrays


def expect_size(shape: Shape) -> None:
    """Raise ValueError for a shape of more numbers than VALUE_LIMIT."""
    if math.prod(shape) > VALUE_LIMIT:
        raise ValueError(f"{math.prod(shape):,} numbers per example, where {VALUE_LIMIT:,} are allowed")


def build(
    layers: Sequence[Layer], input_shape: Shape, rng_of: Callable[[Layer], np.random.Generator], dtype: np.dtype,
    advice: str = "",
) -> list[Shape]:  # fmt: skip
    """Build every layer for the shape that the one before it gives; all shapes, the input's first.

    rng_of: the generator for a layer's initial values. advice: a sentence for errors to end with.
    """
    shapes = [input_shape]
    for i, layer in enumerate(layers):
        layer.dtype = dtype
        with at_layer(i, type(layer).__name__, advice):
            shapes.append(layer.build(shapes[-1], rng_of(layer)))
    return shapes


def seeded_by_kind(seed: int) -> Callable[[Layer], np.random.Generator]:
    """A generator for each layer, seeded by its kind and its number among its kind: other layers may come and go."""
    kinds: dict[str, int] = {}

    def rng_of(layer: Layer) -> np.random.Generator:
        kind = type(layer).__name__
        kinds[kind] = kinds.get(kind, 0) + 1
        return np.random.default_rng([seed, zlib.crc32(kind.encode()), kinds[kind]])

    return rng_of


def usual_outputs(layers: Sequence[Layer]) -> str:
    """What the outputs of a model mean that was not trained: logits of classes, or what its last layer made of them."""
    return "linear" if isinstance(layers[-1], Softmax | Sigmoid) else "softmax"


# running


def forward(layers: Sequence[Any], x: np.ndarray, ctx: Context) -> tuple[np.ndarray, list[Any]]:
    """x -> y, and the caches of all layers, or of an engine's stages. Of no layers, x itself."""
    caches = []
    for layer in layers:
        x, cache = layer.forward(x, ctx)
        caches.append(cache)
    return x, caches


def backward(layers: Sequence[Layer], dy: np.ndarray, caches: list[Any]) -> tuple[np.ndarray, Grads]:
    """dy -> dx, and the gradient of each parameter by its name in the row."""
    grads: Grads = {}
    for layer, prefix, cache in reversed(list(zip(layers, prefixes(layers), caches, strict=True))):
        dy, own = layer.backward(dy, cache)
        grads |= {f"{prefix}.{name}": g for name, g in own.items()}
    return dy, grads
