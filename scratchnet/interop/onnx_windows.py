"""ONNX operators with windows: convolution, pooling, padding, cropping.

ONNX gives the pixels that are added at each side as [top, left, bottom, right], or by name: SAME_UPPER puts the odd one
at the bottom and right, as "same" does here, SAME_LOWER at the top and left. From either follow four numbers, and from
them the padding of a layer: "valid", "same", one number for all sides, or a ZeroPadding2D before it.

Padding a maximum with zeros is something else, because ONNX pads it with -∞; behind a ReLU, where no number is below
zero, both give the same.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from scratchnet.interop.onnx_moves import Operation
from scratchnet.interop.onnx_values import Problem, Value, arranged
from scratchnet.layers import ReLU
from scratchnet.layers.windows import pad_amounts

Sides = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))
SAME = ("SAME_UPPER", "SAME_LOWER")


class Window(NamedTuple):
    """The attributes that Conv and the pools share."""

    size: tuple[int, int]
    stride: tuple[int, int]
    pads: list[int] | None
    auto_pad: str
    ceil_mode: int


def window(op: Operation, size: Any) -> Window:
    """A node's window; what no layer has is a Problem. size: what `kernel_shape` must be, or None."""
    given = op.attribute("kernel_shape", None) or list(size or ())
    if size is not None and list(size) != given:
        raise Problem(f"kernel_shape {given} for weights of {list(size)}")
    if len(given) != 2:
        raise Problem(f"a window with {len(given)} axes; images have 2")
    stride, dilations = op.attribute("strides", None) or [1, 1], op.attribute("dilations", None) or [1, 1]
    if len(stride) != 2 or not all(1 <= number <= 1 << 20 for number in (*given, *stride)):
        raise Problem(f"a window of {given} with strides {stride}")
    if dilations != [1, 1]:
        raise Problem(f"dilations {dilations}; windows are dense")
    pads, auto_pad = op.attribute("pads", None), op.attribute("auto_pad", "NOTSET")
    if auto_pad not in ("NOTSET", "VALID", *SAME):
        raise Problem(f"auto_pad {auto_pad!r:.40}")
    if pads is not None and (len(pads) != 4 or not all(0 <= pixels <= 1 << 20 for pixels in pads)):
        raise Problem(f"pads {pads}")
    return Window((given[0], given[1]), (stride[0], stride[1]), pads, auto_pad, op.attribute("ceil_mode", 0))


