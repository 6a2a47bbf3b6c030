"""Winograd's convolution against the plain one in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.compiled.convolution import DEAD, patch_starts
from scratchnet.compiled.jit import readable
from scratchnet.compiled.memory import aligned_zeros
from scratchnet.compiled.simd import LANES
from scratchnet.compiled.winograd import (
    exchange,
    transform_filters,
    winograd,
    winograd_gradients,
    winograd_pool,
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

TOLERANCE = 1e-5


def padded(x, top, left, h, w):
    """The images in the middle of zeros, (n, h, w, c)."""
    larger = aligned_zeros((len(x), h, w, x.shape[3]))
    larger[:, top:top + x.shape[1], left:left + x.shape[2]] = x
    return larger


def convolved(x, w, b, out_h, out_w, relu=False, run=winograd):
    """The convolution of images that begin where their patches begin."""
    (n, _, _, c), f = x.shape, w.shape[3]
    x = padded(x, 0, 0, padded_size(out_h), padded_size(out_w))
    starts = patch_starts(*x.shape, (out_h + 1) // 2, (out_w + 1) // 2, 2, 2)
    u = filter_scratch(c, f)
    transform_filters(w, u)
    y = np.full((n, out_h, out_w, f), np.nan, np.float32)
    run(x, starts, u, b, y, output_places(*y.shape), *winograd_scratch(c, f), x.shape[2] * c, relu)
    return y


def pooled(p, relu, run=winograd_pool):
    u = filter_scratch(p.c, p.f)
    transform_filters(p.w, u)
    y = np.full((p.n, p.out_h // 2, p.out_w // 2, p.f), np.nan, np.float32)
    winner = np.full(y.shape, 99, np.uint8)
    starts = patch_starts(*p.x.shape, *y.shape[1:3], 2, 2)
    run(p.x, starts, u, p.b, y, winner, *winograd_scratch(p.c, p.f), p.x.shape[2] * p.c, relu)
    return y, winner


def gradients(p, run=winograd_gradients, border=0):
    """dW, db and dx; the outermost `border` rows and columns of the images count as padding, whose dx is not wanted."""
    x = padded(p.x, 0, 0, padded_size(p.out_h), padded_size(p.out_w))
    starts = patch_starts(*x.shape, (p.out_h + 1) // 2, (p.out_w + 1) // 2, 2, 2)
    dw, db = np.full(p.w.shape, np.nan, np.float32), np.full(p.f, np.nan, np.float32)
    exchanged, u = np.empty((3, 3, p.f, p.c), np.float32), filter_scratch(p.f, p.c)
    exchange(p.w, exchanged)
    transform_filters(exchanged, u)
    n, h, w, c = p.x.shape
    dx = np.full((n, h - 2 * border, w - 2 * border, c), np.nan, np.float32)
    dx_places = input_places(*dx.shape, border, border, p.out_h, p.out_w)
    scratch = *winograd_scratch(p.c, p.f), filter_scratch(p.c, p.f)
    run(x, starts, p.dy, output_places(*p.dy.shape), u, dw, db, dx, dx_places, *scratch, x.shape[2] * p.c)
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
    h, w = (draw(st.integers(3, 11)) for _ in range(2))
    return Problem(draw(st.integers(1, 3)), h, w, c, f, 3, 3, pool=(2, 2), whole_numbers=draw(st.booleans()))


@given(problems(), st.booleans())
def test_winograd_is_the_convolution_for_any_shape(problem, relu):
    assert_everything_is_right(problem, relu)


@given(problems().filter(lambda p: p.out_h > 1 and p.out_w > 1), st.booleans())
def test_pooled_winograd_takes_the_first_maximum(problem, relu):
    y, winner = pooled(problem, relu)
    exact, which = problem.exact_pool(relu)
    assert_close(y, exact, TOLERANCE)
    if (problem.x == np.round(problem.x)).all():      # halves and quarters of small whole numbers: no rounding
        assert np.array_equal(winner, which)
    else:
        assert np.mean(winner != which) < 0.01        # two candidates closer than rounding may change places


def test_more_tiles_than_are_transformed_at_a_time():
    p = Problem(3, 12, 13, 5, 6, 3, 3, pool=(2, 2))
    assert p.n * 5 * 6 > TILES
    assert_everything_is_right(p, relu=True)
    assert_close(pooled(p, True)[0], p.exact_pool(True)[0], TOLERANCE)


@pytest.mark.parametrize("shape", [(4, 13, 13, 32, 64), (3, 16, 16, 32, 64), (3, 9, 9, 64, 128), (2, 12, 12, 24, 32)])
def test_winograd_at_the_sizes_of_a_network(shape):
    p = Problem(*shape, 3, 3, pool=(2, 2))
    assert_everything_is_right(p, relu=False)
    assert_close(pooled(p, True)[0], p.exact_pool(True)[0], TOLERANCE)


def test_winograd_on_this_instruction_set():
    for c, f in ((2, 3), (LANES + 1, 2 * LANES + 1)):
        p = Problem(2, 7, 6, c, f, 3, 3, pool=(2, 2), whole_numbers=True)
        assert_everything_is_right(p, relu=True)
        y, winner = pooled(p, True)
        exact, which = p.exact_pool(True)
        assert_close(y, exact, TOLERANCE)
        assert np.array_equal(winner, which)


def test_readable_winograd_is_winograd():
    p = Problem(1, 5, 6, 2, 3, 3, 3, pool=(2, 2))
    arguments = p.x, p.w, p.b, p.out_h, p.out_w, True
    assert_close(convolved(*arguments, run=readable(winograd)), convolved(*arguments), 1e-6)
    y, winner = pooled(p, True, readable(winograd_pool))
    assert_close(y, pooled(p, True)[0], 1e-6)
    assert np.array_equal(winner, pooled(p, True)[1])
    for got, want in zip(gradients(p, readable(winograd_gradients)), gradients(p), strict=True):
        assert_close(got, want, 1e-6)


def test_a_position_outside_the_output_is_neither_written_nor_read():
    places = output_places(1, 3, 3, 10).reshape(2, 2, 4)
    assert places[0, 0].tolist() == [0, 10, 30, 40]
    assert places[1, 1].tolist() == [80, -1, -1, -1]
    assert [padded_size(out) for out in (1, 2, 3, 11)] == [4, 4, 6, 14]


def test_a_dead_window_is_marked_and_nan_is_not_hidden():
    p = Problem(1, 4, 4, 1, 2, 3, 3, pool=(2, 2))
    p.x[:], p.w[:], p.b[:] = -1, 1, 0
    y, winner = pooled(p, relu=True)
    assert (y == 0).all() and (winner == DEAD).all()
    p.x[:] = np.nan
    assert np.isnan(pooled(p, relu=True)[0]).all()
    assert np.isnan(convolved(p.x, p.w, p.b, 2, 2, relu=True)).all()
