"""Validation of what is passed to a model.

    as_input_shape  the shape of one example        as_dtype    the type of all numbers
    as_examples     shape and dtype: an array that every kernel was compiled for, or an error
    check_pixels    plausibility: bytes read as int8, NaN, images divided by 255 twice

A model whose first layer is Rescale(1/255) expects the bytes of the image files. On images in [0, 1] it computes an
answer too, with an accuracy of 10 %. Both checks run where data enters `fit`, `evaluate` and `predict`; no
layer or kernel repeats them.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from scratchnet.data.mapped import MappedImages
from scratchnet.layers import Rescale
from scratchnet.layers.base import Shape, integer, show_shape

BLACK = 0.05  # a Rescale that maps 1 to less than this maps all images in [0, 1] to nearly zero


def as_input_shape(shape: Any) -> Shape:
    """The shape of one example as a tuple of integers.

    >>> as_input_shape(784)
    Traceback (most recent call last):
    TypeError: input_shape must be a tuple, got 784. Did you mean (784,), or (28, 28, 1) for images?
    """
    if isinstance(shape, int | np.integer):
        side = math.isqrt(max(int(shape), 0))
        images = f", or ({side}, {side}, 1) for images" if side > 1 and side**2 == shape else ""
        raise TypeError(f"input_shape must be a tuple, got {shape}. Did you mean ({shape},){images}?")
    if isinstance(shape, str) or not hasattr(shape, "__iter__"):
        raise TypeError(f"input_shape must be a tuple such as (28, 28, 1), the shape of one example; got {shape!r}")
    sizes = tuple(shape)
    if len(sizes) > 1 and sizes[0] is None:
        raise ValueError(f"input_shape is the shape of one example: {sizes[1:]} instead of {sizes}")
    return tuple(integer(size, "each size in input_shape", 1) for size in sizes)


def channels_first(shape: Shape) -> str:
    """A question for shapes such as (1, 28, 28), which is how PyTorch writes images; empty for other shapes.

    >>> channels_first((3, 32, 32))
    'Did you mean input_shape=(32, 32, 3)? The channels come last.'
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or shape[1] != shape[2] or shape[1] <= 4:
        return ""
    return f"Did you mean input_shape={(*shape[1:], shape[0])}? The channels come last."


def as_dtype(dtype: Any) -> np.dtype:
    """float32 or float64 as a dtype, in this machine's byte order."""
    found = np.dtype(dtype).newbyteorder("=")
    if found.kind != "f":
        raise ValueError(f"dtype must be a floating type, got {found}. Use float32 or float64")
    if found == np.float16:
        raise ValueError(
            "dtype float16 is refused: it has 3 digits and no number between 0 and 6e-8, so that small updates of a "
            "weight are lost and a training run diverges within a few steps. Use float32"
        )
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {found}")
    return found


def as_examples(x: Any, input_shape: Shape, dtype: np.dtype, keeps_integers: bool) -> np.ndarray:
    """x as an array (n, *input_shape) of `dtype`. keeps_integers: integers stay what they are, for Rescale to convert.

    Raises ValueError for a wrong shape or masked elements, TypeError for a dtype that is not a real number.

    >>> as_examples([[1, 0]], (2,), np.dtype("float32"), keeps_integers=False)
    array([[1., 0.]], dtype=float32)
    """
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{np.ma.count_masked(x):,} pixels are masked. Fill them first: x.filled(0)")
    x = x if isinstance(x, MappedImages) else np.asarray(x)
    given = x.shape
    if len(input_shape) == 3 and input_shape[2] == 1 and x.ndim == 3:
        x = x[..., None]  # grey images without a channel axis
    if x.shape[1:] != input_shape or x.ndim == 0:
        expected = f"the model expects input of shape {show_shape(input_shape)}, got {given}"
        raise ValueError(f"{expected}. {shape_advice(given, input_shape)}")
    if keeps_integers and x.dtype.kind in "bui":
        return x.view(np.uint8) if x.dtype.kind == "b" else x.astype(x.dtype.newbyteorder("="), copy=False)
    return as_numbers(x, dtype, "the images")


def as_numbers(values: Any, dtype: np.dtype, what: str) -> np.ndarray:
    """The values as an array of `dtype`, or an error if they are not real numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{what} must be numbers, got {array.dtype}. Convert them first: .astype(np.float32)")
    return array.astype(dtype, copy=False)


def shape_advice(given: Shape, expected: Shape) -> str:
    """The likely cause of a wrong shape."""
    if len(expected) == 3 and len(given) == 4 and (*given[2:], given[1]) == expected:
        return "The channels come last here: x.transpose(0, 2, 3, 1)."
    return "The first axis counts the examples: for a single image pass image[None]."


def check_pixels(x: np.ndarray, layers: Any, finite: bool = True) -> None:
    """Warn of images in [0, 1] that Rescale would scale again; raise ValueError for negative int8, NaN and infinity.

    finite: whether to check for NaN and infinity.
    """
    if not x.size or (x.dtype == np.uint8 and not isinstance(layers[0], Rescale)):
        return
    low, high = 0 if x.dtype == np.uint8 else x.min(), x.max()
    if finite and x.dtype.kind == "f" and not np.isfinite([low, high]).all():
        bad = ~np.isfinite(x.reshape(len(x), -1))
        raise ValueError(
            f"{np.count_nonzero(bad):,} of {x.size:,} pixels are NaN or infinite, the first in example "
            f"{np.flatnonzero(bad.any(axis=1))[0]}. Replace them first: np.nan_to_num(x)"
        )
    if not isinstance(layers[0], Rescale):
        return
    if x.dtype == np.int8 and low < 0:
        raise ValueError(f"pixels are negative, down to {low}: bytes that were read as int8? Use x.view(np.uint8)")
    if 0 <= low and 0 < high <= 1 and abs(layers[0].scale) < BLACK:
        warnings.warn(
            f"the images range from {low:g} to {high:g}, but the model's first layer, {layers[0]!r}, scales bytes from "
            "0 to 255: it would see black images. Pass 255 * x, or the bytes of the image files.",
            stacklevel=4,
        )


def count(value: Any, name: str) -> int:
    """`value` as an int of at least 1, or an error that names the argument.

    >>> count(np.int64(5), "epochs")
    5
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)
