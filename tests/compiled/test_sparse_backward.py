"""The sparse gradients behind a pool against the textbook's layers in float64, which multiply by all the zeros."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import execute, readable
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT, patch_starts
from scratchnet.compiled.kernels.conv.sparse_backward import (
    BLOCK,
    pack_filters,
    relu_argmax,
    sparse_gradients,
    sparse_scratch,
    sparse_tile,
    unpack_filters,
)
from scratchnet.compiled.simd.intrinsics import LANES
from scratchnet.layers import Context, Conv2D, MaxPool2D, ReLU

TOLERANCE = 1e-5
UNTOUCHED = np.float32(1234.5)


def between_walls(shape, value, wall=UNTOUCHED):
    """An array of `value`, and the larger one of `wall` in whose middle it lies."""
    size = int(np.prod(shape))
    whole = np.full(size + 8 * LANES, wall, np.float32)
    array = whole[4 * LANES : 4 * LANES + size].reshape(shape)
    array[...] = value
    return array, whole


def assert_walls_stand(whole):
    assert (whole[: 4 * LANES] == UNTOUCHED).all() and (whole[-4 * LANES :] == UNTOUCHED).all()


class Block:
    """Conv2D, ReLU and MaxPool2D with random weights, images and an upstream gradient: exact, and by the kernels."""

    def __init__(self, n, h, w, c, filters, kernel, pool=(2, 2), stride=(1, 1), relu=True, pool_stride=None):
        rng = np.random.default_rng([n, h, w, c, filters])
        self.conv, self.pool = Conv2D(filters, kernel, stride), MaxPool2D(pool, pool_stride)
        self.layers = [self.conv, *([ReLU()] if relu else []), self.pool]
        shape = (h, w, c)
        for layer in self.layers:
            layer.dtype = np.dtype("float64")
            shape = layer.build(shape, rng)
        self.conv.W[...] = rng.normal(size=self.conv.W.shape).astype(np.float32)
        self.conv.b[...] = rng.normal(size=filters).astype(np.float32)
        self.x = rng.normal(size=(n, h, w, c)).astype(np.float32)
        self.dy = rng.normal(size=(n, *shape)).astype(np.float32)
        y, caches = self.x.astype(np.float64), []
        for layer in self.layers:
            y, cache = layer.forward(y, Context())
            caches.append(cache)
        self.caches = caches
        self.argmax = caches[-1][0].reshape(self.dy.shape).astype(np.uint8)
        if relu:
            self.argmax[y <= 0] = NO_GRADIENT

    def exact(self):
        """dW, db, dx"""
        d = self.dy.astype(np.float64)
        for layer, cache in zip(self.layers[::-1], self.caches[::-1], strict=True):
            d, grads = layer.backward(d, cache)
        return grads["W"], grads["b"], d

    def geometry(self):
        """starts, cells"""
        (_, h, w, c), (s_h, s_w) = self.x.shape, self.conv.stride
        (p_h, p_w), (t_h, t_w) = self.pool.pool_size, self.pool.stride
        cells = [(i * s_h * w + j * s_w) * c for i, j in np.ndindex(p_h, p_w)]
        starts = patch_starts(len(self.x), h, w, c, *self.dy.shape[1:3], s_h * t_h, s_w * t_w)
        return starts, np.array(cells, np.int32)

    def scratch(self):
        (k_h, k_w, c, filters), (_, out_h, out_w, _) = self.conv.W.shape, self.dy.shape
        return sparse_scratch(k_h, k_w, c, filters, out_h * out_w, int(np.prod(self.pool.pool_size)))

    def sparse(self, wants_dx=True, memory=None, call=execute):
        """dW, db, dx by the kernels; whatever they should write is NaN before, and has walls around it."""
        k_h, k_w, c, filters = self.conv.W.shape
        rows, vectors = sparse_tile(k_h, k_w, c)
        memory = memory or self.scratch()
        for array in memory:
            array[...] = 77
        packed = aligned_empty(memory[0].size)
        pack_filters(self.conv.W.astype(np.float32), packed, len(rows), len(vectors))
        shapes = (self.conv.W.shape, (filters,), self.x.shape if wants_dx else (0, 0, 0, 0))
        (dw, db, dx), walls = zip(*(between_walls(shape, np.nan) for shape in shapes), strict=True)
        x, _ = between_walls(self.x.shape, self.x, np.nan)
        line = self.x.shape[2] * c
        sizes = line, rows, vectors
        sparse_gradients(call, x, *self.geometry(), self.dy, self.argmax, packed, dw, db, dx, memory, *sizes)
        for wall in walls:
            assert_walls_stand(wall)
        return dw, db, dx


def assert_close(got, exact):
    assert got.dtype == np.float32 and got.shape == exact.shape
    np.testing.assert_allclose(got, exact, rtol=0, atol=TOLERANCE * max(1, np.abs(exact).max()))


def assert_right(block):
    for got, exact in zip(block.sparse(), block.exact(), strict=True):
        assert_close(got, exact)


# Kernels and channels: a run of whole vectors, one that ends within a vector, several pieces, several rows in a tile.
KERNELS = [(3, 3, 2 * LANES), (3, 3, LANES + LANES // 2), (2, 1, LANES), (2, 2, 7 * LANES - 3), (1, 4, LANES // 2 + 1)]


@st.composite
def blocks(draw):
    k_h, k_w, c = draw(st.sampled_from(KERNELS))
    p_h, p_w, s_h, s_w = (draw(st.integers(1, limit)) for limit in (3, 3, 2, 2))
    h = k_h + s_h * (p_h - 1) + draw(st.integers(0, 8))
    w = k_w + s_w * (p_w - 1) + draw(st.integers(0, 8))
    filters = draw(st.sampled_from([1, LANES - 1, LANES, 2 * LANES, 63, 64, 65]) | st.integers(1, 70))
    return Block(draw(st.integers(1, 4)), h, w, c, filters, (k_h, k_w), (p_h, p_w), (s_h, s_w), draw(st.booleans()))


@settings(max_examples=40)
@given(blocks())
def test_gradients_of_any_shape_are_the_textbooks(block):
    assert_right(block)


@pytest.mark.parametrize(
    "shape",
    [
        (6, 13, 13, 32, 64, (3, 3)),
        (4, 12, 12, 24, 32, (3, 3)),
        (33, 5, 5, 64, 128, (3, 3)),
        (2, 12, 12, 32, 64, (5, 5)),
    ],
)
def test_gradients_at_the_sizes_of_a_network(shape):
    assert_right(Block(*shape))


def test_gradients_on_this_instruction_set():
    for kernel in KERNELS[:3]:
        assert_right(Block(3, 8, 7, kernel[2], LANES + 3, kernel[:2]))


def test_more_windows_than_a_set_has_room_for():
    block = Block(2, 20, 18, LANES, 5, (1, 1))
    assert block.dy[0, :, :, 0].size > 2 * BLOCK
    assert_right(block)


def test_windows_that_overlap():
    assert_right(Block(2, 9, 9, LANES, 7, (2, 2), pool=(3, 3), pool_stride=(1, 2)))


def test_a_term_for_every_gradient_and_no_other():
    block = Block(2, 6, 7, LANES, 3, (2, 3))
    dw, db, dx = (np.zeros(shape) for shape in (block.conv.W.shape, 3, block.x.shape))
    for i, u, v, f in np.ndindex(block.dy.shape):
        g, cell = float(block.dy[i, u, v, f]), int(block.argmax[i, u, v, f])
        if cell != NO_GRADIENT:
            patch = np.s_[i, 2 * u + cell // 2 : 2 * u + cell // 2 + 2, 2 * v + cell % 2 : 2 * v + cell % 2 + 3]
            dw[..., f] += g * block.x[patch]
            db[f] += g
            dx[patch] += g * block.conv.W[..., f]
    for got, exact in zip(block.sparse(), (dw, db, dx), strict=True):
        assert_close(got, exact)


def test_pixels_that_no_window_reaches_have_no_gradient_and_no_influence():
    block = Block(2, 8, 9, LANES, 4, (3, 3))  # 6 x 7 positions, 3 x 3 windows: the last column is left over
    dw, _, dx = block.sparse()
    assert (dx[:, :, 8] == 0).all() and (dx[:, :, 7] != 0).any()
    block.x[:, :, 8] = np.nan
    assert np.array_equal(block.sparse()[0], dw)


@pytest.mark.parametrize("no_cell", [4, 100, NO_GRADIENT])
def test_where_everything_is_dead_all_gradients_are_zero(no_cell):
    block = Block(2, 6, 6, LANES, LANES + 1, (3, 3))
    block.argmax[...] = no_cell
    block.dy[...] = np.nan
    for gradient in block.sparse():
        assert (gradient == 0).all()


def test_a_dead_filter_has_no_gradient_and_others_keep_theirs():
    block = Block(2, 6, 6, LANES, 5, (3, 3))
    block.argmax[..., 2] = NO_GRADIENT
    dw, db, _ = block.sparse()
    assert (dw[..., 2] == 0).all() and db[2] == 0
    block.dy[..., 2] = np.nan
    assert np.array_equal(block.sparse()[0], dw)


def test_the_gradient_of_the_weights_does_not_depend_on_whether_that_of_the_input_is_wanted():
    block = Block(3, 8, 8, LANES, 9, (3, 3))
    both, alone = block.sparse(), block.sparse(wants_dx=False)
    assert np.array_equal(both[0], alone[0]) and np.array_equal(both[1], alone[1])


def test_an_image_has_the_same_gradient_in_any_company():
    block = Block(4, 8, 8, LANES, 9, (3, 3))
    _, _, dx = block.sparse()
    block.x, block.dy, block.argmax = (np.ascontiguousarray(a[2:3]) for a in (block.x, block.dy, block.argmax))
    assert np.array_equal(block.sparse()[2], dx[2:3])


def test_memory_may_be_used_again_and_arguments_are_left_alone():
    block = Block(3, 8, 8, LANES, 9, (3, 3))
    arguments = [a.copy() for a in (block.x, block.dy, block.argmax)]
    memory = block.scratch()
    first = block.sparse(memory=memory)
    for got, want in zip(block.sparse(memory=memory), first, strict=True):
        assert np.array_equal(got, want)
    assert all(map(np.array_equal, arguments, (block.x, block.dy, block.argmax)))


def test_nan_and_infinity_are_not_hidden():
    block = Block(1, 6, 6, LANES, 3, (3, 3))
    block.argmax[0, 0, 0] = 3
    block.dy[0, 0, 0, 1] = np.nan
    dw, db, dx = block.sparse()
    assert np.isnan(dw[..., 1]).all() and np.isnan(db[1]) and np.isnan(dx[0, 1:4, 1:4]).all()
    assert not np.isnan(dw[..., [0, 2]]).any() and not np.isnan(dx[0, 0]).any()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("filters", [1, LANES, LANES + 1])
def test_filters_come_back_from_the_packed_layout(kernel, filters):
    w = np.random.default_rng(filters).normal(size=(*kernel, filters)).astype(np.float32)
    rows, vectors = (len(numbers) for numbers in sparse_tile(*kernel))
    packed, whole = between_walls(sparse_scratch(*kernel, filters, 1, 1)[0].size, np.nan)
    pack_filters(w, packed, rows, vectors)
    back, wall = between_walls(w.shape, np.nan)
    unpack_filters(packed, back, rows, vectors)
    assert np.array_equal(back, w)
    assert_walls_stand(whole)
    assert_walls_stand(wall)


@given(st.integers(1, 11), st.integers(1, 11), st.integers(1, 300))
def test_tiles_cover_a_filter_without_rest(k_h, k_w, c):
    if k_w * c < LANES:
        with pytest.raises(ValueError, match="does not fill a register"):
            sparse_tile(k_h, k_w, c)
    else:
        rows, vectors = sparse_tile(k_h, k_w, c)
        assert k_h % len(rows) == 0 and -(-k_w * c // LANES) % len(vectors) == 0


def test_readable_kernels_are_the_kernels():
    block = Block(1, 5, 5, LANES, 2, (2, 2))
    in_python = block.sparse(call=lambda kernel, *arguments: readable(kernel)(*arguments))
    for got, want in zip(in_python, block.sparse(), strict=True):
        assert_close(got, want)


def test_behind_a_relu_alone_every_position_is_a_window():
    rng = np.random.default_rng(1)
    y = np.maximum(rng.normal(size=(2, 3, 4, 5)), 0).astype(np.float32)
    argmax = np.full(y.shape, 99, np.uint8)
    relu_argmax(y, argmax)
    assert np.array_equal(argmax, np.where(y > 0, 0, NO_GRADIENT))
    assert_right(Block(2, 7, 6, LANES, 11, (3, 3), pool=(1, 1)))
