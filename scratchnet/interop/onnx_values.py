"""What flows through an ONNX graph, as layers see it.

A graph's operators reshape and transpose freely; a Sequential is layers in a row, with the channels last. A `Value` is
the output of the layers so far, and beside it `index`: an array of the ONNX tensor's shape (without n) whose entries
say which number of the layers' output, counted in row-major order, stands at this place. An operator that only moves
numbers (Transpose, Reshape, Flatten, Squeeze) changes `index` alone, by the same NumPy call. An operator that computes
needs a certain arrangement:

    Conv, pooling         index = channels first           (c, h, w)  of  (h, w, c)
    MatMul, Gemm          any order of the features: the rows of W are put into ours
    element by element    any

So NCHW and NHWC files need no cases of their own, and the weights of the first Dense after a Flatten come out right
because the order of its inputs is known and not guessed.

Values are made of each other like the commits of a history: each knows the one it was computed from. Where two of them
are added, the way from their last common ancestor to each is a branch of a residual block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from scratchnet.layers import LAYERS, Layer
from scratchnet.layers.base import Shape
from scratchnet.saving.architecture import VALUE_LIMIT

Arrays = dict[str, np.ndarray]
INDEX_LIMIT = 1 << 24  # numbers in one example whose order is followed


class Problem(ValueError):
    """Something in the graph that layers in a row cannot express."""


class Unknown(Exception):
    """A value that follows from a problem that was reported already."""


class Value:
    """A tensor of the graph, with what computes it: a layer and its arrays on another value, or nothing yet.

    shape: of one example, channels last. index: see above.
    """

    def __init__(
        self, shape: Shape, index: np.ndarray, parent: Value | None = None, layer: Layer | None = None,
        arrays: Arrays | None = None,
    ):  # fmt: skip
        self.shape, self.index, self.parent, self.layer, self.arrays = shape, index, parent, layer, arrays or {}
        self.branches: tuple[Value, ...] = ()  # the values within a residual block

    def moved(self, index: np.ndarray) -> Value:
        """The same numbers in another arrangement."""
        value = Value(self.shape, index, self.parent, self.layer, self.arrays)
        value.branches = self.branches
        return value

    def then(self, kind: str, *arguments: Any, arrays: Arrays | None = None, **options: Any) -> Value:
        """The output of a new layer; the arrangement of its numbers must be given by one of the methods below."""
        layer = make(kind, *arguments, **options)
        return self.through(layer, arrays)

    def through(self, layer: Layer, arrays: Arrays | None = None) -> Value:
        """The output of this unbuilt layer, whose arrays are compared with those that it would make."""
        if math.prod(self.shape) > VALUE_LIMIT:
            raise Problem(f"{math.prod(self.shape):,} numbers per example, where {VALUE_LIMIT:,} are allowed")
        shape, expected = layer.compute_shapes(self.shape)
        for name, size in (expected if arrays is not None else {}).items():
            if arrays[name].shape != size:  # type: ignore[index]
                raise Problem(f"{name} has shape {arrays[name].shape}, expected {size}")  # type: ignore[index]
        index = self.index if shape == self.shape else arranged(shape)
        return Value(shape, index, self, layer, arrays)

    # arrangements

    @property
    def images(self) -> Value:
        """This value if it is images whose numbers stand as (c, h, w), or a Problem."""
        if len(self.shape) == 3 and self.index.ndim == 3:
            h, w, c = self.shape
            if np.array_equal(self.index, arranged((h, w, c)).transpose(2, 0, 1)):
                return self
        raise Problem(f"images with the channels first are needed, got a tensor (n, {self.sizes}) {self.words}")

    @property
    def words(self) -> str:
        return f"made of {'×'.join(map(str, self.shape))}, channels last"

    @property
    def sizes(self) -> str:
        return ", ".join(map(str, self.index.shape))

    @property
    def flat(self) -> Value:
        """This value as (features,), behind a Flatten layer if it was images; index keeps their order."""
        if self.index.ndim != 1:
            raise Problem(f"a row of features is needed, got a tensor (n, {self.sizes})")
        if len(self.shape) == 1:
            return self
        made = self.then("Flatten")
        return Value(made.shape, self.index, self, made.layer)

    def channels_first(self, shape: Shape) -> np.ndarray:
        """The index of a new output (h, w, c) that stands as (c, h, w)."""
        return arranged(shape).transpose(2, 0, 1)

    # history

    def ancestors(self) -> list[Value]:
        """This value and all that it was computed from, the nearest first."""
        found, value = [], self
        while value is not None:
            found.append(value)
            value = value.parent  # type: ignore[assignment]
        return found

    def since(self, ancestor: Value) -> list[Value]:
        """The values computed on the way from an ancestor to this one, in order."""
        way: list[Value] = []
        value = self
        while not same(value, ancestor):
            way.append(value)
            assert value.parent is not None
            value = value.parent
        return way[::-1]


def same(one: Value, other: Value) -> bool:
    """Whether both are the output of the same layer, perhaps in other arrangements."""
    return one.layer is other.layer and one.parent is other.parent


def common(one: Value, other: Value) -> Value:
    """The last value from which both were computed."""
    others = other.ancestors()
    return next(a for a in one.ancestors() if any(same(a, b) for b in others))


def arranged(shape: Iterable[int]) -> np.ndarray:
    """0, 1, 2 ... in this shape."""
    shape = tuple(shape)
    if math.prod(shape) > INDEX_LIMIT:
        raise Problem(f"{math.prod(shape):,} numbers per example, where {INDEX_LIMIT:,} are allowed")
    return np.arange(math.prod(shape), dtype=np.int32).reshape(shape)


def make(kind: str, *arguments: Any, **options: Any) -> Layer:
    """A layer by the name of its class."""
    if kind not in LAYERS:
        raise Problem(f"needs a layer {kind}, which there is not yet")
    return LAYERS[kind](*arguments, **options)
