"""Residual: layers, and a way around them.

    y = f(x) + s(x)          f: the branch, layers in a row;  s: the shortcut, x itself where nothing is said

The branch only has to learn what must be added to x. And the gradient has two ways back,

    dx = (∂f/∂x)ᵀ dy + (∂s/∂x)ᵀ dy          with s(x) = x:  (∂f/∂x)ᵀ dy + dy

of which the second one passes dy unchanged, past however many blocks. In a plain network of 50 layers the gradient of
the first layers is a product of 50 matrices, which vanishes or grows; here it is a sum of which one term is dy itself.

A branch that changes the shape (a stride, more filters) needs a shortcut that changes it in the same way, usually a
Conv2D(filters, 1, stride).

The block is one layer of a model. Its arrays are those of the layers in it, named by their place:
`3.residual.0.conv2d.W`, `3.residual.shortcut.0.conv2d.W`.

He, Zhang, Ren, Sun 2015 (arXiv 1512.03385).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from scratchnet.keywords import explained
from scratchnet.layers import row
from scratchnet.layers.base import Context, Layer, Shape, show_shape

DEPTH_LIMIT = 4  # Residuals within each other; a file may ask for no more either


class Residual(Layer):
    """y = branch(x) + x, or branch(x) + shortcut(x).

    layers: the branch, unbuilt layers. shortcut: a layer or several, for x on its way around; None: x as it is.
    A ReLU after the sum is a layer of its own behind the block.

    Raises ValueError if the two outputs have different shapes, and for an empty branch.

    >>> block = Residual([Conv2D(16, 3, padding="same"), BatchNorm(), ReLU(), Conv2D(16, 3, padding="same")])
    >>> block.build((14, 14, 16), np.random.default_rng(0))
    (14, 14, 16)
    >>> block.params[:2]
    ('0.conv2d.W', '0.conv2d.b')
    """

    @explained
    def __init__(self, layers: Iterable[Layer], shortcut: Layer | Iterable[Layer] | None = None):
        if isinstance(layers, Layer | type):
            raise TypeError('Residual layers must be a list: Residual([Conv2D(16, 3, padding="same"), ReLU()])')
        self.layers = row.expanded(layers)
        given = [shortcut] if isinstance(shortcut, Layer | type) else shortcut
        self.shortcut = None if given is None else row.expanded(given)
        if not self.layers or self.shortcut == ():
            raise ValueError("Residual: needs at least one layer in the branch, and in the shortcut if there is one")
        row.check_layers([*self.layers, *self.way])
        if self.depth > DEPTH_LIMIT:
            raise ValueError(f"Residual: {self.depth} blocks within each other, where {DEPTH_LIMIT} are allowed")

    @property
    def way(self) -> tuple[Layer, ...]:
        """The layers of the shortcut; none for x itself."""
        return self.shortcut or ()

    def __repr__(self) -> str:
        branch, way = (list(map(row.without_activation, layers)) for layers in (self.layers, self.way))
        return f"Residual({branch}{f', shortcut={way}' if way else ''})"

    def children(self) -> dict[str, Layer]:
        way = zip(row.prefixes(self.way), self.way, strict=True)
        return {
            **dict(zip(row.prefixes(self.layers), self.layers, strict=True)),
            **{f"shortcut.{name}": layer for name, layer in way},
        }

    @property
    def depth(self) -> int:
        """How many blocks there are within each other: 1 if there is none within this one."""
        return 1 + max(layer.depth if isinstance(layer, Residual) else 0 for layer in self.children().values())

    @property
    def trainable(self) -> bool:
        """Whether a layer in the block is trained. Setting it sets that of all of them."""
        return any(part.trainable for _, part in self.walk() if part.params and not part.children())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.children().values():
            layer.trainable = value

    @property
    def params(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the trained arrays: 0.conv2d.W, ..."""
        return self.names("params")

    @property
    def state(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the arrays that are saved but not trained."""
        return self.names("state")

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of the inner layers' arrays. kind: "params" or "state"."""
        return tuple(f"{place}.{name}" for place, layer in self.children().items() for name in getattr(layer, kind))

    def config(self) -> dict[str, Any]:
        shortcut = None if self.shortcut is None else row.described(self.shortcut)
        return {"layers": row.described(self.layers), "shortcut": shortcut}

    def compute_shapes(self, input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
        output_shape, arrays = row.shapes_of(self.layers, input_shape)
        way_shape, more = row.shapes_of(self.way, input_shape)
        self.expect_equal(output_shape, way_shape)
        return output_shape, {**arrays, **{f"shortcut.{name}": shape for name, shape in more.items()}}

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        self.shapes = row.build(self.layers, input_shape, lambda layer: rng, self.dtype)
        self.way_shapes = row.build(self.way, input_shape, lambda layer: rng, self.dtype)
        self.expect_equal(self.shapes[-1], self.way_shapes[-1])
        row.forget_activations([*self.layers, *self.way])
        return self.shapes[-1]

    def expect_equal(self, branch: Shape, way: Shape) -> None:
        """Raise ValueError if the two outputs cannot be added."""
        if branch != way:
            what = "the input has" if self.shortcut is None else "the shortcut makes"
            raise ValueError(
                f"Residual: the branch makes {show_shape(branch)}, {what} {show_shape(way)}: they are added, and must "
                'be equal. Use padding="same" in the branch; where it has a stride or other filters, a shortcut with '
                "the same: shortcut=Conv2D(filters, 1, stride)"
            )

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, tuple[list[Any], list[Any]]]:
        y, caches = row.forward(self.layers, x, ctx)
        s, way_caches = row.forward(self.way, x, ctx)
        return y + s, (caches, way_caches)

    def backward(self, dy: np.ndarray, cache: tuple[list[Any], list[Any]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        caches, way_caches = cache
        dx, grads = row.backward(self.layers, dy, caches)
        dx_way, way_grads = row.backward(self.way, dy, way_caches)
        return dx + dx_way, {**grads, **{f"shortcut.{name}": g for name, g in way_grads.items()}}

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        rows = ((self.layers, self.shapes), (self.way, self.way_shapes))
        return sum(
            layer.multiply_adds(before, after)
            for layers, shapes in rows
            for layer, before, after in zip(layers, shapes[:-1], shapes[1:], strict=True)
        )
