"""ONNX operators that add or remove rows and columns of images: Pad and Slice.

They may do so along any axis of a tensor; a layer does it for height and width. Which axis of the tensor is the height
follows from the value's order.
"""

from __future__ import annotations

from typing import Any

from scratchnet.interop.onnx_moves import Operation
from scratchnet.interop.onnx_values import Problem, Value


def pad(op: Operation) -> Value:
    """Zeros around images; negative amounts cut."""
    if op.attribute("mode", "constant") != "constant":
        raise Problem(f"mode {op.attribute('mode', '')!r:.40}: only zeros are added")
    if op.number(2, "value") not in (None, 0):
        raise Problem(f"pads with {op.number(2, 'value')}, not with 0")
    pads, axes = op.integers(1, "pads"), op.integers(3, "axes")
    value = op.value(0)
    rank = len(value.dims) + 1
    axes = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    if pads is None or len(pads) != 2 * len(axes):
        raise Problem(f"pads {pads} for {len(axes)} axes")
    amounts = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    return bordered(value, amounts)


def slice_(op: Operation) -> Any:
    """Images without an edge of equal width; of sizes a part."""
    starts, ends = op.integers(1, "starts"), op.integers(2, "ends")
    axes, steps = op.integers(3, "axes"), op.integers(4, "steps")
    if starts is None or ends is None or len(starts) != len(ends) or set(steps or [1]) != {1}:
        raise Problem(f"starts {starts}, ends {ends}, steps {steps}")
    axes = list(range(len(starts))) if axes is None else axes
    if len(axes) != len(starts):
        raise Problem(f"axes {axes} for starts {starts}")
    if not op.is_value(0):
        sizes = op.constant(0, "data")
        if sizes.ndim != 1 or len(starts) != 1:
            raise Problem("only values and shapes are cut")
        return sizes[starts[0] : ends[0]]
    value = op.value(0)
    rank, amounts = len(value.dims) + 1, {}
    for axis, start, end in zip(axes, starts, ends, strict=True):
        place = axis % rank
        size = value.dims[place - 1] if place else 1 << 62
        begin, stop, _ = slice(start, end).indices(size)
        amounts[place] = (-begin, (stop - size) if end < size else 0)
    return bordered(value, amounts)


def bordered(value: Value, amounts: dict[int, tuple[int, int]]) -> Value:
    """Images with a border of zeros (positive) or without part of their edge (negative), by axis of the tensor."""
    order, index_axes = value.axes, {}
    for axis, pair in amounts.items():
        if pair != (0, 0):
            index_axes[order[axis - 1] if axis else -1] = pair
    (top, bottom), (left, right) = index_axes.get(0, (0, 0)), index_axes.get(1, (0, 0))
    numbers = (top, bottom, left, right)
    if not index_axes.keys() <= {0, 1} or not all(abs(number) <= 1 << 20 for number in numbers):
        raise Problem("changes examples or channels, not only height and width")
    if not any(numbers):
        return value
    if min(numbers) >= 0:
        made = value.then("ZeroPadding2D", ((top, bottom), (left, right)))
    elif max(numbers) <= 0 and top == bottom and left == right:
        if not (top and left):
            raise Problem(f"cuts {-top} rows and {-left} columns; Cropping2D cuts at least one of each")
        made = value.then("Cropping2D", (-top, -left))
    else:
        raise Problem(f"cuts or adds {numbers} pixels at top, bottom, left, right")
    return made.moved(order, tuple(made.shape[axis] for axis in order), made.shape)
