"""Winograd's convolution with tiles of 4x4 against the plain one in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.compiled.convolution import patch_starts
from scratchnet.compiled.jit import readable
from scratchnet.compiled.simd import LANES
from scratchnet.compiled.winograd import (
    exchange,
)
from scratchnet.compiled.winograd4 import (
    PLANES,
    SIDE,
    saves_products,
    transform_filters4,
    winograd4,
    winograd4_gradients,
)
from scratchnet.compiled.winograd_tiles import (
    TILES,
    filter_scratch,
    input_places,
    output_places,
    padded_size,
    winograd_scratch,
)
from tests.compiled.test_convolution import Problem, assert_close
from tests.compiled.test_winograd import padded

TOLERANCE = 2e-5


def cut_into_tiles(x, out_h, out_w):
    """The images with zeros below and on the right, so that all tiles are whole, and where the tiles begin."""
    x = padded(x, 0, 0, padded_size(out_h, SIDE), padded_size(out_w, SIDE))
    return x, patch_starts(*x.shape, -(-out_h // SIDE), -(-out_w // SIDE), SIDE, SIDE)


def transformed(w, run=transform_filters4):
    u = filter_scratch(*w.shape[2:], PLANES)
    u[:] = np.nan
    run(w, u)
    return u


def convolved(x, w, b, out_h, out_w, relu=False, run=winograd4, transform=transform_filters4):
    """The convolution of images that begin where their patches begin."""
    (n, _, _, c), f = x.shape, w.shape[3]
    x, starts = cut_into_tiles(x, out_h, out_w)
    y = np.full((n, out_h, out_w, f), np.nan, np.float32)
    scratch = winograd_scratch(c, f, PLANES)
    run(x, starts, transformed(w, transform), b, y, output_places(*y.shape, SIDE), *scratch, x.shape[2] * c, relu)
    return y


def gradients(p, run=winograd4_gradients, border=0):
    """dW, db and dx; the outermost `border` rows and columns of the images count as padding, whose dx is not wanted."""
    x, starts = cut_into_tiles(p.x, p.out_h, p.out_w)
    dw, db = np.full(p.w.shape, np.nan, np.float32), np.full(p.f, np.nan, np.float32)
    exchanged = np.empty((3, 3, p.f, p.c), np.float32)
    exchange(p.w, exchanged)
    n, h, w, c = p.x.shape
    dx = np.full((n, h - 2 * border, w - 2 * border, c), np.nan, np.float32)
    dx_places = input_places(*dx.shape, border, border, p.out_h, p.out_w, SIDE)
    scratch = *winograd_scratch(p.c, p.f, PLANES), filter_scratch(p.c, p.f, PLANES)
    places, u = output_places(*p.dy.shape, SIDE), transformed(exchanged)
    run(x, starts, p.dy, places, u, dw, db, dx, dx_places, *scratch, x.shape[2] * p.c)
    return dw, db, dx


def assert_everything_is_right(p, relu):
    exact = p.exact()
    assert_close(convolved(p.x, p.w, p.b, p.out_h, p.out_w, relu), np.maximum(exact, 0) if relu else exact, TOLERANCE)
    for border in (0, 1):
        dw, db, dx = gradients(p, border=border)
        assert_close(dw, p.exact_weight_gradient().reshape(dw.shape), TOLERANCE)
        assert_close(db, p.dy.sum(axis=(0, 1, 2), dtype=np.float64))
        inner = slice(border, -border or None)
        assert_close(dx, p.exact_input_gradient()[:, inner, inner], TOLERANCE)


@st.composite
def problems(draw):
    c, f = (draw(st.sampled_from([1, 3, LANES, LANES + 5]) | st.integers(1, 3 * LANES)) for _ in range(2))
    h, w = (draw(st.integers(3, 13)) for _ in range(2))
    return Problem(draw(st.integers(1, 3)), h, w, c, f, 3, 3)


@given(problems(), st.booleans())
def test_large_tiles_give_the_convolution_for_any_shape(problem, relu):
    assert_everything_is_right(problem, relu)


@pytest.mark.parametrize("shape", [(3, 16, 16, 32, 64), (4, 9, 9, 64, 128), (8, 5, 5, 64, 64)])
def test_large_tiles_at_the_sizes_of_a_network(shape):
    p = Problem(*shape, 3, 3)
    assert_everything_is_right(p, relu=False)


def test_more_large_tiles_than_are_transformed_at_a_time():
    p = Problem(3, 13, 14, 5, 6, 3, 3)
    assert p.n * 3 * 3 > TILES
    assert_everything_is_right(p, relu=True)


def test_large_tiles_on_this_instruction_set():
    for c, f in ((2, 3), (LANES + 1, 2 * LANES + 1)):
        assert_everything_is_right(Problem(2, 7, 6, c, f, 3, 3), relu=True)


def test_readable_large_tiles_are_large_tiles():
    p = Problem(1, 7, 6, 2, 3, 3, 3)
    arguments = p.x, p.w, p.b, p.out_h, p.out_w, True
    plain = convolved(*arguments, run=readable(winograd4), transform=readable(transform_filters4))
    assert_close(plain, convolved(*arguments), 1e-6)
    for got, want in zip(gradients(p, readable(winograd4_gradients)), gradients(p), strict=True):
        assert_close(got, want, 1e-6)


def test_black_images_give_the_bias_exactly():
    p = Problem(1, 8, 8, LANES, 3, 3, 3)
    assert np.array_equal(convolved(np.zeros_like(p.x), p.w, p.b, 6, 6), np.broadcast_to(p.b, (1, 6, 6, 3)))


def test_nan_is_not_hidden_by_relu():
    p = Problem(1, 6, 6, 1, 2, 3, 3)
    p.x[:] = np.nan
    assert np.isnan(convolved(p.x, p.w, p.b, 4, 4, relu=True)).all()


def test_rounding_costs_a_millionth():
    """Transforms made of the points 0, 1, -1, 2 and -2 would not pass."""
    p = Problem(4, 18, 18, 64, 64, 3, 3)
    exact = p.exact()
    error = convolved(p.x, p.w, p.b, 16, 16) - exact
    assert np.sqrt(np.mean(error**2) / np.mean(exact**2)) < 1.2e-6


def test_large_tiles_are_chosen_where_they_waste_little():
    assert all(saves_products(size, size) for size in (3, 4, 7, 8, 11, 12, 14, 16, 28))
    assert not any(saves_products(size, size) for size in (1, 2, 5, 6))
    assert padded_size(14, SIDE) == 18 and padded_size(16, SIDE) == 18


def test_positions_outside_the_output_have_no_place():
    places = output_places(1, 5, 4, 10, SIDE).reshape(2, 4, 4)
    assert places[0, 0].tolist() == [0, 10, 20, 30]
    assert places[1, 0].tolist() == [160, 170, 180, 190]
    assert (places[1, 1:] == -1).all()
