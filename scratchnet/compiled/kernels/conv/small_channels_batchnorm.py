"""The kernels of Conv2D + BatchNorm on few channels, whose convolution is recomputed and never stored.

In the third pass the tile of W, the tile of dW and the four positions of a window are in registers together:

    w0 ... w8, bias    9 + 1        what x is made of
    dw0 ... dw8, db    9 + 1        where dx goes
    x0 x1 x2 x3        4            the window: 36 multiply-adds for them, and 36 with dx for dW
    μ, a, constant, slope

AMD Zen 4, one thread, ms per 128 images 28x28x1, 3x3 -> 32, in brackets with x in memory: 0.8 (1.7), 1.2 (1.4) and 1.7
(2.6).
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.kernels.conv.small_channels import image_offsets, tap_offsets
from scratchnet.compiled.kernels.conv.small_channels_intrinsics import (
    load_shares,
    store_shares,
    window_fma,
    window_sums,
)
from scratchnet.compiled.kernels.window import larger, nan_if_any
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    broadcast,
    fma,
    lane_numbers,
    load,
    load_tile,
    maximum,
    narrow,
    select,
    store,
    store_tile,
    widen,
    zero_tile,
)


def floor_of(relu: bool) -> np.float32:
    """What no number may be under."""
    return np.float32(0 if relu else -np.inf)


@inline
def only(present, vector, images):
    """The vector; where two images share it, without those that are not there."""
    return select(present, vector, 0.0) if len(images) == 2 else vector


@inline
def convolved(x, places, at, row_stride, channels, weights, bias, floor):
    """x at the four positions of a window."""
    s0, s1, s2, s3 = window_sums(x, places, at, row_stride, channels, weights, bias)
    return maximum(floor, s0), maximum(floor, s1), maximum(floor, s2), maximum(floor, s3)


@jit
def moments_group(x, packed, floor, sums, found, block, first, count, images, channels, rows, row_elements):
    """`batchnorm.statistics.shifted_moments` for the filters of one register, over x = max(convolution, floor)."""
    n, h, w, c = x.shape
    down, across = (h - len(rows) + 1) // 2, (w - len(row_elements) // c + 1) // 2
    tap_rows, taps = tap_offsets(rows, row_elements)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    first_x, _, _, _ = convolved(x, image_offsets(images, 0, n, h * w * c), 0, w * c, channels, weights, bias, floor)
    found[...] = 0
    for i in range(0, n, len(images)):
        xs = image_offsets(images, i, n, h * w * c)
        present = lane_numbers() < (n - i) * (LANES // len(images))
        for r in range(down):
            total, squares = broadcast(np.float32(0)), broadcast(np.float32(0))
            for s in range(across):
                x0, x1, x2, x3 = convolved(x, xs, 2 * (r * w + s) * c, w * c, channels, weights, bias, floor)
                d0, d1 = only(present, x0 - first_x, images), only(present, x1 - first_x, images)
                d2, d3 = only(present, x2 - first_x, images), only(present, x3 - first_x, images)
                total = total + ((d0 + d1) + (d2 + d3))
                squares = fma(d0, d0, fma(d1, d1, fma(d2, d2, fma(d3, d3, squares))))
            store(block, 0, total)
            store(block, LANES, squares)
            for lane in range(LANES):
                found[0, lane] += np.float64(block[lane])
                found[1, lane] += np.float64(block[LANES + lane])
    store(block, 0, first_x)
    for f in range(count):
        sums[0, first + f] = sums[1, first + f] = 0
        for image in range(len(images)):
            lane = f + image * (LANES // 2)
            m, at = (n + len(images) - 1 - image) // len(images) * 4 * down * across, np.float64(block[lane])
            sums[0, first + f] += found[0, lane] + m * at
            sums[1, first + f] += found[1, lane] + 2 * at * found[0, lane] + m * at * at


@jit
def normalise_group(
    x,
    packed,
    floor,
    mean,
    a,
    beta,
    y,
    argmax,
    centered_max,
    floor_y,
    first,
    count,
    images,
    channels,
    rows,
    row_elements,
):
    """`batchnorm.apply.normalise_pool` for the filters of one register."""
    n, h, w, c = x.shape
    _, down, across, filters = y.shape
    tap_rows, taps = tap_offsets(rows, row_elements)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    everywhere = image_offsets(images, 0, 1, 0)
    m, a_f = load_shares(mean, everywhere, first, count), load_shares(a, everywhere, first, count)
    b_f = load_shares(beta, everywhere, first, count)
    for i in range(0, n, len(images)):
        xs, ys = image_offsets(images, i, n, h * w * c), image_offsets(images, i, n, down * across * filters)
        for r in range(down):
            for s in range(across):
                x0, x1, x2, x3 = convolved(x, xs, 2 * (r * w + s) * c, w * c, channels, weights, bias, floor)
                d0, d1, d2, d3 = x0 - m, x1 - m, x2 - m, x3 - m
                best, y1, y2, y3 = fma(d0, a_f, b_f), fma(d1, a_f, b_f), fma(d2, a_f, b_f), fma(d3, a_f, b_f)
                total = (best + y1) + (y2 + y3)
                d0 = select(y1 > best, d1, d0)
                best, which = larger(best, broadcast(0), y1, 1)
                d0 = select(y2 > best, d2, d0)
                best, which = larger(best, which, y2, 2)
                d0 = select(y3 > best, d3, d0)
                best, which = larger(best, which, y3, 3)
                best = nan_if_any(total, best)
                at = (r * across + s) * filters + first
                store_shares(argmax, ys, at, narrow(select(best > floor_y, which, NO_GRADIENT)), count)
                store_shares(centered_max, ys, at, d0, count)
                store_shares(y, ys, at, maximum(floor_y, best), count)


@inline
def gradient_at(here, cell, which, g, m, constant, slope, floor):
    """dx at one of the cells of a window, 0 where the ReLU before it had nothing to pass on."""
    dz = select(which == cell, g, 0.0)
    return select(here <= floor, 0.0, dz - fma(slope, here - m, constant))


@jit
def gradient_group(
    x, packed, floor, dy, argmax, mean, a, constant, slope, sums, first, count, images, channels, rows, row_elements
):
    """`batchnorm.apply.input_gradient` and then `small_channels.gradient`, for the filters of one register."""
    n, h, w, c = x.shape
    _, down, across, filters = dy.shape
    tap_rows, taps = tap_offsets(rows, row_elements)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    everywhere = image_offsets(images, 0, 1, 0)
    m, a_f = load_shares(mean, everywhere, first, count), load_shares(a, everywhere, first, count)
    k, s_f = load_shares(constant, everywhere, first, count), load_shares(slope, everywhere, first, count)
    db, dw = broadcast(np.float32(0)), zero_tile(rows, row_elements)
    for i in range(0, n, len(images)):
        xs, ys = image_offsets(images, i, n, h * w * c), image_offsets(images, i, n, down * across * filters)
        present = lane_numbers() < (n - i) * (LANES // len(images))
        for r in range(down):
            for s in range(across):
                at, corner = (r * across + s) * filters + first, 2 * (r * w + s) * c
                which, g = widen(load_shares(argmax, ys, at, count)), a_f * load_shares(dy, ys, at, count)
                x0, x1, x2, x3 = convolved(x, xs, corner, w * c, channels, weights, bias, floor)
                d0 = only(present, gradient_at(x0, 0, which, g, m, k, s_f, floor), images)
                d1 = only(present, gradient_at(x1, 1, which, g, m, k, s_f, floor), images)
                d2 = only(present, gradient_at(x2, 2, which, g, m, k, s_f, floor), images)
                d3 = only(present, gradient_at(x3, 3, which, g, m, k, s_f, floor), images)
                db = db + ((d0 + d1) + (d2 + d3))
                dw = window_fma(dw, (d0, d1, d2, d3), x, xs, corner, w * c, channels)
    store(sums, 0, db)
    store_tile(sums, tap_rows, LANES, taps, dw)
