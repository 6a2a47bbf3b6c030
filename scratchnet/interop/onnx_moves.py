"""A node with its inputs, and the operators that move numbers without computing any.

`Operation` finds what a node reads: values (made of layers), constants (arrays of the file), attributes. Nearly every
error about a node comes from here.

The operators below change where a number stands, so they are NumPy's functions on a value's `index`, or on a
constant. PyTorch writes `x.view(x.size(0), -1)` as Shape, Gather, Unsqueeze, Concat and Reshape: small arrays of
integers are therefore computed. In them 0 stands for the number of examples, which Reshape takes as "the same as
before".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnet.interop.onnx_file import Node
from scratchnet.interop.onnx_values import Problem, Unknown, Value, make
from scratchnet.layers.base import Layer

SMALL = 64  # numbers in an array of sizes
FLOAT_TYPES = {1, 10, 11}


class Pending(Layer):
    """An operator that is no layer by itself, but may be part of one."""


class Erf(Pending):
    """erf(x): part of GELU."""


class Softmax(Pending):
    """Behind the last layer it is part of `predict`."""


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


def dims(op: Operation) -> tuple[Any, np.ndarray, bool]:
    """The input, the array that is moved, and whether it is a value's index (which has no axis for the examples)."""
    found = op.input(0)
    return (found, found.index, True) if isinstance(found, Value) else (found, op.constant(0, "data"), False)


def moved(found: Any, array: np.ndarray, is_value: bool) -> Any:
    return found.moved(array) if is_value else array


def transpose(op: Operation) -> Any:
    """Axes in another order; the examples stay first."""
    found, array, is_value = dims(op)
    rank = array.ndim + is_value
    order = op.attribute("perm", None) or list(range(rank))[::-1]
    if sorted(order) != list(range(rank)) or (is_value and order[0] != 0):
        raise Problem(f"perm {order}: the examples must stay the first axis")
    return moved(found, array.transpose([axis - 1 for axis in order[1:]] if is_value else order), is_value)


def reshape(op: Operation) -> Any:
    """Another shape; the number of examples stays what it is."""
    found, array, is_value = dims(op)
    target = op.integers(1, "shape")
    if target is None or op.attribute("allowzero", 0):
        raise Problem("lacks its shape" if target is None else "allowzero")
    if not is_value:
        sizes = [array.shape[i] if size == 0 and i < array.ndim else size for i, size in enumerate(target)]
        return array.reshape(fitting(sizes, array.size))
    first, rest = (target or [1])[0], target[1:]
    if not target or first not in (0, -1, op.batch) or (first == -1 and -1 in rest):
        raise Problem(f"shape {target}: the number of examples must stay the first size")
    sizes = [array.shape[i] if size == 0 and i < array.ndim else size for i, size in enumerate(rest)]
    return found.moved(array.reshape(fitting(sizes, array.size)))


def fitting(sizes: list[int], total: int) -> list[int]:
    """The sizes, -1 replaced by what is left, if they have `total` numbers together."""
    known = 1
    for size in sizes:
        known *= 1 if size == -1 else size
    if sizes.count(-1) > 1 or min(sizes, default=1) < -1 or known < 1 or total % known:
        raise Problem(f"shape {sizes} for {total:,} numbers")
    found = [total // known if size == -1 else size for size in sizes]
    if known != total and -1 not in sizes:
        raise Problem(f"shape {sizes} for {total:,} numbers")
    return found


def flatten(op: Operation) -> Any:
    """All axes behind the first as one."""
    value, axis = op.value(0), op.attribute("axis", 1)
    if axis not in (1, -value.index.ndim):
        raise Problem(f"axis {axis}: the number of examples must stay the first size, axis 1")
    return value.moved(value.index.reshape(-1))


def squeeze(op: Operation) -> Any:
    """Without axes of size 1."""
    found, array, is_value = dims(op)
    axes = op.integers(1, "axes")
    rank = array.ndim + is_value
    if axes is None:
        axes = [i + is_value for i, size in enumerate(array.shape) if size == 1]
    axes = sorted({axis % rank for axis in axes}) if rank else []
    places = [axis - is_value for axis in axes]
    if any(place < 0 or array.shape[place] != 1 for place in places):
        raise Problem(f"axes {axes} of sizes {(*['n'] * is_value, *array.shape)}: each must be 1")
    return moved(found, array.squeeze(tuple(places)), is_value)


def unsqueeze(op: Operation) -> Any:
    """With new axes of size 1."""
    found, array, is_value = dims(op)
    axes = op.integers(1, "axes") or []
    rank = array.ndim + is_value + len(axes)
    axes = [axis % rank for axis in axes]
    if (is_value and 0 in axes) or len(set(axes)) != len(axes) or rank > 8:
        raise Problem(f"axes {axes}: the examples must stay the first axis")
    return moved(found, np.expand_dims(array, tuple(axis - is_value for axis in axes)), is_value)


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
    return np.array([0, *op.value(0).index.shape], np.int64)


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
