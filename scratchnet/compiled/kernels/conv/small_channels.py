"""The first layer: Conv2D [+ ReLU] [+ MaxPool2D 2x2] of images with few channels, and no gradient for the images.

A 3x3 kernel on one channel has nine taps (weights per filter). That is too little work for the tiles of `direct`, but
little enough for all weights to stay in registers: the lanes of a register are 16 filters, every tap is a register, and
the windows of the pool stream past:

    w0 ... w8       the taps, for 16 filters
    s0 s1 s2 s3     the sums at the four positions of a window
    pixel           one number in all lanes; each of the window's 4x4 is loaded once

    forward         s[cell] += w[tap] * pixel                         36 multiply-adds, then the largest of s0 ... s3
    backward        dw[tap] += g * pixel of this tap at the argmax

The argmax differs from filter to filter, that is, from lane to lane. But there are only four pixels to choose from, and
a look-up of one of four numbers in every lane is one instruction (AVX): 9 multiply-adds and 9 look-ups instead of 36
multiply-adds with masked gradients. Where a register is at most half full, two images share it
(`small_channels_intrinsics`): 24 filters are then a register and a half, 6 filters half a register.

AMD Zen 4, one thread, ms per 128 images of 28x28; in brackets the kernels of `direct`:

                        forward, 2x2 pool     dW behind the pool     dW of all positions
    3x3x1 -> 32           0.55  (0.61)           0.30  (1.5)            0.45  (1.5)
    5x5x1 -> 24           0.97  (1.16)           0.60  (1.9)            1.05  (1.9)
    3x3x3 -> 32           1.57  (1.45)           0.94  (2.7)            1.30  (2.7)

Forward without a pool gains nothing (0.42 at best, 0.50 there), nor does reading the images as bytes: the conversion of
128 images to floats takes 0.008 ms.
"""

from functools import cache

import numpy as np

from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.kernels.conv.small_channels_intrinsics import (
    chosen_patch_fma,
    load_shares,
    patch_fma,
    store_shares,
    window_sums,
)
from scratchnet.compiled.kernels.window import max_of_four
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    broadcast,
    lane_numbers,
    load,
    load_tile,
    maximum,
    narrow,
    offsets,
    select,
    store,
    store_tile,
    widen,
    zero_tile,
)
from scratchnet.compiled.simd.target import REGISTERS


def supports_forward(k_h, k_w, c):
    """Whether all taps fit into registers beside the sums, the pixel and what finds the largest: 25 of 32, 9 of 16.

    Where they do not, `direct` is faster. With 16 registers, ms as above: 5x5x1 -> 32 2.37 (1.71), 3x3x1 1.07 (1.10).
    """
    return k_h * k_w * c <= REGISTERS - 7


def supports_gradient(k_h, k_w, c):
    """Whether a line of code for each tap is still a reasonable amount of code."""
    return c <= 4 and k_h * k_w * c <= 36


