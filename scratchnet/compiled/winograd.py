"""3x3 convolutions with 2.25 times fewer multiplications: Winograd's F(2x2, 3x3).

Two outputs of a 3-tap filter need six products the plain way, and four this way:

    y0 = d0 g0 + d1 g1 + d2 g2        m0 = (d0 - d2) g0             m1 = (d1 + d2) (g0 + g1 + g2) / 2
    y1 = d1 g0 + d2 g1 + d3 g2        m3 = (d1 - d3) g2             m2 = (d2 - d1) (g0 - g1 + g2) / 2
                                      y0 = m0 + m1 + m2             y1 = m1 - m2 - m3

In matrices y = A^T [(G g) * (B^T d)]. Done along rows and columns, a 4x4 tile d of the image and a 3x3 filter g give a
2x2 tile of the output, Y = A^T [(G g G^T) * (B^T d B)] A, by 16 products instead of 36. The transforms are additions,
made once per channel and per filter; in between, each of the 16 places is a matrix product over the channels:

    V[p] = (B^T d B)[p]   (tiles, c)        M[p] = V[p] @ U[p]   (tiles, f)        U[p] = (G g G^T)[p]   (c, f)

TILES tiles at a time, so that V and M (16 * TILES * (c + f) floats) stay in the second-level cache. And a 2x2 output
tile *is* a window of 2x2 max-pooling: its maximum is taken as it comes out of the transform, from registers.

The gradients go backwards through the same picture, from the gradient of the products, Z[p] = (A dy A^T)[p]:

    dU[p] = V[p]^T @ Z[p]    dW = G^T dU G              dV[p] = Z[p] @ U[p]^T    dx = B dV B^T, added up

AMD Zen 4, one thread, ms per 128 images (direct convolution in brackets), relative error about 1e-6:
                      forward       with 2x2 max-pool      dW            dW and dx
    13x13x32 -> 64    3.2 (4.9)     2.1 (4.1)              3.3 (5.1)     6.2
    16x16x32 -> 64    4.2 (8.0)     4.1 (8.0)              4.4 (8.3)     8.4
    9x9x64 -> 128     5.0 (7.9)     2.8 (5.8)              5.4 (8.2)     10.6

`winograd4` is a second edition of all this, with tiles of 4x4: `side` and `planes` below say which edition is meant.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.
"""

import numpy as np

from scratchnet.compiled.convolution import DEAD
from scratchnet.compiled.jit import inline, jit
from scratchnet.compiled.matmul import padded_width, panel_place, panel_width, product
from scratchnet.compiled.simd import (
    broadcast,
    load,
    load_first,
    load_row,
    load_tile,
    maximum,
    narrow,
    offsets,
    outer_fma,
    select,
    store_first,
    store_tile,
    zero_tile,
)
from scratchnet.compiled.target import LANES, PAIR, ROWS, SINGLE
from scratchnet.compiled.winograd_tiles import TILES, plane_size
from scratchnet.compiled.winograd_transforms import (
    store_place,
    transform_filter,
    transform_filter_gradient,
    transform_image,
    transform_image_gradient,
    transform_output_gradient,
    transform_products,
)


@jit
def exchange(w, exchanged):
    """W (3, 3, c, f) with channels and filters exchanged: its transform is the transpose of U."""
    k_h, k_w, c, f = w.shape
    for u in range(k_h):
        for v in range(k_w):
            for i in range(c):
                for j in range(f):
                    exchanged[u, v, j, i] = w[u, v, i, j]


@jit
def transform_filters(w, u):
    """U = G g G^T for all filters W (3, 3, c, f), sixteen matrices (c, f), each in panels as `pack_rows` makes them."""
    c, f = w.shape[2], w.shape[3]
    plane = c * padded_width(f)
    for i in range(c):
        for j in range(0, f, LANES):
            transform_filter(w, i * f + j, c * f, f - j, u, panel_place(j, i, f, c), plane)


