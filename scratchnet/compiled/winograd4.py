"""The same picture with larger tiles: Winograd's F(4x4, 3x3), four times fewer multiplications.

A 6x6 tile of the image gives 4x4 outputs by 36 products; the plain way needs 144, and F(2x2, 3x3) 64. The transforms
(`winograd4_transforms`) take more additions, but of fewer tiles, and the products in between are those of `winograd`.

Two things speak for the smaller tiles all the same, and they stay in use. An output that is no multiple of 4 wastes
more of a large tile: 5x5 positions take 4 tiles and 144 products either way. And behind a max-pool equal candidates
should stay equal, so that the first wins as it does in the textbook: with only 1 and 1/2 in the transforms a patch of
one colour gives the very same sum at every position, with square roots it gives sums that rounding may tell apart.

AMD Zen 4, one thread, ms per 128 images (F(2x2, 3x3) in brackets), images already in the cache, relative error 1e-6:
                                forward        dW             dW and dx
    14x14x32 -> 64, "same"      3.4 (4.2)      3.7 (4.4)      7.0 (8.4)
    7x7x64 -> 128, "same"       3.0 (5.0)      3.8 (5.4)      6.9 (10.6)
    5x5x64 -> 64                0.40 (0.64)    0.69 (0.73)    1.1 (1.4)      direct convolution: 0.7, 0.8, 1.6
"""

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.compiled.matmul import padded_width, panel_place
from scratchnet.compiled.simd import load_first, store_first
from scratchnet.compiled.target import LANES
from scratchnet.compiled.winograd import add_planes, multiply_planes
from scratchnet.compiled.winograd4_transforms import (
    transform_filter,
    transform_filter_gradient,
    transform_image,
    transform_image_gradient,
    transform_output_gradient,
    transform_products,
)
from scratchnet.compiled.winograd_tiles import TILES, plane_size

SIDE, PLANES = 4, 36                                  # of a tile of the output; of a transformed tile
POSITIONS = SIDE * SIDE


def saves_products(out_h, out_w):
    """Whether an output of this size needs a tenth fewer products than with tiles of 2x2: what it takes to be faster.

    >>> saves_products(14, 14), saves_products(5, 5), saves_products(3, 3)
    (True, False, True)
    """
    large, small = (-(-out_h // side) * -(-out_w // side) for side in (SIDE, 2))
    return 1.1 * PLANES * large < 16 * small


@jit
def transform_filters4(w, u):
    """U = G g G^T for all filters W (3, 3, c, f): 36 matrices (c, f), each in panels as `pack_rows` makes them."""
    c, f = w.shape[2], w.shape[3]
    plane = c * padded_width(f)
    for i in range(c):
        for j in range(0, f, LANES):
            transform_filter(w, i * f + j, c * f, f - j, u, panel_place(j, i, f, c), plane)


@jit
def winograd4(x, starts, u, bias, y, places, v, m, line, relu):
    """y = x * W + bias, and if `relu` the larger of that and 0.

    x        padded images (n, h, w, c) with h >= padded_size(out_h, SIDE), w likewise; `line` = w * c
    starts   where the tiles begin: patch_starts(n, h, w, c, tiles down, tiles across, SIDE, SIDE)
    u, bias  from `transform_filters4`; (f)
    y        (n, out_h, out_w, f), written; `places` is output_places(n, out_h, out_w, f, SIDE)
    v, m     from winograd_scratch(c, f, PLANES)
    """
    c, f, tiles = x.shape[-1], y.shape[-1], places.size // POSITIONS
    floor = np.float32(0 if relu else -np.inf)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        for t in range(count):
            for i in range(0, c, LANES):
                transform_image(x, starts[first + t] + i, line, c, c - i, v, t * padded_width(c) + i, plane_size(c))
        multiply_planes(v, count, c, u, m, f, PLANES)
        for t in range(count):
            for j in range(0, f, LANES):
                at, tile, b = t * padded_width(f) + j, POSITIONS * (first + t), load_first(bias, j, f - j)
                transform_products(m, at, plane_size(f), y, places, tile, j, f - j, b, floor)


@jit
def winograd4_gradients(x, starts, dy, places, u, dw, db, dx, dx_places, v, z, du, line):
    """dW = G^T (sum over tiles of V^T @ Z) G, db = sum over positions of dy, dx = the sum of tiles B (Z @ U^T) B^T.

    x, starts, places   as for `winograd4`
    dy                  (n, out_h, out_w, f)
    u                   from `exchange` and `transform_filters4`
    dw, db              (3, 3, c, f) and (f), written
    dx, dx_places       (n, h, w, c), the images without padding, written, and `input_places`; of size 0: no dx
    v, z, du            from `winograd_scratch` and `filter_scratch`, for PLANES
    """
    c, f, tiles = x.shape[-1], dy.shape[-1], places.size // POSITIONS
    du.fill(0)
    db.fill(0)
    dx.fill(0)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        for t in range(count):
            for i in range(0, c, LANES):
                transform_image(x, starts[first + t] + i, line, c, c - i, v, t * padded_width(c) + i, plane_size(c))
            for j in range(0, f, LANES):
                to, tile = t * padded_width(f) + j, POSITIONS * (first + t)
                total = transform_output_gradient(dy, places, tile, j, f - j, z, to, plane_size(f))
                store_first(db, j, load_first(db, j, f - j) + total, f - j)
        add_planes(v, count, c, z, du, f, PLANES)
        if dx.size > 0:
            multiply_planes(z, count, f, u, v, c, PLANES)     # dV, where V was
            for t in range(count):
                for i in range(0, c, LANES):
                    at, tile = t * padded_width(c) + i, PLANES * (first + t)
                    transform_image_gradient(v, at, plane_size(c), dx, dx_places, tile, i, c - i)
    for i in range(c):
        for j in range(0, f, LANES):
            at = i * padded_width(f) + j
            transform_filter_gradient(du, at, c * padded_width(f), dw, i * f + j, c * f, f - j)
