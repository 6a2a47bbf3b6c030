"""Matrix products against float64, for every shape; and nothing is written beside the result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.compiled.jit.aligned import aligned_empty, aligned_zeros
from scratchnet.compiled.jit.decorators import readable
from scratchnet.compiled.kernels.gemm import (
    matmul,
    pack_panels,
    pack_panels_transposed,
    padded_width,
    panel_width,
)
from scratchnet.compiled.kernels.skinny_gemm import matmul_unpacked, tile_for
from scratchnet.compiled.simd.intrinsics import LANES

UNTOUCHED = np.float32(1234.5)


def between_walls(shape):
    """An array, and the larger one it is the middle of, all filled with UNTOUCHED."""
    size = int(np.prod(shape))
    whole = np.full(size + 8 * LANES, UNTOUCHED, np.float32)
    return whole[4 * LANES : 4 * LANES + size].reshape(shape), whole


def assert_walls_stand(whole):
    assert (whole[: 4 * LANES] == UNTOUCHED).all() and (whole[-4 * LANES :] == UNTOUCHED).all()


def packed(b, bias, transposed=False):
    k, n = b.shape[::-1] if transposed else b.shape
    panels, whole = between_walls((k + 1) * padded_width(n))
    (pack_panels_transposed if transposed else pack_panels)(b, bias, panels)
    assert_walls_stand(whole)
    return panels


def assert_right(m, k, n, relu=False, add=False, transposed=False, b_transposed=False, run=matmul):
    rng = np.random.default_rng([m, k, n])
    a = rng.normal(size=(k, m) if transposed else (m, k)).astype(np.float32)
    b = rng.normal(size=(n, k) if b_transposed else (k, n)).astype(np.float32)
    bias = rng.normal(size=n).astype(np.float32)
    c, whole = between_walls((m, n))
    c[...] = rng.normal(size=(m, n))
    exact = (a.T if transposed else a).astype(np.float64) @ (b.T if b_transposed else b) + (c if add else bias)
    exact = np.maximum(exact, 0) if relu else exact
    run(a, packed(b, bias, b_transposed), c, relu, add, transposed)
    np.testing.assert_allclose(c, exact, atol=1e-5 * max(1, np.abs(exact).max()), rtol=0)
    assert_walls_stand(whole)


sizes = st.integers(1, 3 * LANES) | st.sampled_from([1, 7, 8, 9, LANES - 1, LANES, LANES + 1, 2 * LANES, 100])


@given(sizes, sizes, sizes, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_product_of_any_shape(m, k, n, relu, add, transposed, b_transposed):
    assert_right(m, k, n, relu, add, transposed, b_transposed)


@pytest.mark.parametrize("m, k, n", [(32, 1600, 128), (32, 64, 10), (7, 300, 33)])
def test_product_at_the_sizes_of_a_dense_layer(m, k, n):
    assert_right(m, k, n, relu=True)
    assert_right(m, k, n, b_transposed=True)
    assert_right(k, m, n, transposed=True)


def test_products_on_this_instruction_set():
    for n in (1, LANES, LANES + 3, 3 * LANES + 1):
        assert_right(19, 11, n, relu=True)
        assert_right(9, 5, n, add=True, transposed=True, b_transposed=True)


def test_readable_product_is_the_product():
    assert_right(9, 3, LANES + 2, relu=True, run=readable(matmul))
    assert_right(3, 2, 2 * LANES, add=True, transposed=True, run=readable(matmul))


def test_packing_leaves_the_arguments_alone_and_fills_up_with_zeros():
    b, bias = np.full((3, LANES + 1), 2, np.float32), np.full(LANES + 1, 5, np.float32)
    panels = packed(b, bias).reshape(4, 2 * LANES)
    assert (panels[0, : LANES + 1] == 5).all() and (panels[1:, : LANES + 1] == 2).all()
    assert (panels[:, LANES + 1 :] == 0).all()
    assert (b == 2).all() and (bias == 5).all()


@given(st.integers(1, 9), st.integers(1, 5 * LANES))
def test_transposed_packing_is_packing_of_the_transpose(k, n):
    b, bias = np.random.default_rng(n).normal(size=(k, n)).astype(np.float32), np.ones(n, np.float32)
    assert np.array_equal(packed(b, bias), packed(np.ascontiguousarray(b.T), bias, transposed=True))


@given(st.integers(1, 6 * LANES))
def test_panels_cover_every_column_once(n):
    widths, left = [], n
    while left > 0:
        widths.append(panel_width(left))
        left -= widths[-1]
    assert sum(widths) == padded_width(n) and n <= padded_width(n) < n + LANES
    assert all(width == 2 * LANES for width in widths[:-1])


def test_nan_and_infinity_are_not_hidden():
    b, bias = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    a, c = np.array([[np.nan, 1, -np.inf]], np.float32), np.empty((1, 3), np.float32)
    matmul(np.where(np.isinf(a), 1, a).astype(np.float32), packed(b, bias), c, True, False, False)
    assert np.isnan(c).all()  # NaN * 0 is NaN, and ReLU lets it through


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32])
@pytest.mark.parametrize("shape", [5, (3, 7), ()])
def test_aligned_memory_begins_at_a_multiple_of_64_bytes(shape, dtype):
    for array in (aligned_empty(shape, dtype), aligned_zeros(shape, dtype)):
        assert array.ctypes.data % 64 == 0 and array.dtype == dtype and array.flags.c_contiguous
        assert array.shape == ((shape,) if isinstance(shape, int) else shape)
    assert (aligned_zeros(shape, dtype) == 0).all()


@given(st.integers(1, 20), sizes, sizes | st.sampled_from([8 * LANES, 9 * LANES + 1]), st.booleans(), st.integers(0, 9))
def test_a_product_with_a_matrix_that_is_not_packed_has_the_same_bits(m, k, n, relu, first):
    rng = np.random.default_rng([m, k, n])
    a, b, bias = (rng.normal(size=size).astype(np.float32) for size in ((m, k), (k, n), n))
    c, whole = between_walls((m, n))
    expected = np.empty((m, n), np.float32)
    matmul(a, packed(b, bias), expected, relu, False, False)
    cut = min(first * LANES, n)  # the columns may be computed in two parts
    for start, stop in ((0, cut), (cut, n)):
        if start < stop:
            matmul_unpacked(a, b, bias, c, start, stop, relu, *tile_for(m, stop - start))
    assert np.array_equal(c, expected)
    assert_walls_stand(whole)


def test_readable_product_with_an_unpacked_matrix(rng):
    a, b = rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=(5, LANES + 3)).astype(np.float32)
    bias, c = rng.normal(size=LANES + 3).astype(np.float32), np.empty((3, LANES + 3), np.float32)
    readable(matmul_unpacked)(a, b, bias, c, 0, LANES + 3, True, *tile_for(3, LANES + 3))
    np.testing.assert_allclose(c, np.maximum(a.astype(np.float64) @ b + bias, 0), atol=1e-5)
