"""Backward through Winograd's convolution: from the gradient of the products, Z[p] = (A dy A^T)[p],

    dU[p] = V[p]^T @ Z[p]    dW = G^T dU G              dV[p] = Z[p] @ U[p]^T    dx = B dV B^T, added up

the transpose of `forward`: the same planes, the same transforms, transposed. For dW the products are summed over the
tiles into a matrix (c, f) for each plane. Tiles of the image overlap; their contributions to a pixel are summed in dx.
"""

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.gemm import padded_width, panel_width
from scratchnet.compiled.kernels.winograd.forward import (
    TAPS,
    load_planes,
    multiply_planes,
    steps,
    store_planes,
    transform_images,
)
from scratchnet.compiled.kernels.winograd.tiling import TILES, plane_size
from scratchnet.compiled.kernels.winograd.transforms import (
    load_scattered,
    store_patch,
    store_scattered,
    total,
    transform_filter_gradient,
    transform_image_gradient,
    transform_output_gradient,
)
from scratchnet.compiled.simd.intrinsics import (
    load_partial,
    load_row,
    load_tile,
    offsets,
    outer_fma,
    store_partial,
    store_tile,
)
from scratchnet.compiled.simd.target import LANES, PAIR, ROWS, SINGLE


@jit
def swap_channels(w, swapped):
    """W (3, 3, c, f) with channels and filters swapped: its transform is the transpose of U."""
    k_h, k_w, c, f = w.shape
    for u in range(k_h):
        for v in range(k_w):
            for i in range(c):
                for j in range(f):
                    swapped[u, v, j, i] = w[u, v, i, j]


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
def winograd_gradients(x, starts, dy, places, u, dw, db, dx, dx_places, v, z, du, row_stride, tile):
    """dW = G^T (sum over tiles of V^T @ Z) G, db = sum over positions of dy, dx = the sum of tiles B (Z @ U^T) B^T.

    x, starts, places   as for `winograd`
    dy                  (n, out_h, out_w, f)
    u                   from `exchange` and `transform_filters`
    dw, db              (3, 3, c, f) and (f), written
    dx, dx_places       (n, h, w, c), the images without padding, written, and `input_offsets`; of size 0: no dx
    v, z, du            from `winograd_scratch` and `filter_scratch`
    """
    c, f, outputs = x.shape[-1], dy.shape[-1], tile[:-2]
    planes, positions = len(tile) * len(tile), len(outputs) * len(outputs)
    tiles = places.size // positions
    du.fill(0)
    db.fill(0)
    dx.fill(0)
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first)
        transform_images(x, starts, first, count, v, row_stride, c, tile)
        for t in range(count):
            for j in range(0, f, LANES):
                of_tile = load_scattered(dy, places, (first + t) * positions, outputs, j, f - j)
                store_planes(z, t * padded_width(f) + j, plane_size(f), tile, transform_output_gradient(of_tile))
                store_partial(db, j, load_partial(db, j, f - j) + total(of_tile), f - j)
        add_planes(v, count, c, z, du, f, planes)
        if dx.size > 0:
            multiply_planes(z, count, f, u, v, c, planes, ROWS)  # dV, where V was
            for t in range(count):
                for i in range(0, c, LANES):
                    place, dv = (first + t) * planes, load_planes(v, t * padded_width(c) + i, plane_size(c), tile)
                    there = load_scattered(dx, dx_places, place, tile, i, c - i)
                    store_scattered(dx, dx_places, place, tile, i, c - i, there + transform_image_gradient(dv))
    for i in range(c):
        for j in range(0, f, LANES):
            of_filter = load_planes(du, i * padded_width(f) + j, c * padded_width(f), tile)
            taps = transform_filter_gradient(of_filter)
            store_patch(dw, steps(TAPS, 3 * c * f), i * f + j, steps(TAPS, c * f), f - j, taps)
