"""The first block of a network with BatchNorm: Conv2D [+ ReLU] + BatchNorm [+ ReLU] + MaxPool2D 2x2, on few channels.

Its convolution is the cheapest of all, nine multiply-adds for a number of its output x, and x is the largest array of
all: 100 KB for a digit, 12.8 MB for a batch of 128. Written once and read four times it costs more than the arithmetic.
So it is never written. Whoever needs x computes it, in registers, from the image that is still in the cache:

    pass 1    x = max(patch . W + b, 0)         Σ x and Σ x²          then the chunks meet (see `batchnorm`)
    pass 2    x again                           (x - μ) a + β, the largest of each window
              dy behind the pool                Σ dz and Σ dz x̂       then they meet again
    pass 3    x again                           dx = a dz - constant - slope (x - μ),  dW += dx patch

In pass 3 the tile of W, the tile of dW and the four positions of a window are in registers together:

    w0 ... w8, bias    9 + 1        what x is made of
    dw0 ... dw8, db    9 + 1        where dx goes
    x0 x1 x2 x3        4            the window: 36 multiply-adds for them, and 36 with dx for dW
    μ, a, constant, slope

AMD Zen 4, one thread, ms per 128 images 28x28x1, 3x3 -> 32, in brackets with x in memory: 0.8 (1.7), 1.2 (1.4) and 1.7
(2.6). A step of vgg-bn takes 0.95 of the time on two threads, and memory for x is needed no more.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.conv import ConvNormTwin
from scratchnet.compiled.convolution import DEAD
from scratchnet.compiled.first import (
    first_packed,
    groups,
    image_places,
    larger,
    numbers,
    pack_first,
    tap_places,
    unpack_first,
)
from scratchnet.compiled.gate import copy_into_middle
from scratchnet.compiled.jit import inline, jit
from scratchnet.compiled.memory import aligned_empty, aligned_zeros
from scratchnet.compiled.simd import (
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
from scratchnet.compiled.taps import load_shares, store_shares, window_fma, window_sums
from scratchnet.compiled.twin import contiguous
from scratchnet.layers import MaxPool2D

MOST_TAPS = 9  # as many vectors for W, and for dW, fit into registers beside the rest


class FirstNormTwin(ConvNormTwin):
    """Twin of the first block. For who asks for the gradient of the images it is an ordinary ConvNormTwin."""

    @classmethod
    def accepts(cls, layers, input_shape, wants_dx):
        conv, pool, (_, _, c) = layers[0], layers[-1], input_shape
        win = conv.windows
        return (
            not wants_dx
            and super().accepts(layers, input_shape, wants_dx)
            and isinstance(pool, MaxPool2D) and pool.pool_size == (2, 2)
            and win.out_h % 2 == win.out_w % 2 == 0
            and (win.stride_h, win.stride_w) == (1, 1)
            and win.k_h * win.k_w * c <= MOST_TAPS
        )  # fmt: skip

    @property
    def parts(self):
        return [self, *super().parts]

    def allocate_packed(self):
        g = self.conv.geometry
        return first_packed(g.k_h, g.k_w, g.c, g.filters), None

    def pack(self, packed, backward):
        if not backward:
            pack_first(self.conv.conv.W, self.conv.bias, packed[0])

    def allocate(self, n):
        g, y_shape = self.conv.geometry, self.norm.y_shape
        padded, y, won = (aligned_zeros((n, *s)) for s in ((g.padded_h, g.padded_w, g.c), y_shape, y_shape))
        sums, found = first_packed(g.k_h, g.k_w, g.c, g.filters), np.empty((2, LANES))
        block = aligned_empty(2 * -(-g.filters // LANES) * LANES)
        statistics = aligned_empty((5, g.filters)), np.empty((2, g.filters))
        return padded, y, np.empty((n, *y_shape), np.uint8), won, sums, found, block, *statistics

    def forward(self, x, ctx):
        if ctx.wants_dx or not ctx.training:
            return super().forward(x, ctx)
        g, norm, x = self.conv.geometry, self.norm.norm, contiguous(x)
        (sums, _), here = ctx.shared(self.norm)
        padded, y, winner, won, _, found, block, numbers_of_batch, moments = ctx.arrays(self, len(x))
        if padded.shape != x.shape:
            copy_into_middle(x, g.top, g.left, padded)
            x = padded
        packed, floor, kernel = ctx.packed(self), floor_of(g.relu), numbers(g.k_h, g.k_w, g.c)
        for group, where in enumerate(groups(g.filters)):
            sums_of_group(x, packed[group], floor, sums[here], found, block, *where, *kernel)
        m = self.norm.meet_forward(sums, len(x), numbers_of_batch, moments, ctx)
        mean, _, a, *_ = numbers_of_batch
        to = y, winner, won, floor_of(self.norm.relu)
        for group, where in enumerate(groups(g.filters)):
            normalise_group(x, packed[group], floor, mean, a, norm.beta, *to, *where, *kernel)
        return y, (None, (x, m, ctx))

    def backward(self, dy, cache):
        if cache[0] is not None:
            return super().backward(dy, cache)
        x, m, ctx = cache[1]
        g, dy, grads = self.conv.geometry, contiguous(dy), ctx.gradients(self)
        _, _, winner, won, dW, _, block, numbers_of_batch, _ = ctx.arrays(self, len(x))
        self.norm.meet_backward(dy, winner, won, numbers_of_batch, m, grads, block, ctx)
        mean, _, a, constant, slope = numbers_of_batch
        packed, floor, kernel = ctx.packed(self), floor_of(g.relu), numbers(g.k_h, g.k_w, g.c)
        for group, where in enumerate(groups(g.filters)):
            line = mean, a, constant, slope, dW[group]
            gradient_of_group(x, packed[group], floor, dy, winner, *line, *where, *kernel)
        unpack_first(dW, grads["W"], grads["b"] if self.conv.conv.use_bias else np.empty(g.filters, np.float32))
        return None, grads

    def describe(self):
        return "taps, thrice"


def floor_of(relu: bool) -> np.float32:
    """What no number may be under."""
    return np.float32(0 if relu else -np.inf)


@inline
def only(present, vector, images):
    """The vector; where two images share it, without those that are not there."""
    return select(present, vector, 0.0) if len(images) == 2 else vector


@inline
def convolved(x, places, at, line, channels, weights, bias, floor):
    """x at the four positions of a window."""
    s0, s1, s2, s3 = window_sums(x, places, at, line, channels, weights, bias)
    return maximum(floor, s0), maximum(floor, s1), maximum(floor, s2), maximum(floor, s3)


@jit
def sums_of_group(x, packed, floor, sums, found, block, first, count, images, channels, rows, run):
    """`batchnorm.sums_about_first` for the filters of one register, over x = max(convolution, floor)."""
    n, h, w, c = x.shape
    down, across = (h - len(rows) + 1) // 2, (w - len(run) // c + 1) // 2
    tap_rows, taps = tap_places(rows, run)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    first_x, _, _, _ = convolved(x, image_places(images, 0, n, h * w * c), 0, w * c, channels, weights, bias, floor)
    found[...] = 0
    for i in range(0, n, len(images)):
        xs = image_places(images, i, n, h * w * c)
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
    x, packed, floor, mean, a, beta, y, winner, won, floor_y, first, count, images, channels, rows, run
):
    """`batchnorm.normalise_pool` for the filters of one register."""
    n, h, w, c = x.shape
    _, down, across, filters = y.shape
    tap_rows, taps = tap_places(rows, run)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    everywhere = image_places(images, 0, 1, 0)
    m, a_f = load_shares(mean, everywhere, first, count), load_shares(a, everywhere, first, count)
    b_f = load_shares(beta, everywhere, first, count)
    for i in range(0, n, len(images)):
        xs, ys = image_places(images, i, n, h * w * c), image_places(images, i, n, down * across * filters)
        for r in range(down):
            for s in range(across):
                x0, x1, x2, x3 = convolved(x, xs, 2 * (r * w + s) * c, w * c, channels, weights, bias, floor)
                d0, d1, d2, d3 = x0 - m, x1 - m, x2 - m, x3 - m
                best, y1, y2, y3 = fma(d0, a_f, b_f), fma(d1, a_f, b_f), fma(d2, a_f, b_f), fma(d3, a_f, b_f)
                total = (best + y1) + (y2 + y3)       # NaN if one of them is, which no comparison would notice
                d0 = select(y1 > best, d1, d0)
                best, which = larger(best, broadcast(0), y1, 1)
                d0 = select(y2 > best, d2, d0)
                best, which = larger(best, which, y2, 2)
                d0 = select(y3 > best, d3, d0)
                best, which = larger(best, which, y3, 3)
                best = select(total == total, best, total)
                at = (r * across + s) * filters + first
                store_shares(winner, ys, at, narrow(select(best > floor_y, which, DEAD)), count)
                store_shares(won, ys, at, d0, count)
                store_shares(y, ys, at, maximum(floor_y, best), count)


@inline
def gradient_at(here, cell, which, g, m, constant, slope, floor):
    """dx at one of the cells of a window, 0 where the ReLU before it had nothing to pass on."""
    dz = select(which == cell, g, 0.0)
    return select(here <= floor, 0.0, dz - fma(slope, here - m, constant))


@jit
def gradient_of_group(
    x, packed, floor, dy, winner, mean, a, constant, slope, sums, first, count, images, channels, rows, run
):
    """`batchnorm.input_gradient` and then `first.first_gradient`, for the filters of one register."""
    n, h, w, c = x.shape
    _, down, across, filters = dy.shape
    tap_rows, taps = tap_places(rows, run)
    bias, weights = load(packed, 0), load_tile(packed, tap_rows, LANES, taps)
    everywhere = image_places(images, 0, 1, 0)
    m, a_f = load_shares(mean, everywhere, first, count), load_shares(a, everywhere, first, count)
    k, s_f = load_shares(constant, everywhere, first, count), load_shares(slope, everywhere, first, count)
    db, dw = broadcast(np.float32(0)), zero_tile(rows, run)
    for i in range(0, n, len(images)):
        xs, ys = image_places(images, i, n, h * w * c), image_places(images, i, n, down * across * filters)
        present = lane_numbers() < (n - i) * (LANES // len(images))
        for r in range(down):
            for s in range(across):
                at, corner = (r * across + s) * filters + first, 2 * (r * w + s) * c
                which, g = widen(load_shares(winner, ys, at, count)), a_f * load_shares(dy, ys, at, count)
                x0, x1, x2, x3 = convolved(x, xs, corner, w * c, channels, weights, bias, floor)
                d0 = only(present, gradient_at(x0, 0, which, g, m, k, s_f, floor), images)
                d1 = only(present, gradient_at(x1, 1, which, g, m, k, s_f, floor), images)
                d2 = only(present, gradient_at(x2, 2, which, g, m, k, s_f, floor), images)
                d3 = only(present, gradient_at(x3, 3, which, g, m, k, s_f, floor), images)
                db = db + ((d0 + d1) + (d2 + d3))
                dw = window_fma(dw, (d0, d1, d2, d3), x, xs, corner, w * c, channels)
    store(sums, 0, db)
    store_tile(sums, tap_rows, LANES, taps, dw)