@inline
def multiply_panel(v, at, stride, count, c, u, panel, m, to, n, columns):
    """M = V @ U for one of the planes, in the columns of one panel of U."""
    for first in range(0, count, len(ROWS)):
        rows = offsets(ROWS, first, count - 1, stride)
        tile = product(zero_tile(ROWS, columns), v, rows, at, 1, u, panel, columns, c)
        store_tile(m, offsets(ROWS, first, count - 1, n), to, columns, tile)


@jit
def multiply_planes(v, count, c, u, m, f, planes):
    """M[p] = V[p] @ U[p] for `count` tiles and all planes p."""
    stride, n = padded_width(c), padded_width(f)
    for p in range(planes):
        j = 0
        while j < f:
            width = panel_width(f - j)
            at, panel, to = p * plane_size(c), p * c * n + j * c, p * plane_size(f) + j
            if width > LANES:
                multiply_panel(v, at, stride, count, c, u, panel, m, to, n, PAIR)
            else:
                multiply_panel(v, at, stride, count, c, u, panel, m, to, n, SINGLE)
            j += width


@inline
def transform_and_multiply(x, starts, first, count, u, v, m, line, c, f):
    """M[p] = (B^T d B)[p] @ U[p] for `count` tiles from `first` on and all sixteen p."""
    for t in range(count):
        for i in range(0, c, LANES):
            transform_image(x, starts[first + t] + i, line, c, c - i, v, t * padded_width(c) + i, plane_size(c))
    multiply_planes(v, count, c, u, m, f, 16)


@jit
def winograd(x, starts, u, bias, y, places, v, m, line, relu):
    """y = x * W + bias, and if `relu` the larger of that and 0.

    x        padded images (n, h, w, c) with h >= padded_size(out_h), w likewise; `line` = w * c
    starts   where the tiles begin: patch_starts(n, h, w, c, (out_h + 1) // 2, (out_w + 1) // 2, 2, 2)
    u, bias  from `transform_filters`; (f)
    y        (n, out_h, out_w, f), written; `places` is output_places(n, out_h, out_w, f)
    v, m     from `winograd_scratch`
    """
    c = x.shape[-1]
    n, out_h, out_w, f = y.shape
    tiles = n * ((out_h + 1) // 2) * ((out_w + 1) // 2)
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        transform_and_multiply(x, starts, first, count, u, v, m, line, c, f)
        for t in range(count):
            at = 4 * (first + t)
            for j in range(0, f, LANES):
                y00, y01, y10, y11 = transform_products(m, t * padded_width(f) + j, plane_size(f))
                b = load_first(bias, j, f - j)
                store_place(y, places[at], j, f - j, maximum(floor, y00 + b))
                store_place(y, places[at + 1], j, f - j, maximum(floor, y01 + b))
                store_place(y, places[at + 2], j, f - j, maximum(floor, y10 + b))
                store_place(y, places[at + 3], j, f - j, maximum(floor, y11 + b))


@inline
def later(number, rival, best, which):
    """The larger of two vectors and the number of the one it is from; the earlier where they are equal."""
    return select(rival > best, rival, best), select(rival > best, number, which)


@jit
def winograd_pool(x, starts, u, bias, y, winner, v, m, line, relu):
    """`winograd` followed by max-pooling over windows of 2x2: every tile is a window.

    starts   where the windows' patches begin: patch_starts(n, h, w, c, out_h // 2, out_w // 2, 2, 2); x needs no
             further padding, for a last line or column without a window is not looked at
    y        (n, out_h // 2, out_w // 2, f), written
    winner   uint8, as y: 0, 1, 2 or 3, the position that was the maximum, the first of equals; DEAD where it is not
             above 0 and `relu` cuts it off
    """
    c, f = x.shape[-1], y.shape[-1]
    windows = y.size // f
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, windows, TILES):
        count = min(TILES, windows - first)
        transform_and_multiply(x, starts, first, count, u, v, m, line, c, f)
        for t in range(count):
            at = (first + t) * f
            for j in range(0, f, LANES):
                best, y01, y10, y11 = transform_products(m, t * padded_width(f) + j, plane_size(f))
                best, which = later(1, y01, best, broadcast(0))
                best, which = later(2, y10, best, which)
                best, which = later(3, y11, best, which)
                best = best + load_first(bias, j, f - j)
                store_first(winner, at + j, narrow(select(best > floor, which, DEAD)), f - j)
                store_first(y, at + j, maximum(floor, best), f - j)