@cache
def groups(filters):
    """How filters are put into registers: (first filter, how many, a tuple as long as the images that share it).

    >>> groups(LANES + 1)[1] == (LANES, 1, (0, 1))
    True
    """
    counts = [(first, min(LANES, filters - first)) for first in range(0, filters, LANES)]
    return [(first, count, (0, 1) if count <= LANES // 2 else (0,)) for first, count in counts]


def packed_weights(k_h, k_w, c, filters):
    """Memory for the weights, or for the sums that become their gradient: (groups, bias and taps, LANES)."""
    return aligned_empty((len(groups(filters)), 1 + k_h * k_w * c, LANES))


@inline
def lanes_of(f, filters):
    """The lanes of filter f in its register: the second differs where two images share it."""
    lane, count = f % LANES, min(filters - f // LANES * LANES, LANES)
    return lane, lane + LANES // 2 if count <= LANES // 2 else lane


@jit
def pack_weights(w, bias, packed):
    """Copy W (k_h, k_w, c, filters) and the bias (filters) into the layout of `convolve_pool`."""
    filters, flat = bias.size, w.reshape(-1)
    packed[...] = 0
    for f in range(filters):
        for lane in lanes_of(f, filters):
            packed[f // LANES, 0, lane] = bias[f]
            for tap in range(packed.shape[1] - 1):
                packed[f // LANES, 1 + tap, lane] = flat[tap * filters + f]


@inline
def sum_of_images(sums, register, tap, lane, other):
    """What the images of a register have added up, where there are two in different lanes."""
    return sums[register, tap, lane] + (sums[register, tap, other] if other != lane else np.float32(0))


@jit
def unpack_weights(sums, dw, db):
    """Copy dW and db from their sums."""
    filters, flat = db.size, dw.reshape(-1)
    for f in range(filters):
        lane, other = lanes_of(f, filters)
        db[f] = sum_of_images(sums, f // LANES, 0, lane, other)
        for tap in range(sums.shape[1] - 1):
            flat[tap * filters + f] = sum_of_images(sums, f // LANES, 1 + tap, lane, other)


@inline
def tap_offsets(rows, row_elements):
    """Where the vectors of a tile of taps lie: the offsets of its rows, and of the vectors in a row."""
    return offsets(rows, 0, len(rows), len(row_elements) * LANES), offsets(row_elements, 0, len(row_elements), LANES)


@inline
def image_offsets(images, i, n, size):
    """Where the images i, ... begin that share a register; the last image twice if there is no other."""
    return offsets(images, i, n - 1, size)


@jit
def convolve_pool_group(x, packed, y, argmax, floor, first, count, images, channels, rows, row_elements):
    """`convolve_pool` for the filters of one register."""
    n, h, w, c = x.shape
    _, out_h, out_w, filters = y.shape
    tap_rows, taps = tap_offsets(rows, row_elements)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    for i in range(0, n, len(images)):
        xs, ys = image_offsets(images, i, n, h * w * c), image_offsets(images, i, n, out_h * out_w * filters)
        for r in range(out_h):
            for s in range(out_w):
                s0, s1, s2, s3 = window_sums(x, xs, 2 * (r * w + s) * c, w * c, channels, weights, bias)
                best, which = max_of_four(s0, s1, s2, s3)
                at = (r * out_w + s) * filters + first
                store_shares(argmax, ys, at, narrow(select(best > floor, which, NO_GRADIENT)), count)
                store_shares(y, ys, at, maximum(floor, best), count)


@jit
def pooled_gradient_group(x, dy, argmax, sums, first, count, images, channels, rows, row_elements):
    """`pooled_gradient` for the filters of one register."""
    n, h, w, c = x.shape
    _, out_h, out_w, filters = dy.shape
    db, dw = broadcast(np.float32(0)), zero_tile(rows, row_elements)
    for i in range(0, n, len(images)):
        xs, ys = image_offsets(images, i, n, h * w * c), image_offsets(images, i, n, out_h * out_w * filters)
        present = lane_numbers() < (n - i) * (LANES // len(images))
        for r in range(out_h):
            for s in range(out_w):
                at = (r * out_w + s) * filters + first
                cell = widen(load_shares(argmax, ys, at, count))
                alive = (cell < 4) & present
                g, cell = select(alive, load_shares(dy, ys, at, count), 0.0), select(alive, cell, 0)
                db = db + g
                dw = chosen_patch_fma(dw, g, x, xs, 2 * (r * w + s) * c, w * c, channels, cell)
    tap_rows, taps = tap_offsets(rows, row_elements)
    store(sums, 0, db)
    store_tile(sums, tap_rows, LANES, taps, dw)


@jit
def gradient_group(x, dy, sums, first, count, images, rows, row_elements):
    """`gradient` for the filters of one register."""
    n, h, w, c = x.shape
    _, out_h, out_w, filters = dy.shape
    db, dw = broadcast(np.float32(0)), zero_tile(rows, row_elements)
    for i in range(0, n, len(images)):
        xs, ys = image_offsets(images, i, n, h * w * c), image_offsets(images, i, n, out_h * out_w * filters)
        present = lane_numbers() < (n - i) * (LANES // len(images))
        for r in range(out_h):
            for s in range(out_w):
                g = select(present, load_shares(dy, ys, (r * out_w + s) * filters + first, count), 0.0)
                db = db + g
                dw = patch_fma(dw, g, x, xs, (r * w + s) * c, w * c)
    tap_rows, taps = tap_offsets(rows, row_elements)
    store(sums, 0, db)
    store_tile(sums, tap_rows, LANES, taps, dw)


@cache
def unroll_tuples(k_h, k_w, c):
    """Tuples as long as there are channels, rows of a kernel, and numbers in such a row."""
    return tuple(range(c)), tuple(range(k_h)), tuple(range(k_w * c))


def convolve_pool(call, x, packed, y, argmax, k_h, k_w, relu):
    """Convolution at stride 1 and max-pool over windows of 2x2, and with `relu` the larger of that and 0.

    call       makes the calls (`jit.decorators.execute`, or a program's)
    x          (n, h, w, c) the images with their padding
    packed     from `packed_weights`, filled by `pack_weights`
    y          (n, out_h, out_w, filters) the windows' maxima, written
    argmax     uint8, as y: which cell of the window was the maximum, the first of equals, or NO_GRADIENT where it is
               not above 0 and `relu` cuts it off

    NaN in a window gives NaN, as in NumPy; so do infinities of both signs.
    """
    channels, rows, row_elements = unroll_tuples(k_h, k_w, x.shape[3])
    floor = np.float32(0 if relu else -np.inf)
    for g, (first, count, images) in enumerate(groups(y.shape[3])):
        call(convolve_pool_group, x, packed[g], y, argmax, floor, first, count, images, channels, rows, row_elements)


def pooled_gradient(call, x, dy, argmax, dw, db, sums):
    """The gradients of the weights and of the bias, from dy of the pool's output.

    x, argmax    as for `convolve_pool`; dy as its y
    dw, db       (k_h, k_w, c, filters) and (filters), written
    sums         from `packed_weights`
    """
    channels, rows, row_elements = unroll_tuples(*dw.shape[:3])
    for g, (first, count, images) in enumerate(groups(db.size)):
        call(pooled_gradient_group, x, dy, argmax, sums[g], first, count, images, channels, rows, row_elements)
    call(unpack_weights, sums, dw, db)


def gradient(call, x, dy, dw, db, sums):
    """The same without a pool: dy (n, out_h, out_w, filters) is the gradient of every position of the convolution."""
    _, rows, row_elements = unroll_tuples(*dw.shape[:3])
    for g, (first, count, images) in enumerate(groups(db.size)):
        call(gradient_group, x, dy, sums[g], first, count, images, rows, row_elements)
    call(unpack_weights, sums, dw, db)
