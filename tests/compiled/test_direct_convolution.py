"""Convolutions and their gradients against sums over taps in float64, and against the seven loops of the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import readable
from scratchnet.compiled.kernels.conv.direct import (
    BLOCK,
    NO_GRADIENT,
    convolve,
    convolve_pool,
    input_gradient,
    pack_taps,
    patch_starts,
    pool_scratch_size,
    weight_gradient,
)
from scratchnet.compiled.kernels.conv.unpacked import convolve_unpacked, scale_and_shift
from scratchnet.compiled.kernels.gemm import pack_panels, padded_width
from scratchnet.compiled.kernels.winograd.tiling import block_rows
from scratchnet.compiled.simd.intrinsics import LANES
from scratchnet.compiled.simd.target import PAIR
from tests import oracles

TOLERANCE = 1e-5


class Problem:
    """Random images, filters and an upstream gradient; the exact results by one product per tap."""

    def __init__(self, n, h, w, c, f, k_h, k_w, s_h=1, s_w=1, pool=None, whole_numbers=False):
        rng = np.random.default_rng([n, h, w, c, f, k_h, k_w])
        draw = (lambda *s: rng.integers(-2, 3, s)) if whole_numbers else (lambda *s: rng.normal(size=s))
        self.x, self.w, self.b = draw(n, h, w, c), draw(k_h, k_w, c, f), draw(f)
        self.x, self.w, self.b = (a.astype(np.float32) for a in (self.x, self.w, self.b))
        self.n, self.c, self.f, self.k, self.s, self.pool = n, c, f, (k_h, k_w), (s_h, s_w), pool
        self.out_h, self.out_w = (h - k_h) // s_h + 1, (w - k_w) // s_w + 1
        self.dy = rng.normal(size=(n, self.out_h, self.out_w, f)).astype(np.float32)
        self.starts = patch_starts(*self.x.shape, self.out_h, self.out_w, s_h, s_w)
        self.panels = aligned_empty((k_h * k_w * c + 1) * padded_width(f))
        pack_panels(self.w.reshape(-1, f), self.b, self.panels)

    def under_tap(self, x, u, v):
        """The pixels that tap (u, v) meets, one for each output position."""
        return x[:, u:, v:][
            :, : (self.out_h - 1) * self.s[0] + 1 : self.s[0], : (self.out_w - 1) * self.s[1] + 1 : self.s[1]
        ]

    def taps(self):
        return np.ndindex(*self.k)

    def exact(self):
        x = self.x.astype(np.float64)
        return sum(self.under_tap(x, u, v) @ self.w[u, v] for u, v in self.taps()) + self.b

    def exact_weight_gradient(self):
        x = self.x.astype(np.float64)
        return np.array([np.einsum("nijc,nijf->cf", self.under_tap(x, *tap), self.dy) for tap in self.taps()])

    def exact_input_gradient(self):
        dx = np.zeros(self.x.shape)
        for u, v in self.taps():
            self.under_tap(dx, u, v)[...] += self.dy.astype(np.float64) @ self.w[u, v].T
        return dx

    def geometry(self):
        return self.k[0], self.x.shape[2] * self.c, self.k[1] * self.c

    def exact_pool(self, relu):
        p_h, p_w = self.pool
        windows = self.exact()[:, : self.out_h // p_h * p_h, : self.out_w // p_w * p_w]
        windows = windows.reshape(self.n, self.out_h // p_h, p_h, self.out_w // p_w, p_w, self.f)
        windows = windows.transpose(0, 1, 3, 5, 2, 4).reshape(self.n, self.out_h // p_h, self.out_w // p_w, self.f, -1)
        best, which = windows.max(axis=-1), windows.argmax(axis=-1)
        return (np.maximum(best, 0), np.where(best > 0, which, NO_GRADIENT)) if relu else (best, which)

    def convolve(self, relu, run=convolve):
        y = np.full((self.n, self.out_h, self.out_w, self.f), np.nan, np.float32)
        run(self.x, self.starts, self.panels, y, *self.geometry(), relu)
        return y

    def convolve_pool(self, relu, run=convolve_pool):
        (p_h, p_w), (s_h, s_w) = self.pool, self.s
        y = np.full((self.n, self.out_h // p_h, self.out_w // p_w, self.f), np.nan, np.float32)
        argmax = np.full(y.shape, 99, np.uint8)
        starts = patch_starts(*self.x.shape, *y.shape[1:3], s_h * p_h, s_w * p_w)
        cells = [(i * s_h * self.x.shape[2] + j * s_w) * self.c for i, j in np.ndindex(p_h, p_w)]
        scratch = aligned_empty(pool_scratch_size(p_h * p_w))
        run(self.x, starts, np.array(cells, np.int32), self.panels, y, argmax, scratch, *self.geometry(), relu)
        return y, argmax

    def weight_gradient(self, run=weight_gradient):
        dw, db = np.full(self.w.shape, np.nan, np.float32), np.full(self.f, np.nan, np.float32)
        scratch = aligned_empty(BLOCK * padded_width(self.f))
        run(self.x, self.starts, self.dy, dw, db, scratch, *self.geometry())
        return dw, db

    def input_gradient(self, run=input_gradient):
        panels = aligned_empty(self.w.size // self.c * padded_width(self.c))
        pack_taps(self.w, panels)
        dx = np.full(self.x.shape, np.nan, np.float32)
        run(self.dy, self.starts, panels, dx, *self.k, self.x.shape[2] * self.c)
        return dx


def assert_close(got, exact, tolerance=TOLERANCE):
    assert got.dtype == np.float32 and got.shape == exact.shape
    np.testing.assert_allclose(got, exact, rtol=0, atol=tolerance * max(1, np.abs(exact).max()))


def assert_everything_is_right(problem, relu):
    exact = problem.exact()
    assert_close(problem.convolve(relu), np.maximum(exact, 0) if relu else exact)
    dw, db = problem.weight_gradient()
    assert_close(dw, problem.exact_weight_gradient().reshape(dw.shape))
    assert_close(db, problem.dy.sum(axis=(0, 1, 2), dtype=np.float64))
    assert_close(problem.input_gradient(), problem.exact_input_gradient())


@st.composite
def problems(draw, pool=False):
    k_h, k_w, s_h, s_w = (draw(st.integers(1, 4)) for _ in range(4))
    c, f = (draw(st.sampled_from([1, 2, 3, 5, LANES, LANES + 3]) | st.integers(1, 3 * LANES)) for _ in range(2))
    p_h, p_w = (draw(st.integers(1, 3)) for _ in range(2)) if pool else (1, 1)
    h = k_h + s_h * (p_h - 1) + draw(st.integers(0, 7))
    w = k_w + s_w * (p_w - 1) + draw(st.integers(0, 7))
    return Problem(draw(st.integers(1, 3)), h, w, c, f, k_h, k_w, s_h, s_w, (p_h, p_w), draw(st.booleans()))


@given(problems(), st.booleans())
def test_convolution_and_its_gradients_of_any_shape(problem, relu):
    assert_everything_is_right(problem, relu)


@given(problems(pool=True), st.booleans())
def test_pool_takes_the_first_maximum_of_every_window(problem, relu):
    y, argmax = problem.convolve_pool(relu)
    exact, which = problem.exact_pool(relu)
    assert_close(y, exact)
    if (problem.x == np.round(problem.x)).all():  # small whole numbers: no rounding, and many ties
        assert np.array_equal(argmax, which)
    else:
        assert np.mean(argmax != which) < 0.01  # two candidates closer than rounding may change places
        assert set(np.unique(argmax)) <= {*range(int(np.prod(problem.pool))), NO_GRADIENT}


@pytest.mark.parametrize("shape", [(8, 13, 13, 32, 64, 3, 3), (9, 12, 12, 24, 32, 3, 3), (3, 14, 14, 4, 24, 5, 5)])
def test_convolution_at_the_sizes_of_a_network(shape):
    problem = Problem(*shape, pool=(2, 2))
    assert_everything_is_right(problem, relu=True)
    assert_close(problem.convolve_pool(relu=True)[0], problem.exact_pool(relu=True)[0])


def test_convolution_agrees_with_the_seven_loops():
    p = Problem(2, 6, 5, 2, 3, 3, 2, 2, 1)
    x, w, dy = (a.astype(np.float64) for a in (p.x, p.w, p.dy))
    assert_close(p.convolve(relu=False), oracles.conv2d(x, w, p.b, (2, 1), "valid"))
    dx, dw, db = oracles.conv2d_gradients(x, w, (2, 1), "valid", dy)
    assert_close(p.input_gradient(), dx)
    assert_close(p.weight_gradient()[0], dw)
    assert_close(p.weight_gradient()[1], db)


def test_convolutions_on_this_instruction_set():
    for f in (1, LANES + 2, 2 * LANES):
        problem = Problem(2, 7, 6, 3, f, 3, 2, pool=(2, 2), whole_numbers=True)
        assert_everything_is_right(problem, relu=True)
        y, argmax = problem.convolve_pool(relu=True)
        exact, which = problem.exact_pool(relu=True)
        assert_close(y, exact)
        assert np.array_equal(argmax, which)


def test_readable_kernels_are_the_kernels():
    p = Problem(1, 4, 5, 2, 3, 3, 2, pool=(2, 2))
    assert_close(p.convolve(True, readable(convolve)), p.convolve(True), 1e-6)
    y, argmax = p.convolve_pool(True, readable(convolve_pool))
    assert_close(y, p.convolve_pool(True)[0], 1e-6)
    assert np.array_equal(argmax, p.convolve_pool(True)[1])
    for got, want in zip(p.weight_gradient(readable(weight_gradient)), p.weight_gradient(), strict=True):
        assert_close(got, want, 1e-6)
    assert_close(p.input_gradient(readable(input_gradient)), p.input_gradient(), 1e-6)


def test_tables_for_more_images_than_there_are_do_no_harm():
    p = Problem(3, 5, 5, 2, 3, 3, 3)
    y = np.empty((1, 3, 3, 3), np.float32)
    convolve(p.x[:1], p.starts, p.panels, y, *p.geometry(), False)
    assert_close(y, p.exact()[:1])


def test_a_dead_window_is_marked_and_nan_is_not_hidden():
    p = Problem(1, 4, 4, 1, 2, 1, 1, pool=(2, 2))
    p.b[:], p.w[:], p.x[:] = 0, 1, -1
    pack_panels(p.w.reshape(1, 2), p.b, p.panels)
    y, argmax = p.convolve_pool(relu=True)
    assert (y == 0).all() and (argmax == NO_GRADIENT).all()
    y, argmax = p.convolve_pool(relu=False)
    assert (y == -1).all() and (argmax == 0).all()
    p.x[:] = np.nan
    assert np.isnan(p.convolve_pool(relu=True)[0]).all() and np.isnan(p.convolve(relu=True)).all()


def test_offsets_beyond_32_bits_are_refused():
    with pytest.raises(ValueError, match="Use smaller chunks"):
        patch_starts(1000, 2000, 2000, 64, 1, 1, 1, 1)


def unpacked(p, norm, floors, rows, run=convolve_unpacked):
    y = np.full((p.n, p.out_h, p.out_w, p.f), np.nan, np.float32)
    run(p.x, p.starts, p.w, p.b, norm, y, *p.geometry(), tuple(map(np.float32, floors)), rows, PAIR)
    return y


@given(problems(), st.sampled_from([(0, -np.inf), (-np.inf, 0), (-np.inf, -np.inf)]))
def test_convolution_with_weights_that_are_not_packed_and_a_norm_behind_it(problem, floors):
    rng = np.random.default_rng(problem.f)
    a, s = rng.normal(size=(2, problem.f)).astype(np.float32)
    exact = np.maximum(np.maximum(problem.exact(), floors[0]) * a + s, floors[1])
    assert_close(unpacked(problem, (a, s), floors, block_rows(problem.n * problem.out_h * problem.out_w)), exact)


def test_readable_unpacked_convolution():
    p = Problem(1, 5, 4, 3, LANES + 2, 2, 3)
    a, s = np.full(p.f, 2, np.float32), np.ones(p.f, np.float32)
    got = unpacked(p, (a, s), (0, -np.inf), block_rows(1), readable(convolve_unpacked))
    assert_close(got, 2 * np.maximum(p.exact(), 0) + 1)


def test_the_scale_and_shift_of_a_norm_are_those_of_the_layer(rng):
    norm, x = sn.BatchNorm(), rng.normal(size=(2, 3, 3, 5))
    norm.build((3, 3, 5), rng)
    for name in ("gamma", "beta", "running_mean", "running_var"):
        setattr(norm, name, rng.uniform(0.5, 2, 5).astype(np.float32))
    a, s = np.empty((2, 5), np.float32)
    scale_and_shift(norm.gamma, norm.beta, norm.running_mean, norm.running_var, norm.epsilon, a, s)
    np.testing.assert_allclose(a * x + s, norm.forward(x, sn.layers.Context())[0], rtol=1e-5, atol=1e-5)