@inline
def gradient_panel(v, at, stride, count, c, z, row, du, to, n, columns):
    """dU += V^T @ Z for one of the planes, in the columns of one panel of Z."""
    for first in range(0, c, len(ROWS)):
        places = offsets(ROWS, first, c - 1, n)
        rows = offsets(ROWS, first, c - 1, 1)
        tile = load_tile(du, places, to, columns)
        for t in range(count):
            tile = outer_fma(tile, v, rows, at + t * stride, load_row(z, row + t * n, columns))
        store_tile(du, places, to, columns, tile)


@jit
def add_planes(v, count, c, z, du, f, planes):
    """dU[p] += V[p]^T @ Z[p] for `count` tiles and all planes p."""
    stride, n = padded_width(c), padded_width(f)
    for p in range(planes):
        j = 0
        while j < f:
            width = panel_width(f - j)
            at, row, to = p * plane_size(c), p * plane_size(f) + j, p * c * n + j
            if width > LANES:
                gradient_panel(v, at, stride, count, c, z, row, du, to, n, PAIR)
            else:
                gradient_panel(v, at, stride, count, c, z, row, du, to, n, SINGLE)
            j += width


@jit
def winograd_gradients(x, starts, dy, places, u, dw, db, dx, dx_places, v, z, du, line):
    """dW = G^T (sum over tiles of V^T @ Z) G, db = sum over positions of dy, dx = the sum of tiles B (Z @ U^T) B^T.

    x, starts, places   as for `winograd`
    dy                  (n, out_h, out_w, f)
    u                   from `exchange` and `transform_filters`
    dw, db              (3, 3, c, f) and (f), written
    dx, dx_places       (n, h, w, c), the images without padding, written, and `input_places`; of size 0: no dx
    v, z, du            from `winograd_scratch` and `filter_scratch`
    """
    c, f, tiles = x.shape[-1], dy.shape[-1], places.size // 4
    du.fill(0)
    db.fill(0)
    dx.fill(0)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        for t in range(count):
            for i in range(0, c, LANES):
                transform_image(x, starts[first + t] + i, line, c, c - i, v, t * padded_width(c) + i, plane_size(c))
            for j in range(0, f, LANES):
                to = t * padded_width(f) + j
                transform_output_gradient(dy, places, 4 * (first + t), j, f - j, z, to, plane_size(f))
        add_planes(v, count, c, z, du, f, 16)
        for j in range(0, f, LANES):                  # place (1, 1) of A dy A^T, plane 5, is the sum of a tile's dy
            total = load_first(db, j, f - j)
            for t in range(count):
                total = total + load(z, 5 * plane_size(f) + t * padded_width(f) + j)
            store_first(db, j, total, f - j)
        if dx.size > 0:
            multiply_planes(z, count, f, u, v, c, 16)     # dV, where V was
            for t in range(count):
                for i in range(0, c, LANES):
                    at, tile = t * padded_width(c) + i, 16 * (first + t)
                    transform_image_gradient(v, at, plane_size(c), dx, dx_places, tile, i, c - i)
    for i in range(c):
        for j in range(0, f, LANES):
            at = i * padded_width(f) + j
            transform_filter_gradient(du, at, c * padded_width(f), dw, i * f + j, c * f, f - j)
