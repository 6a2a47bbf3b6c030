"""im2col and col2im: what they copy, that they are each other's transpose, and where windows lie."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratchnet.layers.windows import col2im, im2col, place_windows
from tests import oracles

sizes = st.integers(1, 7)
small = st.integers(1, 4)
paddings = st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 3))


@st.composite
def geometries(draw):
    """An input shape (n, h, w, c) and windows that fit into it."""
    shape = draw(st.tuples(st.integers(1, 3), sizes, sizes, st.integers(1, 3)))
    size, stride, padding = draw(st.tuples(small, small)), draw(st.tuples(small, small)), draw(paddings)
    assume(all(oracles.output_size(shape, size, stride, padding)))
    return shape, size, stride, padding


def test_im2col_writes_each_window_as_a_row():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    rows = im2col(x, place_windows((3, 3, 1), (2, 2), (1, 1), "valid", "test"))
    assert rows.tolist() == [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]


def test_channels_of_a_pixel_stay_together_in_the_row():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    rows = im2col(x, place_windows((2, 2, 2), (1, 2), (1, 1), "valid", "test"))
    assert rows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@given(geometries(), st.integers(0, 2**32 - 1))
def test_col2im_is_the_transpose_of_im2col(geometry, seed):
    shape, size, stride, padding = geometry
    win, rng = place_windows(shape[1:], size, stride, padding, "test"), np.random.default_rng(seed)
    x = rng.integers(-9, 10, shape).astype(float)
    cols = im2col(x, win)
    c = rng.integers(-9, 10, cols.shape).astype(float)
    assert (cols * c).sum() == (x * col2im(c, shape, win)).sum()  # integers: equal to the last bit


@given(geometries())
def test_col2im_of_ones_counts_the_windows_that_see_a_pixel(geometry):
    shape, size, stride, padding = geometry
    win = place_windows(shape[1:], size, stride, padding, "test")
    counted = np.zeros(shape)
    for _, _, inside in oracles.windows(shape, size, stride, padding):
        for _, _, row, column in inside:
            counted[:, row, column] += 1
    ones = np.ones((shape[0] * win.out_h * win.out_w, size[0] * size[1] * shape[3]))
    np.testing.assert_array_equal(col2im(ones, shape, win), counted)


@given(geometries())
def test_windows_lie_where_counting_puts_them(geometry):
    shape, size, stride, padding = geometry
    win = place_windows(shape[1:], size, stride, padding, "test")
    assert (win.out_h, win.out_w) == oracles.output_size(shape, size, stride, padding)
    assert (win.top, win.bottom) == oracles.pads(shape[1], size[0], stride[0], padding)
    assert (win.left, win.right) == oracles.pads(shape[2], size[1], stride[1], padding)


@given(h=st.integers(1, 40), window=st.integers(1, 7), stride=st.integers(1, 5))
def test_same_padding_gives_one_output_per_stride_whatever_the_window(h, window, stride):
    win = place_windows((h, h, 1), (window, window), (stride, stride), "same", "test")
    assert win.out_h == -(-h // stride)


def test_same_padding_puts_the_odd_row_at_the_bottom_and_right():
    win = place_windows((28, 28, 1), (2, 4), (1, 1), "same", "test")
    assert (win.top, win.bottom, win.left, win.right) == (0, 1, 1, 2)


def test_same_padding_with_a_stride_depends_on_what_the_stride_leaves_over():
    even = place_windows((28, 28, 1), (3, 3), (2, 2), "same", "test")
    odd = place_windows((27, 27, 1), (3, 3), (2, 2), "same", "test")
    assert (even.top, even.bottom, even.out_h) == (0, 1, 14)
    assert (odd.top, odd.bottom, odd.out_h) == (1, 1, 14)


def test_a_window_larger_than_the_image_says_so_and_what_to_do():
    message = r'Conv2D: a window of 5×1 does not fit into the input of 4×9 \(padding \'valid\'\).*padding="same"'
    with pytest.raises(ValueError, match=message):
        place_windows((4, 9, 1), (5, 1), (1, 1), "valid", "Conv2D")
