"""3x3 convolutions with fewer multiplications: Winograd's algorithm.

Two outputs of a 3-tap filter take six products directly, and four this way:

    y0 = d0 g0 + d1 g1 + d2 g2        m0 = (d2 - d0) (-g0)          m1 = (d1 + d2) (g0 + g1 + g2) / 2
    y1 = d1 g0 + d2 g1 + d3 g2        m3 = (d3 - d1) g2             m2 = (d2 - d1) (g0 - g1 + g2) / 2
                                      y0 = m0 + m1 + m2             y1 = m1 - m2 + m3

In matrices y = A^T [(G g) * (B^T d)]. Done along rows and columns, a 4x4 tile d of the image and a 3x3 filter g give a
2x2 tile of the output, Y = A^T [(G g G^T) * (B^T d B)] A, by 16 products instead of 36. The transforms are additions,
made once per channel and per filter; in between, each of the 16 places is a matrix product over the channels:

    V[p] = (B^T d B)[p]   (tiles, c)        M[p] = V[p] @ U[p]   (tiles, f)        U[p] = (G g G^T)[p]   (c, f)

TILES tiles at a time, so that V and M (16 * TILES * (c + f) floats) stay in the second-level cache.

Larger tiles save more: of 4x4 outputs 36 products instead of 144, of 5x5 outputs 49 instead of 225. Their transforms
take more additions, but of fewer tiles; what decides is how many products the tiles have that cover the output. In
brackets ms per 128 images, AMD Zen 4, one thread:

    outputs     10x10x32 -> 64    14x14x32 -> 64    7x7x64 -> 128    5x5x64 -> 64    3x3x64 -> 64
    side 2        400  (2.2)        784  (4.3)       256  (5.1)      144  (1.5)       64  (0.65)
    side 3        400  (2.3)        625  (3.5)       225  (4.6)      100  (1.1)       25  (0.28)
    side 4        324  (1.9)        576  (3.5)       144  (3.1)      144  (1.6)       36  (0.41)
    side 5        196  (1.3)        441  (2.9)       196  (4.5)       49  (0.6)       49  (0.59)
    plain         900              1764              441             225              81

Behind a max-pool that will be differentiated equal candidates must stay equal, so that the first wins as it does in the
textbook: with only 1 and 1/2 in its transforms side 2 gives the very same sum at every position of a patch of one
colour, the others sums that rounding may tell apart. And its 2x2 tile *is* a window of 2x2 pooling: the maximum is
taken as it comes out of the transform, from registers.

`tile` = (0, 1, ..., side + 1) says to every kernel which tiles are meant.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.kernels.gemm import padded_width, panel_place, panel_width, product
from scratchnet.compiled.kernels.window import max_of_four
from scratchnet.compiled.kernels.winograd.tiling import TILES, plane_size
from scratchnet.compiled.kernels.winograd.transforms import (
    load_patch,
    store_scattered,
    transform_filter,
    transform_image,
    transform_products,
    vectors,
)
from scratchnet.compiled.simd.intrinsics import (
    load_partial,
    load_tile,
    maximum,
    narrow,
    offsets,
    select,
    store_partial,
    store_tile,
    zero_tile,
)
from scratchnet.compiled.simd.target import LANES, PAIR, SINGLE

TAPS = (0, 1, 2)
FOUR = (0, 1, 2, 3)  # tiles of 2x2 outputs: a window of a pool each


@inline
def steps(numbers, step):
    """0, step, 2 * step, ...: as many offsets as there are numbers."""
    return offsets(numbers, 0, len(numbers), step)


@inline
def load_planes(v, at, plane, tile):
    """A transformed tile, from its place in every plane."""
    return load_tile(v, steps(tile, len(tile) * plane), at, steps(tile, plane))


@inline
def store_planes(v, at, plane, tile, transformed):
    """Write a transformed tile to its place in every plane."""
    store_tile(v, steps(tile, len(tile) * plane), at, steps(tile, plane), transformed)


@jit
def transform_filters(w, u, tile):
    """U = G g G^T for all filters W (3, 3, c, f): a matrix (c, f) for each plane, in panels as those of `pack_rows`."""
    c, f = w.shape[2], w.shape[3]
    for i in range(c):
        for j in range(0, f, LANES):
            g = load_patch(w, steps(TAPS, 3 * c * f), i * f + j, steps(TAPS, c * f), f - j)
            store_planes(u, panel_place(j, i, f, c), c * padded_width(f), tile, transform_filter(g, tile))


@inline
def multiply_panel(v, at, stride, count, c, u, panel, m, to, n, rows, columns):
    """M = V @ U for one of the planes, in the columns of one panel of U."""
    for first in range(0, count, len(rows)):
        of_v, of_m = offsets(rows, first, count - 1, stride), offsets(rows, first, count - 1, n)
        store_tile(m, of_m, to, columns, product(zero_tile(rows, columns), v, of_v, at, 1, u, panel, columns, c))


@jit
def multiply_planes(v, count, c, u, m, f, planes, rows):
    """M[p] = V[p] @ U[p] for `count` tiles and all planes p. rows: of the tile of registers."""
    stride, n = padded_width(c), padded_width(f)
    for p in range(planes):
        j = 0
        while j < f:
            width = panel_width(f - j)
            at, panel, to = p * plane_size(c), p * c * n + j * c, p * plane_size(f) + j
            if width > LANES:
                multiply_panel(v, at, stride, count, c, u, panel, m, to, n, rows, PAIR)
            else:
                multiply_panel(v, at, stride, count, c, u, panel, m, to, n, rows, SINGLE)
            j += width


@inline
def transform_images(x, starts, first, count, v, row_stride, c, tile):
    """V = B^T d B for `count` tiles from `first` on."""
    for t in range(count):
        for i in range(0, c, LANES):
            d = load_patch(x, steps(tile, row_stride), starts[first + t] + i, steps(tile, c), c - i)
            store_planes(v, t * padded_width(c) + i, plane_size(c), tile, transform_image(d))


@jit
def winograd(x, starts, u, bias, y, places, v, m, row_stride, relu, tile, rows):
    """y = x * W + bias, and if `relu` the larger of that and 0.

    x        padded images (n, h, w, c) with h >= padded_size(out_h, side), w likewise; `row_stride` = w * c
    starts   where the tiles begin: patch_starts(n, h, w, c, tiles down, tiles across, side, side)
    u, bias  from `transform_filters`; (f)
    y        (n, out_h, out_w, f), written; `places` is output_offsets(n, out_h, out_w, f, side)
    v, m     from `winograd_scratch`
    rows     of the tile of registers: `tiling.block_rows`
    """
    c, f, outputs = x.shape[-1], y.shape[-1], tile[:-2]
    positions = len(outputs) * len(outputs)
    tiles = places.size // positions
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        transform_images(x, starts, first, count, v, row_stride, c, tile)
        multiply_planes(v, count, c, u, m, f, len(tile) * len(tile), rows)
        for t in range(count):
            for j in range(0, f, LANES):
                products = load_planes(m, t * padded_width(f) + j, plane_size(f), tile)
                of_tile = transform_products(products) + load_partial(bias, j, f - j)
                store_scattered(y, places, (first + t) * positions, outputs, j, f - j, maximum(floor, of_tile))


@jit
def winograd_pool(x, starts, u, bias, y, argmax, v, m, row_stride, relu, rows):
    """`winograd` with tiles of 2x2, followed by max-pooling over windows of 2x2: every tile is a window.

    starts   where the windows' patches begin: patch_starts(n, h, w, c, out_h // 2, out_w // 2, 2, 2); x needs no
             further padding, for a last line or column without a window is not looked at
    y        (n, out_h // 2, out_w // 2, f), written
    argmax   uint8, as y: 0, 1, 2 or 3, the position of the maximum, the first of equals; NO_GRADIENT where `relu` cuts
             it off
    """
    c, f = x.shape[-1], y.shape[-1]
    windows = y.size // f
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, windows, TILES):
        count = min(TILES, windows - first)
        transform_images(x, starts, first, count, v, row_stride, c, FOUR)
        multiply_planes(v, count, c, u, m, f, 16, rows)
        for t in range(count):
            for j in range(0, f, LANES):
                at = (first + t) * f + j
                products = load_planes(m, t * padded_width(f) + j, plane_size(f), FOUR)
                y00, y01, y10, y11 = vectors(transform_products(products))
                best, which = max_of_four(y00, y01, y10, y11)
                best = best + load_partial(bias, j, f - j)
                store_partial(argmax, at, narrow(select(best > floor, which, NO_GRADIENT)), f - j)
                store_partial(y, at, maximum(floor, best), f - j)