def sides(win: Window, value: Value) -> Sides:
    """Pixels to add before and after each axis of the image."""
    found = []
    for axis in (0, 1):
        size, k, stride = value.shape[axis], win.size[axis], win.stride[axis]
        if win.auto_pad in SAME:
            before, after = pad_amounts(size, k, stride, "same")
            found.append((before, after) if win.auto_pad == "SAME_UPPER" else (after, before))
            continue
        before, after = (0, 0) if win.pads is None or win.auto_pad == "VALID" else (win.pads[axis], win.pads[axis + 2])
        if win.ceil_mode:  # windows that begin inside the image or its first padding, and end beyond the last
            count = -(-(size + before + after - k) // stride) + 1
            count -= (count - 1) * stride >= size + before
            after += max((count - 1) * stride + k - (size + before + after), 0)
        found.append((before, after))
    return found[0], found[1]


def named(win: Window, value: Value, amounts: Sides) -> str | None:
    """The name of a padding with these amounts, "valid" or "same"; None if it has none."""
    for name in ("valid", "same"):
        if amounts == tuple(pad_amounts(value.shape[i], win.size[i], win.stride[i], name) for i in (0, 1)):
            return name
    return None


def standing(made: Value) -> Value:
    """A new output of images, which stands channels first."""
    return made.moved(made.channels_first(made.shape))


def padded(value: Value, amounts: Sides) -> Value:
    """Zeros around the images."""
    return standing(value.then("ZeroPadding2D", amounts))


def conv(op: Operation) -> Value:
    """Conv with one group is Conv2D; with a group per channel DepthwiseConv2D. W: (filters, c / group, k_h, k_w)."""
    weights, bias = op.constant(1, "W"), op.constant(2, "B", optional=True)
    if weights.ndim != 4:
        raise Problem(f"weights of shape {weights.shape}; images have (filters, channels, height, width)")
    win, groups = window(op, weights.shape[2:]), op.attribute("group", 1)
    value = op.value(0).images
    c = value.shape[2]
    if groups not in (1, c):
        raise Problem(f"{groups} groups for {c} channels; one group, or one per channel")
    if weights.shape[1] * groups != c or weights.shape[0] % groups:
        raise Problem(f"weights of shape {weights.shape} for {c} channels in {groups} groups")
    amounts = sides(win, value)
    padding: str | int | None = named(win, value, amounts)
    if padding is None and len({*amounts[0], *amounts[1]}) == 1:
        padding = amounts[0][0]
    if padding is None:
        value, padding = padded(value, amounts), "valid"
    options = {"stride": win.stride, "padding": padding, "use_bias": bias is not None}
    arrays = {"b": bias} if bias is not None else {}
    if groups == 1:
        arrays["W"] = weights.transpose(2, 3, 1, 0)
        return standing(value.then("Conv2D", len(weights), win.size, arrays=arrays, **options))
    multiplier = len(weights) // c
    arrays["W"] = weights.reshape(c, multiplier, *win.size).transpose(2, 3, 0, 1)
    return standing(value.then("DepthwiseConv2D", win.size, multiplier, arrays=arrays, **options))


def max_pool(op: Operation) -> Value:
    """The largest number of each window."""
    win = window(op, None)
    if len(op.node.outputs) > 1 and op.node.outputs[1]:
        raise Problem("the places of the maxima as a second output")
    value = op.value(0).images
    amounts = sides(win, value)
    name = named(win, value, amounts)
    if name is None and isinstance(value.layer, ReLU):
        return standing(padded(value, amounts).then("MaxPool2D", win.size, win.stride))
    return pooled(value, "MaxPool2D", win, amounts, name)


def average_pool(op: Operation) -> Value:
    """The mean of each window; whether the padding counts decides how it is padded."""
    win = window(op, None)
    value = op.value(0).images
    amounts = sides(win, value)
    name = named(win, value, amounts)
    if op.attribute("count_include_pad", 0) and name != "valid":
        if win.ceil_mode:
            raise Problem("ceil_mode with padding that counts")
        return standing(padded(value, amounts).then("AvgPool2D", win.size, win.stride))
    return pooled(value, "AvgPool2D", win, amounts, name)


def pooled(value: Value, kind: str, win: Window, amounts: Sides, name: str | None) -> Value:
    """A pooling layer with the padding of this name."""
    if name is None:
        raise Problem(f'padding {amounts}: a pool has none, or that of "same"')
    options = {} if name == "valid" else {"padding": name}
    return standing(value.then(kind, win.size, win.stride, **options))


def image_axes(value: Value) -> list[int]:
    """For each axis of the tensor behind the examples: 0 if it is the height, 1 the width, 2 the channels."""
    if len(value.shape) == value.index.ndim == 3:
        for order in itertools.permutations(range(3)):
            if np.array_equal(value.index, arranged(value.shape).transpose(order)):
                return list(order)
    raise Problem(f"images are needed, got a tensor (n, {value.sizes}) {value.words}")


def pad(op: Operation) -> Value:
    """Zeros around images; negative amounts cut."""
    if op.attribute("mode", "constant") != "constant":
        raise Problem(f"mode {op.attribute('mode', '')!r:.40}: only zeros are added")
    if op.number(2, "value") not in (None, 0):
        raise Problem(f"pads with {op.number(2, 'value')}, not with 0")
    pads, axes = op.integers(1, "pads"), op.integers(3, "axes")
    value = op.value(0)
    rank = value.index.ndim + 1
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
    rank, amounts = value.index.ndim + 1, {}
    for axis, start, end in zip(axes, starts, ends, strict=True):
        place = axis % rank
        size = value.index.shape[place - 1] if place else 1 << 62
        begin, stop, _ = slice(start, end).indices(size)
        amounts[place] = (-begin, (stop - size) if end < size else 0)
    return bordered(value, amounts)


def bordered(value: Value, amounts: dict[int, tuple[int, int]]) -> Value:
    """Images with a border of zeros (positive) or without part of their edge (negative), by axis of the tensor."""
    order, index_axes = image_axes(value), {}
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
    return made.moved(arranged(made.shape).transpose(order))
