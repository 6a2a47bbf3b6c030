"""ONNX operators with windows: convolution and pooling.

ONNX gives the pixels that are added at each side as [top, left, bottom, right], or by name: SAME_UPPER puts the odd one
at the bottom and right, as "same" does here, SAME_LOWER at the top and left. From either follow four numbers, and from
them the padding of a layer: "valid", "same", one number for all sides, or a ZeroPadding2D before it.

Padding a maximum with zeros is something else, because ONNX pads it with -∞; behind a ReLU, where no number is below
zero, both give the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from scratchnet.interop.onnx_moves import Operation
from scratchnet.interop.onnx_values import Problem, Value, essential
from scratchnet.layers import ReLU
from scratchnet.layers.windows import pad_amounts

Sides = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))
SAME = ("SAME_UPPER", "SAME_LOWER")
POOL_LIMIT = 1 << 24  # numbers in all windows of one channel


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


def padding_of(win: Window, value: Value, amounts: Sides) -> str | int | None:
    """A layer's argument for these amounts: "valid", "same" or one number; None if it needs a ZeroPadding2D."""
    for name in ("valid", "same"):
        if amounts == tuple(pad_amounts(value.shape[i], win.size[i], win.stride[i], name) for i in (0, 1)):
            return name
    return amounts[0][0] if len({*amounts[0], *amounts[1]}) == 1 else None


def padded(value: Value, amounts: Sides) -> Value:
    """Zeros around the images."""
    return value.then("ZeroPadding2D", amounts).standing


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
    padding = padding_of(win, value, amounts)
    if padding is None:
        value, padding = padded(value, amounts), "valid"
    options = {"stride": win.stride, "padding": padding, "use_bias": bias is not None}
    arrays = {"b": bias} if bias is not None else {}
    if groups == 1:
        arrays["W"] = weights.transpose(2, 3, 1, 0)
        return value.then("Conv2D", len(weights), win.size, arrays=arrays, **options).standing
    multiplier = len(weights) // c
    arrays["W"] = weights.reshape(c, multiplier, *win.size).transpose(2, 3, 0, 1)
    options["depth_multiplier"] = multiplier
    return value.then("DepthwiseConv2D", win.size, arrays=arrays, **options).standing


def max_pool(op: Operation) -> Value:
    """The largest number of each window."""
    win = window(op, None)
    if len(op.node.outputs) > 1 and op.node.outputs[1]:
        raise Problem("the places of the maxima as a second output")
    value = op.value(0).images
    amounts = sides(win, value)
    padding = padding_of(win, value, amounts)
    if padding is None and isinstance(value.layer, ReLU):
        return padded(value, amounts).then("MaxPool2D", win.size, win.stride).standing
    return pooled(value, "MaxPool2D", win, amounts, padding)


def average_pool(op: Operation) -> Value:
    """The mean of each window; whether the padding counts decides how it is padded."""
    win = window(op, None)
    value = op.value(0).images
    amounts = sides(win, value)
    padding = padding_of(win, value, amounts)
    if op.attribute("count_include_pad", 0) and padding != "valid":
        if win.ceil_mode:
            raise Problem("ceil_mode with padding that counts")
        return padded(value, amounts).then("AvgPool2D", win.size, win.stride).standing
    return pooled(value, "AvgPool2D", win, amounts, padding)


def pooled(value: Value, kind: str, win: Window, amounts: Sides, padding: str | int | None) -> Value:
    """A pooling layer with this padding."""
    if padding is None or (isinstance(padding, int) and padding >= min(win.size)):
        raise Problem(f'padding {amounts}: a pool has none, that of "same", or equal sides smaller than its window')
    total = value.shape[0] * value.shape[1] * win.size[0] * win.size[1]
    if total > POOL_LIMIT:
        raise Problem(f"windows with {total:,} numbers, where {POOL_LIMIT:,} are allowed")
    return value.then(kind, win.size, win.stride, padding=padding).standing


def global_average_pool(op: Operation) -> Value:
    """The mean of each channel: (c, h, w) -> (c, 1, 1)."""
    made = op.value(0).images.then("GlobalAvgPool2D")
    return made.moved(dims=(*made.shape, 1, 1))


def global_max_pool(op: Operation) -> Value:
    """The largest value of each channel: a window as large as the image."""
    value = op.value(0).images
    return value.then("MaxPool2D", value.shape[:2]).standing


def reduce_mean(op: Operation) -> Value:
    """The mean over height and width, as TensorFlow's and PyTorch's converters write a global pooling."""
    value, keep = op.value(0), op.attribute("keepdims", 1)
    axes = sorted(axis % (len(value.dims) + 1) for axis in op.integers(1, "axes") or [])
    if len(value.shape) == len(value.dims) == 3 and value.grid == value.shape:
        h, w, c = value.shape
        for expected, dims, order in (([2, 3], (c, h, w), (2, 0, 1)), ([1, 2], (h, w, c), (0, 1, 2))):
            if axes == expected and value.dims == dims and value.order == essential(value.shape, order):
                kept = tuple(1 if axis + 1 in axes else size for axis, size in enumerate(dims))
                return value.then("GlobalAvgPool2D").moved(dims=kept if keep else (c,))
    raise Problem(f"the mean over the axes {axes} of {value}; only over height and width")
