"""The first layer's kernels against the textbook's layers in float64, and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchnet.compiled.jit.decorators import execute, readable
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.kernels.conv.small_channels import (
    convolve_pool,
    gradient,
    groups,
    pack_weights,
    packed_weights,
    pooled_gradient,
    supports_forward,
    supports_gradient,
)
from scratchnet.compiled.simd.intrinsics import LANES
from scratchnet.compiled.simd.target import REGISTERS
from scratchnet.layers import Context, Conv2D, MaxPool2D, ReLU

TOLERANCE = 1e-5
UNTOUCHED = 123


def between_walls(shape, dtype=np.float32):
    """An array, and the larger one it is the middle of, all filled with UNTOUCHED."""
    size = int(np.prod(shape))
    whole = np.full(size + 8 * LANES, UNTOUCHED, dtype)
    return whole[4 * LANES : 4 * LANES + size].reshape(shape), whole


def assert_walls_stand(whole):
    assert (whole[: 4 * LANES] == UNTOUCHED).all() and (whole[-4 * LANES :] == UNTOUCHED).all()


def in_python(kernel, *arguments):
    """The kernel as plain Python."""
    readable(kernel)(*arguments)


class FirstLayer:
    """A first layer with random weights, images and an upstream gradient: exact, and by the kernels."""

    def __init__(self, n, h, w, c, filters, kernel, relu=True, whole_numbers=False):
        rng = np.random.default_rng([n, h, w, c, filters])
        draw = (lambda *s: rng.integers(-2, 3, s)) if whole_numbers else (lambda *s: rng.normal(size=s))
        self.x, self.w, self.b = (
            draw(*s).astype(np.float32) for s in ((n, h, w, c), (*kernel, c, filters), (filters,))
        )
        self.conv, self.relu, self.rng = Conv2D(filters, kernel), relu, rng
        self.conv.dtype = np.dtype("float64")
        self.z_shape = (n, *self.conv.build((h, w, c), rng))
        self.y_shape = (n, self.z_shape[1] // 2, self.z_shape[2] // 2, filters)

    def exact(self):
        """The pool's output and its winners."""
        self.conv.W[...], self.conv.b[...] = self.w, self.b
        z, self.cache = self.conv.forward(self.x.astype(np.float64), Context())
        pool = MaxPool2D(2)
        pool.build(z.shape[1:], self.rng)
        y, (argmax, _) = pool.forward(z, Context())
        argmax = argmax.reshape(y.shape)
        return (ReLU().forward(y, Context())[0], np.where(y > 0, argmax, NO_GRADIENT)) if self.relu else (y, argmax)

    def exact_gradient(self, dz):
        grads = self.conv.backward(dz.astype(np.float64), self.cache)[1]
        return grads["W"], grads["b"]

    def spread(self, dy, argmax):
        """dz of all positions: dy at the argmax of each window."""
        dz = np.zeros(self.z_shape, np.float32)
        for cell in range(4):
            at = dz[:, cell // 2 :, cell % 2 :][:, : 2 * dy.shape[1] : 2, : 2 * dy.shape[2] : 2]
            at[:, : dy.shape[1], : dy.shape[2]] = np.where(argmax == cell, dy, 0)
        return dz

    def forward(self, call=execute):
        (y, wall), (argmax, wall_2) = between_walls(self.y_shape), between_walls(self.y_shape, np.uint8)
        packed = packed_weights(*self.w.shape)
        pack_weights(self.w, self.b, packed)
        convolve_pool(call, self.x, packed, y, argmax, *self.w.shape[:2], self.relu)
        assert_walls_stand(wall)
        assert_walls_stand(wall_2)
        return y, argmax

    def gradient(self, run, *arguments, call=execute):
        (dw, wall), (db, wall_2) = between_walls(self.w.shape), between_walls(self.b.shape)
        sums = packed_weights(*self.w.shape)
        sums[...] = np.nan
        run(call, self.x, *arguments, dw, db, sums)
        assert_walls_stand(wall)
        assert_walls_stand(wall_2)
        return dw, db


def assert_close(got, exact):
    assert got.shape == exact.shape
    np.testing.assert_allclose(got, exact, rtol=0, atol=TOLERANCE * max(1, np.abs(exact).max()))


def assert_right(layer):
    exact, exact_winner = layer.exact()
    y, argmax = layer.forward()
    assert_close(y, exact)
    if (layer.x == np.round(layer.x)).all():  # small whole numbers: no rounding, and many ties
        assert np.array_equal(argmax, exact_winner)
    else:
        assert np.mean(argmax != exact_winner) < 0.01  # two candidates closer than rounding may change places
    dy = layer.rng.normal(size=y.shape).astype(np.float32)
    got = layer.gradient(pooled_gradient, dy, argmax)
    for array, want in zip(got, layer.exact_gradient(layer.spread(dy, argmax)), strict=True):
        assert_close(array, want)
    dz = layer.rng.normal(size=layer.z_shape).astype(np.float32)
    for array, want in zip(layer.gradient(gradient, dz), layer.exact_gradient(dz), strict=True):
        assert_close(array, want)


@st.composite
def layers(draw):
    k_h, k_w, c = draw(st.sampled_from([(3, 3, 1), (5, 5, 1), (2, 3, 2), (1, 1, 5), (3, 2, 3)]))
    h, w = k_h + draw(st.integers(1, 8)), k_w + draw(st.integers(1, 8))
    half = LANES // 2
    filters = draw(st.sampled_from([1, half, half + 1, LANES, LANES + half, 2 * LANES]) | st.integers(1, 40))
    return FirstLayer(draw(st.integers(1, 4)), h, w, c, filters, (k_h, k_w), draw(st.booleans()), draw(st.booleans()))


@settings(max_examples=50)
@given(layers())
def test_a_first_layer_of_any_shape_is_the_textbooks(layer):
    assert_right(layer)


@pytest.mark.parametrize("filters, kernel, c", [(32, (3, 3), 1), (24, (5, 5), 1), (6, (5, 5), 1), (32, (3, 3), 3)])
def test_a_first_layer_at_the_sizes_of_a_network(filters, kernel, c):
    assert_right(FirstLayer(5, 28, 28, c, filters, kernel))


def test_first_layers_on_this_instruction_set():
    for filters, c in ((1, 1), (LANES + LANES // 2, 1), (2 * LANES, 2)):
        assert_right(FirstLayer(3, 7, 8, c, filters, (3, 3), whole_numbers=True))


def test_of_equal_candidates_the_first_wins():
    layer = FirstLayer(2, 6, 6, 1, 3, (1, 1), relu=False)
    layer.x[...], layer.w[...], layer.b[...] = 1, 1, 0
    assert (layer.forward()[1] == 0).all()
    layer.x[:, ::2, ::2] = 0  # now cells 1, 2 and 3 are equal
    assert (layer.forward()[1] == 1).all()


def test_a_window_that_is_not_above_zero_is_dead():
    layer = FirstLayer(3, 6, 6, 1, LANES + 1, (3, 3))
    layer.w[...], layer.b[...] = 0, 0
    y, argmax = layer.forward()
    assert (y == 0).all() and (argmax == NO_GRADIENT).all()
    dy = np.full(y.shape, np.nan, np.float32)
    assert all((gradient == 0).all() for gradient in layer.gradient(pooled_gradient, dy, argmax))


def test_nan_is_not_hidden_wherever_in_a_window_it_is():
    for cell in range(4):
        layer = FirstLayer(1, 4, 4, 1, 3, (1, 1))
        layer.x[0, cell // 2, cell % 2] = np.nan
        y, _ = layer.forward()
        assert np.isnan(y[0, 0, 0]).all() and not np.isnan(y[0, 1:]).any() and not np.isnan(y[0, :, 1:]).any()


def test_infinity_is_a_number_like_others():
    layer = FirstLayer(1, 4, 4, 1, 3, (1, 1))
    layer.w[...], layer.x[0, 0, 1], layer.x[0, 2, 0] = 1, np.inf, -np.inf
    y, argmax = layer.forward()
    assert (y[0, 0, 0] == np.inf).all() and (argmax[0, 0, 0] == 1).all() and np.isfinite(y[0, 1, 0]).all()


@pytest.mark.parametrize("filters", [1, LANES // 2, LANES, LANES + 1])
def test_images_that_share_a_register_do_not_mix(filters):
    layer = FirstLayer(5, 8, 7, 1, filters, (3, 3))
    y, argmax = layer.forward()
    images = layer.x
    for i in range(5):
        layer.x, layer.y_shape = images[i : i + 1], (1, *y.shape[1:])
        alone = layer.forward()
        assert np.array_equal(alone[0][0], y[i]) and np.array_equal(alone[1][0], argmax[i])


@pytest.mark.parametrize("filters", [3, LANES])
def test_rows_and_columns_that_fill_no_window_have_no_influence(filters):
    layer = FirstLayer(2, 8, 9, 1, filters, (3, 3))  # 6 x 7 positions, 3 x 3 windows
    y, argmax = layer.forward()
    dw, db = layer.gradient(pooled_gradient, y, argmax)
    layer.x[:, :, 8] = np.nan
    assert np.array_equal(layer.forward()[0], y)
    again = layer.gradient(pooled_gradient, y, argmax)
    assert np.array_equal(again[0], dw) and np.array_equal(again[1], db)


def test_gradients_behind_the_pool_are_those_of_the_positions_that_won():
    layer = FirstLayer(4, 10, 10, 2, LANES + 2, (3, 3))
    _, argmax = layer.forward()
    dy = layer.rng.normal(size=layer.y_shape).astype(np.float32)
    pooled = layer.gradient(pooled_gradient, dy, argmax)
    for got, want in zip(pooled, layer.gradient(gradient, layer.spread(dy, argmax)), strict=True):
        assert_close(got, want)


def test_arguments_are_left_alone_and_runs_repeat():
    layer = FirstLayer(3, 9, 9, 1, LANES + 3, (3, 3))
    y, argmax = layer.forward()
    before = [a.copy() for a in (layer.x, y, argmax)]
    first = layer.gradient(pooled_gradient, y, argmax)
    assert all(map(np.array_equal, first, layer.gradient(pooled_gradient, y, argmax)))
    assert all(map(np.array_equal, before, (layer.x, y, argmax)))


@pytest.mark.parametrize("filters", [2, LANES])
def test_readable_kernels_are_the_kernels(filters):
    layer = FirstLayer(3, 5, 4, 2, filters, (2, 1))
    y, argmax = layer.forward()
    y_2, argmax_2 = layer.forward(call=in_python)
    assert_close(y_2, y)
    assert np.array_equal(argmax_2, argmax)
    dz = layer.rng.normal(size=layer.z_shape).astype(np.float32)
    for run, arguments in ((pooled_gradient, (y, argmax)), (gradient, (dz,))):
        readable_gradients = layer.gradient(run, *arguments, call=in_python)
        for got, want in zip(readable_gradients, layer.gradient(run, *arguments), strict=True):
            assert_close(got, want)


@given(st.integers(1, 100))
def test_every_filter_is_in_one_register(filters):
    covered = [first + i for first, count, _ in groups(filters) for i in range(count)]
    assert covered == list(range(filters))
    assert all(count * len(images) <= LANES for _, count, images in groups(filters))


def test_kernels_with_many_taps_are_left_to_others():
    assert supports_forward(3, 3, 1) and not supports_forward(3, 3, 3)
    assert supports_forward(5, 5, 1) == (REGISTERS == 32)
    assert supports_gradient(3, 3, 3) and not supports_gradient(5, 5, 3) and not supports_gradient(1, 1, 16)
