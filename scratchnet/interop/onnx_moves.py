"""A node with its inputs, and the operators that move numbers without computing any.

`Operation` finds what a node reads: values (made of layers), constants (arrays of the file), attributes. Nearly every
error about a node comes from here.

The operators below change where a number stands: in a value its `order` and `dims`, in a constant the array. PyTorch
writes `x.view(x.size(0), -1)` as Shape, Gather, Unsqueeze, Concat and Reshape: small arrays of
integers are therefore computed. In them 0 stands for the number of examples, which Reshape takes as "the same as
before".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnet.interop.onnx_file import Node
from scratchnet.interop.onnx_values import Problem, Unknown, Value, make
from scratchnet.layers.base import Layer, Shape

SMALL = 64  # numbers in an array of sizes
FLOAT_TYPES = {1, 10, 11}


class Pending(Layer):
    """An operator that is no layer by itself, but may be part of one."""


class Erf(Pending):
    """erf(x): part of GELU."""


class LogSoftmax(Pending):
    """Behind the last layer it is left out: its softmax is that of the logits."""


class Operation:
    """One node on its way to a layer. batch: the fixed number of examples of the file, if it has one."""

    def __init__(self, node: Node, inputs: Sequence[Any], opset: int, batch: int | None):
        self.node, self.inputs, self.opset, self.batch = node, inputs, opset, batch

    def input(self, i: int) -> Any:
        """A Value, an array, or None for an optional input that is missing."""
        found = self.inputs[i] if i < len(self.inputs) else None
        if isinstance(found, Unknown):
            raise found
        return found

    def is_value(self, i: int) -> bool:
        return isinstance(self.input(i), Value)

    @property
    def both_values(self) -> bool:
        return self.is_value(0) and self.is_value(1)

    def value(self, i: int) -> Value:
        """An input that is computed from the model's input."""
        found = self.input(i)
        if not isinstance(found, Value):
            raise Problem(
                "its input is no value of the chain, but a constant" if found is not None else "lacks an input"
            )
        return found

    def constant(self, i: int, what: str, optional: bool = False) -> Any:
        """An input that is an array of the file."""
        found = self.input(i)
        if isinstance(found, Value):
            raise Problem(f"{what} is computed by other nodes; it must be a constant")
        if found is None and not optional:
            raise Problem(f"lacks its input {i}, {what}")
        return found

    def value_and_constant(self) -> tuple[Value, np.ndarray]:
        """The two inputs of a sum or product, in this order."""
        i = 0 if self.is_value(0) else 1
        return self.value(i), self.constant(1 - i, "the other operand")

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, if it has the type of the default (None: a list or nothing)."""
        found = self.node.attributes.get(name, default)
        if found is default or (default is None and isinstance(found, list)):
            return found
        if type(found) is not type(default):
            raise Problem(f"attribute {name} is {found!r:.60}")
        return found

    def integers(self, i: int, name: str) -> Any:
        """Integers that were an attribute in older versions and are an input in newer ones; None if missing."""
        if name in self.node.attributes:
            found = self.attribute(name, None)
        else:
            array = self.constant(i, name, optional=True)
            if array is None:
                return None
            if array.ndim > 1 or array.size > SMALL or array.dtype.kind != "i":
                raise Problem(f"{name} is {array.dtype} of shape {array.shape}; a few integers were expected")
            found = array.reshape(-1).tolist()
        if not all(isinstance(item, int) for item in found):
            raise Problem(f"{name} must be integers")
        return found

    def number(self, i: int, name: str) -> float | None:
        """A number that was an attribute in older versions and is an input in newer ones."""
        if name in self.node.attributes:
            return float(self.attribute(name, 0.0))
        array = self.constant(i, name, optional=True)
        if array is None:
            return None
        if array.size != 1:
            raise Problem(f"{name} has shape {array.shape}; one number was expected")
        return float(array.reshape(-1)[0])

    def refuse_inputs(self, i: int, name: str) -> None:
        """An optional flag must be missing or false."""
        if (found := self.constant(i, name, optional=True)) is not None and found.any():
            raise Problem(f"{name}: in evaluation it is false")


def branched(start: Value, main: Sequence[Value], way: Sequence[Value]) -> Value:
    """The sum of two branches of values as one Residual layer; `way` may be empty."""
    if any(isinstance(value.layer, Pending) for value in (*main, *way)):
        raise Problem("a branch has an operator that no layer computes")
    layer = make("Residual", [v.layer for v in main], shortcut=[v.layer for v in way] or None)
    made = start.through(layer)
    made.branches = (*main, *way)
    return made


# moving


def transpose(op: Operation) -> Any:
    """Axes in another order; the examples stay first."""
    found = op.input(0)
    if not isinstance(found, Value):
        array = op.constant(0, "data")
        order = op.attribute("perm", None) or list(range(array.ndim))[::-1]
        if sorted(order) != list(range(array.ndim)):
            raise Problem(f"perm {order} for {array.ndim} axes")
        return array.transpose(order)
    order = op.attribute("perm", None) or [*range(len(found.dims) + 1)][::-1]
    if sorted(order) != [*range(len(found.dims) + 1)] or order[0] != 0:
        raise Problem(f"perm {order}: the examples must stay the first axis")
    return turned(found, [axis - 1 for axis in order[1:]])


def turned(value: Value, order: list[int]) -> Value:
    """A value with the axes of its tensor in another order."""
    dims = tuple(value.dims[axis] for axis in order)
    wide = [axis for axis, size in enumerate(value.dims) if size > 1]
    if [value.dims[axis] for axis in wide] != [value.grid[axis] for axis in value.order]:
        if not value.straight:
            raise Problem(f"the axes of a reshaped tensor in another order, {value}")
        value = value.moved(range(len(value.dims)), value.dims, value.dims)
    return value.moved([value.order[wide.index(axis)] for axis in order if axis in wide], dims)


def reshape(op: Operation) -> Any:
    """Another shape; the number of examples stays what it is."""
    found, target = op.input(0), op.integers(1, "shape")
    if target is None or op.attribute("allowzero", 0):
        raise Problem("lacks its shape" if target is None else "allowzero")
    if not isinstance(found, Value):
        array = op.constant(0, "data")
        return array.reshape(fitting(target, array.shape))
    first, rest = (target or [1])[0], target[1:]
    if not target or first not in (0, -1, op.batch) or (first == -1 and -1 in rest):
        raise Problem(f"shape {target}: the number of examples must stay the first size")
    return found.moved(dims=fitting(target, (1, *found.dims), behind=1))


def fitting(target: list[int], dims: Shape, behind: int = 0) -> Shape:
    """The sizes of `target` from axis `behind` on: 0 is that of `dims` at this place, -1 what is left."""
    sizes = [dims[i] if size == 0 and i < len(dims) else size for i, size in enumerate(target)][behind:]
    total, known = math.prod(dims), math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or min(sizes, default=1) < -1 or len(sizes) > 8 or known < 1:
        raise Problem(f"shape {target}")
    found = tuple(total // known if size == -1 else size for size in sizes)
    if math.prod(found) != total:
        raise Problem(f"shape {target} for {total:,} numbers")
    return found


def flatten(op: Operation) -> Any:
    """All axes behind the first as one."""
    value, axis = op.value(0), op.attribute("axis", 1)
    if axis not in (1, -len(value.dims)):
        raise Problem(f"axis {axis}: the number of examples must stay the first size, axis 1")
    return value.moved(dims=(math.prod(value.dims),))


def sizes_of(op: Operation) -> tuple[Any, list[int]]:
    """The input and its sizes, 0 for the number of examples."""
    found = op.input(0)
    return (found, [0, *found.dims]) if isinstance(found, Value) else (found, [*op.constant(0, "data").shape])


def resized(found: Any, sizes: list[int]) -> Any:
    """The input with these sizes."""
    return found.moved(dims=tuple(sizes[1:])) if isinstance(found, Value) else found.reshape(sizes)


def squeeze(op: Operation) -> Any:
    """Without axes of size 1."""
    found, sizes = sizes_of(op)
    axes = op.integers(1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(sizes) if size == 1]
    if not all(-len(sizes) <= axis < len(sizes) and sizes[axis] == 1 for axis in axes):
        raise Problem(f"axes {axes} of {'×'.join(map(str, sizes))}: each must have the size 1, and not be the examples")
    axes = [axis % len(sizes) for axis in axes]
    return resized(found, [size for axis, size in enumerate(sizes) if axis not in axes])


def unsqueeze(op: Operation) -> Any:
    """With new axes of size 1."""
    found, sizes = sizes_of(op)
    axes = op.integers(1, "axes") or []
    rank = len(sizes) + len(axes)
    axes = [axis % rank for axis in axes]
    if (isinstance(found, Value) and 0 in axes) or len(set(axes)) != len(axes) or rank > 8:
        raise Problem(f"axes {axes}: the examples must stay the first axis")
    rest = iter(sizes)
    return resized(found, [1 if axis in axes else next(rest) for axis in range(rank)])


def identity(op: Operation) -> Any:
    """The same."""
    if (found := op.input(0)) is None:
        raise Problem("lacks its input")
    return found


def cast(op: Operation) -> Any:
    """Pixels become floating numbers, which Rescale does here, and the engine."""
    found, to = op.input(0), op.attribute("to", 0)
    if isinstance(found, Value):
        if to not in FLOAT_TYPES:
            raise Problem(f"to data type {to}: values are floating numbers")
        return found
    if to not in (1, 6, 7, 11) or (found is not None and to in (6, 7) and found.dtype.kind == "f"):
        raise Problem(f"a constant to data type {to}")
    types: dict[int, type] = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}
    return op.constant(0, "input").astype(types[to])


# sizes


def constant(op: Operation) -> Any:
    """A Constant node is an initializer that stands among the nodes."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if (found := op.node.attributes.get(name)) is not None:
            dtype = np.float32 if "float" in name else np.int64
            return found if name == "value" else np.asarray(found, dtype)
    raise Problem("a constant that is neither numbers nor an array")


