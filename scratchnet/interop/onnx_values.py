"""What flows through an ONNX graph, as layers see it.

A graph's operators reshape and transpose freely; a Sequential is layers in a row, with the channels last. A `Value` is
the output of the layers so far, of the shape (h, w, c) or (features,), and beside it how the ONNX tensor holds the
same numbers:

    dims     the sizes of the tensor behind the number of examples
    grid     the axes of our output; for a row of features behind a Flatten those of the images that it was
    order    the order in which the tensor's numbers run through the grid: (2, 0, 1) if c is the slowest axis and w the
             fastest. Axes of size 1 make no difference and are left out

With a grid of 28×28×6, the tensor (6, 28, 28) in the order (2, 0, 1) is images with the channels first, (28, 28, 6) in
the order (0, 1, 2) with the channels last, and (4704,) in the order (2, 0, 1) is what Flatten makes of the former.
Transpose changes `order`, Reshape `dims`; both compute nothing. An operator that computes needs a certain arrangement:

    Conv, pooling         images with the channels first
    MatMul, Gemm          any order of the features: the rows of W are put into ours
    element by element    any

So NCHW and NHWC files need no cases of their own, and the weights of the first Dense after a Flatten come out right
because the order of its inputs is known and not guessed.

Values are made of each other like the commits of a history: each knows the one it was computed from. Where two of them
are added, the way from their last common ancestor to each is a branch of a residual block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from scratchnet.layers import LAYERS, Layer
from scratchnet.layers.base import Shape
from scratchnet.layers.row import expect_size

Arrays = dict[str, np.ndarray]
CHANNELS_FIRST = (2, 0, 1)


class Problem(ValueError):
    """Something in the graph that layers in a row cannot express."""


class Unknown(Exception):
    """A value that follows from a problem that was reported already."""


class Value:
    """A tensor of the graph, with what computes it: a layer and its arrays on another value, or nothing yet.

    >>> images = Value((28, 28, 6), (2, 0, 1), (6, 28, 28))
    >>> images.moved(dims=(4704,)).index[:3].tolist()  # numbers of one channel are 6 apart where channels come last
    [0, 6, 12]
    """

    def __init__(
        self, shape: Shape, order: Iterable[int] | None = None, dims: Shape | None = None, grid: Shape | None = None,
        parent: Value | None = None, layer: Layer | None = None, arrays: Arrays | None = None,
    ):  # fmt: skip
        self.shape = shape
        self.dims, self.grid = shape if dims is None else dims, shape if grid is None else grid
        self.order = essential(self.grid, range(len(self.grid)) if order is None else order)
        self.parent, self.layer, self.arrays = parent, layer, arrays or {}
        self.branches: tuple[Value, ...] = ()  # the values within a residual block

    def moved(self, order: Iterable[int] | None = None, dims: Shape | None = None, grid: Shape | None = None) -> Value:
        """The same numbers in another arrangement."""
        order, dims = self.order if order is None else order, self.dims if dims is None else dims
        value = Value(self.shape, order, dims, grid or self.grid, self.parent, self.layer, self.arrays)
        value.branches = self.branches
        return value

    def like(self, other: Value) -> Value:
        """The same numbers, arranged like those of a value of the same shape."""
        return self.moved(other.order, other.dims, other.grid)

    def then(self, kind: str, *arguments: Any, **options: Any) -> Value:
        """The output of a new layer of this class. options: the layer's, and `arrays`, its arrays by name."""
        arrays = options.pop("arrays", None)
        return self.through(make(kind, *arguments, **options), arrays)

    def through(self, layer: Layer, arrays: Arrays | None = None) -> Value:
        """The output of this unbuilt layer, whose arrays are compared with those that it would make.

        It stands as this value does if the shapes are equal, else as our layers have it.
        """
        shape, expected = layer.compute_shapes(self.shape)
        expect_size(shape)
        for name, size in (expected if arrays is not None else {}).items():
            if arrays[name].shape != size:  # type: ignore[index]
                raise Problem(f"{name} has shape {arrays[name].shape}, expected {size}")  # type: ignore[index]
        made = Value(shape, parent=self, layer=layer, arrays=arrays)
        return made.like(self) if shape == self.shape else made

    # arrangements

    @property
    def images(self) -> Value:
        """This value if it is images with the channels first, or a Problem."""
        if len(self.shape) == 3 and self.grid == self.shape and self.dims == (self.shape[2], *self.shape[:2]):
            if self.order == essential(self.grid, CHANNELS_FIRST):
                return self
        raise Problem(f"images with the channels first are needed, got {self}")

    @property
    def flat(self) -> Value:
        """This value as (features,), behind a Flatten layer if it was images; the order stays what it is."""
        if len(self.dims) != 1:
            raise Problem(f"a row of features is needed, got {self}")
        return self if len(self.shape) == 1 else self.then("Flatten").like(self)

    @property
    def axes(self) -> list[int]:
        """For each axis of a tensor of images: 0 if it is the height, 1 the width, 2 the channels."""
        if len(self.shape) == len(self.dims) == 3 and self.grid == self.shape:
            for order in (CHANNELS_FIRST, *itertools.permutations(range(3))):  # it matters where sizes are 1
                if self.dims == tuple(self.shape[axis] for axis in order) and self.order == essential(self.grid, order):
                    return list(order)
        raise Problem(f"images are needed, got {self}")

    @property
    def standing(self) -> Value:
        """New images, standing channels first."""
        return self.moved(CHANNELS_FIRST, (self.shape[2], *self.shape[:2]), self.shape)

    @property
    def straight(self) -> bool:
        """Whether the tensor's numbers are in our order."""
        return list(self.order) == sorted(self.order)

    @property
    def index(self) -> np.ndarray:
        """For each number of the tensor its place among ours, counted in row-major order: (features,)."""
        axes = sorted(self.order)
        places = np.arange(math.prod(self.grid)).reshape([self.grid[axis] for axis in axes])
        return places.transpose([axes.index(axis) for axis in self.order]).reshape(-1)

    def __str__(self) -> str:
        """As errors call it."""
        made = "×".join(map(str, self.grid)) + ("" if self.straight else f" in the order of axes {self.order}")
        return f"(n, {', '.join(map(str, self.dims))}), made of {made}"

    # history

    @property
    def key(self) -> int:
        """The same for all arrangements of one layer's output."""
        return id(self.layer)

    def ancestors(self) -> list[Value]:
        """This value and all that it was computed from, the nearest first."""
        found: list[Value] = []
        value: Value | None = self
        while value is not None:
            found.append(value)
            value = value.parent
        return found

    def since(self, ancestor: Value) -> list[Value]:
        """The values computed on the way from an ancestor to this one, in order."""
        way = self.ancestors()
        return way[: [value.key for value in way].index(ancestor.key)][::-1]


def essential(grid: Shape, order: Iterable[int]) -> tuple[int, ...]:
    """The order without axes of size 1."""
    return tuple(axis for axis in order if grid[axis] > 1)


def common(one: Value, other: Value) -> Value:
    """The last value from which both were computed."""
    others = {value.key for value in other.ancestors()}
    return next(value for value in one.ancestors() if value.key in others)


def make(kind: str, *arguments: Any, **options: Any) -> Layer:
    """A layer by the name of its class."""
    if kind not in LAYERS:
        raise Problem(f"needs a layer {kind}, which there is not")
    return LAYERS[kind](*arguments, **options)
