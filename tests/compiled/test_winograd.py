"""Winograd's convolution, on tiles of every size, against the plain one in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.compiled.jit.aligned import aligned_zeros
from scratchnet.compiled.jit.decorators import readable
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT, patch_starts
from scratchnet.compiled.kernels.winograd.backward import swap_channels, winograd_gradients
from scratchnet.compiled.kernels.winograd.forward import transform_filters, winograd, winograd_pool
from scratchnet.compiled.kernels.winograd.matrices import POINTS, matrices
from scratchnet.compiled.kernels.winograd.tiling import (
    TILES,
    best_side,
    block_rows,
    filter_scratch,
    input_offsets,
    numbers,
    output_offsets,
    padded_size,
    tiles,
    winograd_scratch,
)
from scratchnet.compiled.simd.intrinsics import LANES
from scratchnet.compiled.simd.target import ROWS
from tests.compiled.test_direct_convolution import Problem, assert_close

TOLERANCE = {2: 1e-5, 3: 1e-5, 4: 2e-5, 5: 5e-5}  # the more points, the farther they are from 0 and 1
SIDES = pytest.mark.parametrize("side", POINTS)


def cut_into_tiles(x, out_h, out_w, side):
    """The images with zeros below and on the right, so that all tiles are whole, and where the tiles begin."""
    n, h, w, c = x.shape
    larger = aligned_zeros((n, padded_size(out_h, side), padded_size(out_w, side), c))
    larger[:, :h, :w] = x
    return larger, patch_starts(*larger.shape, *tiles(side, out_h, out_w), side, side)


def transformed(w, side, run=transform_filters):
    u = filter_scratch(*w.shape[2:], side)
    u[:] = np.nan
    run(w, u, numbers(side))
    return u


def convolved(x, w, b, out_h, out_w, side, relu=False, run=winograd, transform=transform_filters, rows=ROWS):
    """The convolution of images that begin where their patches begin."""
    (n, _, _, c), f = x.shape, w.shape[3]
    x, starts = cut_into_tiles(x, out_h, out_w, side)
    u, scratch = transformed(w, side, transform), winograd_scratch(c, f, side)
    y = np.full((n, out_h, out_w, f), np.nan, np.float32)
    run(x, starts, u, b, y, output_offsets(*y.shape, side), *scratch, x.shape[2] * c, relu, numbers(side), rows)
    return y


def pooled(p, relu, run=winograd_pool, rows=ROWS):
    y = np.full((p.n, p.out_h // 2, p.out_w // 2, p.f), np.nan, np.float32)
    argmax = np.full(y.shape, 99, np.uint8)
    starts = patch_starts(*p.x.shape, *y.shape[1:3], 2, 2)
    tables = starts, transformed(p.w, 2), p.b, y, argmax, *winograd_scratch(p.c, p.f, 2)
    run(p.x, *tables, p.x.shape[2] * p.c, relu, rows)
    return y, argmax


def gradients(p, side, run=winograd_gradients, border=0):
    """dW, db and dx; the outermost `border` rows and columns of the images count as padding, whose dx is not wanted."""
    x, starts = cut_into_tiles(p.x, p.out_h, p.out_w, side)
    dw, db = np.full(p.w.shape, np.nan, np.float32), np.full(p.f, np.nan, np.float32)
    exchanged = np.empty((3, 3, p.f, p.c), np.float32)
    swap_channels(p.w, exchanged)
    n, h, w, c = p.x.shape
    dx = np.full((n, h - 2 * border, w - 2 * border, c), np.nan, np.float32)
    dx_places = input_offsets(*dx.shape, border, border, p.out_h, p.out_w, side)
    scratch = *winograd_scratch(p.c, p.f, side), filter_scratch(p.c, p.f, side)
    places, u = output_offsets(*p.dy.shape, side), transformed(exchanged, side)
    run(x, starts, p.dy, places, u, dw, db, dx, dx_places, *scratch, x.shape[2] * p.c, numbers(side))
    return dw, db, dx


def assert_everything_is_right(p, side, relu):
    exact, tolerance = p.exact(), TOLERANCE[side]
    y = convolved(p.x, p.w, p.b, p.out_h, p.out_w, side, relu)
    assert_close(y, np.maximum(exact, 0) if relu else exact, tolerance)
    for border in (0, 1):
        dw, db, dx = gradients(p, side, border=border)
        assert_close(dw, p.exact_weight_gradient().reshape(dw.shape), tolerance)
        assert_close(db, p.dy.sum(axis=(0, 1, 2), dtype=np.float64))
        inner = slice(border, -border or None)
        assert_close(dx, p.exact_input_gradient()[:, inner, inner], tolerance)


@st.composite
def problems(draw):
    c, f = (draw(st.sampled_from([1, 3, LANES, LANES + 5]) | st.integers(1, 3 * LANES)) for _ in range(2))
    h, w = (draw(st.integers(3, 13)) for _ in range(2))
    return Problem(draw(st.integers(1, 3)), h, w, c, f, 3, 3, pool=(2, 2), whole_numbers=draw(st.booleans()))


@SIDES
def test_the_matrices_turn_products_of_values_into_a_convolution(side):
    rng = np.random.default_rng(side)
    (A, B, G), g, d = matrices(side), rng.normal(size=3), rng.normal(size=side + 2)
    np.testing.assert_allclose(A.T @ ((G @ g) * (B @ d)), np.correlate(d, g), rtol=1e-12, atol=1e-12)


@given(problems(), st.sampled_from(list(POINTS)), st.booleans())
def test_winograd_is_the_convolution_for_any_shape(problem, side, relu):
    assert_everything_is_right(problem, side, relu)


@given(problems().filter(lambda p: p.out_h > 1 and p.out_w > 1), st.booleans())
def test_pooled_winograd_takes_the_first_maximum(problem, relu):
    y, argmax = pooled(problem, relu)
    exact, which = problem.exact_pool(relu)
    assert_close(y, exact, TOLERANCE[2])
    if (problem.x == np.round(problem.x)).all():  # halves and quarters of small whole numbers: no rounding
        assert np.array_equal(argmax, which)
    else:
        assert np.mean(argmax != which) < 0.01  # two candidates closer than rounding may change places


@SIDES
def test_more_tiles_than_are_transformed_at_a_time(side):
    p = Problem(5, 12, 13, 5, 6, 3, 3, pool=(2, 2))
    assert p.n * 4 * 5 > TILES
    assert_everything_is_right(p, side, relu=True)
    assert_close(pooled(p, True)[0], p.exact_pool(True)[0], TOLERANCE[2])


@pytest.mark.parametrize("side, shape", [
    (2, (4, 13, 13, 32, 64)), (2, (3, 9, 9, 64, 128)), (2, (2, 12, 12, 24, 32)), (3, (8, 5, 5, 64, 64)),
    (4, (4, 9, 9, 64, 128)), (5, (3, 16, 16, 32, 64)), (5, (2, 12, 12, 24, 32)),
])  # fmt: skip
def test_winograd_at_the_sizes_of_a_network(side, shape):
    p = Problem(*shape, 3, 3, pool=(2, 2))
    assert_everything_is_right(p, side, relu=False)
    if side == 2:
        assert_close(pooled(p, True)[0], p.exact_pool(True)[0], TOLERANCE[2])


@SIDES
def test_winograd_on_this_instruction_set(side):
    for c, f in ((2, 3), (LANES + 1, 2 * LANES + 1)):
        p = Problem(2, 7, 6, c, f, 3, 3, pool=(2, 2), whole_numbers=True)
        assert_everything_is_right(p, side, relu=True)
        if side == 2:
            y, argmax = pooled(p, True)
            exact, which = p.exact_pool(True)
            assert_close(y, exact, TOLERANCE[2])
            assert np.array_equal(argmax, which)


def test_the_rows_of_a_tile_of_registers_change_no_bit():
    p = Problem(2, 13, 9, 20, 33, 3, 3)
    expected, expected_pooled = convolved(p.x, p.w, p.b, p.out_h, p.out_w, 4), pooled(p, True)
    for count in (1, 9, 12, 18):
        rows = block_rows(count)
        assert np.array_equal(convolved(p.x, p.w, p.b, p.out_h, p.out_w, 4, rows=rows), expected)
        assert all(map(np.array_equal, pooled(p, True, rows=rows), expected_pooled))


@SIDES
def test_readable_winograd_is_winograd(side):
    p = Problem(1, 5, 6, 2, 3, 3, 3, pool=(2, 2))
    arguments = p.x, p.w, p.b, p.out_h, p.out_w, side, True
    plain = convolved(*arguments, run=readable(winograd), transform=readable(transform_filters))
    assert_close(plain, convolved(*arguments), TOLERANCE[side])
    for got, want in zip(gradients(p, side, readable(winograd_gradients)), gradients(p, side), strict=True):
        assert_close(got, want, TOLERANCE[side])
    if side == 2:
        y, argmax = pooled(p, True, readable(winograd_pool))
        assert_close(y, pooled(p, True)[0], 1e-6)
        assert np.array_equal(argmax, pooled(p, True)[1])


def test_a_position_outside_the_output_is_neither_written_nor_read():
    places = output_offsets(1, 3, 3, 10, 2).reshape(2, 2, 4)
    assert places[0, 0].tolist() == [0, 10, 30, 40]
    assert places[1, 1].tolist() == [80, -1, -1, -1]
    assert [padded_size(out, 2) for out in (1, 2, 3, 11)] == [4, 4, 6, 14]


def test_a_dead_window_is_marked_and_nan_is_not_hidden():
    p = Problem(1, 4, 4, 1, 2, 3, 3, pool=(2, 2))
    p.x[:], p.w[:], p.b[:] = -1, 1, 0
    y, argmax = pooled(p, relu=True)
    assert (y == 0).all() and (argmax == NO_GRADIENT).all()
    p.x[:] = np.nan
    assert np.isnan(pooled(p, relu=True)[0]).all()
    for side in POINTS:
        assert np.isnan(convolved(p.x, p.w, p.b, 2, 2, side, relu=True)).all()


@SIDES
def test_black_images_give_the_bias_exactly(side):
    p = Problem(1, 8, 8, LANES, 3, 3, 3)
    y = convolved(np.zeros_like(p.x), p.w, p.b, 6, 6, side)
    assert np.array_equal(y, np.broadcast_to(p.b, (1, 6, 6, 3)))


@pytest.mark.parametrize("side, limit", [(2, 4e-7), (3, 7e-7), (4, 1.2e-6), (5, 2.5e-6)])
def test_rounding_costs_a_millionth(side, limit):
    """Tiles of 4x4 with the points 0, 1, -1, 2 and -2 would not pass, nor tiles of 5x5 with 3 and -3 more."""
    p = Problem(4, 17, 17, 64, 64, 3, 3)
    exact = p.exact()
    error = convolved(p.x, p.w, p.b, 15, 15, side) - exact
    assert np.sqrt(np.mean(error**2) / np.mean(exact**2)) < limit


def test_the_tiles_that_need_fewest_products_are_chosen():
    chosen = {size: best_side(size, size) for size in (2, 3, 4, 5, 6, 7, 8, 10, 14, 28)}
    assert chosen == {2: 2, 3: 3, 4: 4, 5: 5, 6: 3, 7: 4, 8: 4, 10: 5, 14: 5, 28: 4}