def shape(op: Operation) -> np.ndarray:
    """The sizes of a value; 0 for the number of examples."""
    if op.attribute("start", 0) or "end" in op.node.attributes:
        raise Problem("part of a shape")
    return np.array([0, *op.value(0).dims], np.int64)


def small(op: Operation, i: int) -> np.ndarray:
    """A few integers: part of a shape that is being put together."""
    array = op.constant(i, "a size")
    if array.ndim > 1 or array.size > SMALL or array.dtype.kind != "i":
        raise Problem("only parts of a shape can be picked and joined, not values")
    return array


def gather(op: Operation) -> np.ndarray:
    """One or several sizes of a shape."""
    sizes, which = small(op, 0).reshape(-1), small(op, 1)
    if op.attribute("axis", 0) or (abs(which) >= max(len(sizes), 1)).any():
        raise Problem(f"entries {which.tolist()} of {len(sizes)}")
    return sizes[which]


def concat(op: Operation) -> np.ndarray:
    """Sizes joined to a shape."""
    if any(op.is_value(i) for i in range(len(op.inputs))):
        raise Problem("joins branches; the branches of a residual block are added")
    return np.concatenate([small(op, i).reshape(-1) for i in range(len(op.inputs))])[: SMALL + 1]


OPERATORS: dict[str, Callable[[Operation], Any]] = {
    "Transpose": transpose, "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
    "Identity": identity, "Cast": cast, "Constant": constant, "Shape": shape, "Gather": gather, "Concat": concat,
}  # fmt: skip
