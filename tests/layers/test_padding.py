"""ZeroPadding2D: what is around the image, and what is refused."""

import numpy as np
import pytest

from scratchnet import Context, ZeroPadding2D


def test_every_side_has_its_own_border_and_the_gradient_of_the_border_is_dropped():
    x = np.arange(1, 5).reshape(1, 2, 2, 1)
    layer = ZeroPadding2D(((1, 0), (0, 2)))
    y, cache = layer.forward(x, Context())
    assert y[0, :, :, 0].tolist() == [[0, 0, 0, 0], [1, 2, 0, 0], [3, 4, 0, 0]]
    dx, _ = layer.backward(np.arange(12).reshape(1, 3, 4, 1), cache)
    assert dx[0, :, :, 0].tolist() == [[4, 5], [8, 9]]


@pytest.mark.parametrize(("padding", "sides", "text"), [
    (1, ((1, 1), (1, 1)), "ZeroPadding2D(1)"), ((1, 2), ((1, 1), (2, 2)), "ZeroPadding2D((1, 2))"),
    (((1, 2), (1, 2)), ((1, 2), (1, 2)), "ZeroPadding2D(((1, 2), (1, 2)))"),
    ([[0, 1], [0, 1]], ((0, 1), (0, 1)), "ZeroPadding2D(((0, 1), (0, 1)))"), (0, ((0, 0), (0, 0)), "ZeroPadding2D(0)"),
])  # fmt: skip
def test_a_padding_may_be_written_in_three_ways(padding, sides, text):
    layer = ZeroPadding2D(padding)
    assert layer.padding == sides and repr(layer) == text and eval(text).padding == sides


@pytest.mark.parametrize("padding", [(1, 2, 3), ((1, 2, 3), 1), ((1,), (2,))])
def test_another_number_of_sides_is_refused(padding):
    with pytest.raises(ValueError, match=r"must be a number of pixels, \(height, width\) or \(\(top, bottom\), "):
        ZeroPadding2D(padding)


@pytest.mark.parametrize("padding", [-1, 1.5, "same", None, (1, -1)])
def test_a_border_is_a_number_of_pixels(padding):
    with pytest.raises(ValueError, match="ZeroPadding2D padding must be an integer of at least 0, got"):
        ZeroPadding2D(padding)


def test_flat_input_is_refused():
    with pytest.raises(ValueError, match="ZeroPadding2D: expects images"):
        ZeroPadding2D(1).build((9,), np.random.default_rng(0))
