"""BatchNorm's two passes over the images, given the sums over the batch: forward to y, backward to dx.

    y = max((x - μ) a + β, 0)                    the largest of each window of a max-pool
    dx = a dz - constant - slope (x - μ)         dz is dy at the argmax of each window, 0 elsewhere

Windows are given by offsets in a chunk's images read as flat: `starts` of the first cell of each, `cells` from there to
each of its cells. Without a pool a window has one cell.
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.kernels.window import larger, nan_if_any
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    broadcast,
    fma,
    load,
    load_partial,
    maximum,
    narrow,
    select,
    store,
    store_partial,
    widen,
)


@inline
def load_channels(x, at, left):
    """LANES channels at x[at], or the `left` that there are."""
    if left >= LANES:
        vector = load(x, at)
    else:
        vector = load_partial(x, at, left)
    return vector


@inline
def store_channels(x, at, vector, left):
    """Write LANES channels to x[at], or the `left` that there are."""
    if left >= LANES:
        store(x, at, vector)
    else:
        store_partial(x, at, vector, left)


@jit
def normalise_pool(x, starts, cells, mean, a, beta, relu, argmax, centered_max, y):
    """y = the largest (x - μ) a + β of each window, after ReLU.

    argmax: which cell it was in, or NO_GRADIENT where ReLU cut it off. centered_max: x - μ there.

    The candidates of LANES channels are compared in registers; nothing of the normalised image is written but
    the argmax positions.
    """
    channels = mean.size
    floor = np.float32(0 if relu else -np.inf)
    for window in range(starts.size):
        start = starts[window]
        for c in range(0, channels, LANES):
            left = channels - c
            m, a_c, b_c = load_channels(mean, c, left), load_channels(a, c, left), load_channels(beta, c, left)
            first = load_channels(x, start + c, left) - m
            best = fma(first, a_c, b_c)
            which, total = broadcast(0), best
            for k in range(1, cells.size):
                other = load_channels(x, start + cells[k] + c, left) - m
                rival = fma(other, a_c, b_c)
                first = select(rival > best, other, first)
                best, which = larger(best, which, rival, broadcast(k))
                total = total + rival
            store_channels(centered_max, window * channels + c, first, left)
            best = nan_if_any(total, best)
            which = select(best > floor, which, broadcast(NO_GRADIENT))
            store_channels(argmax, window * channels + c, narrow(which), left)
            store_channels(y, window * channels + c, maximum(floor, best), left)


@jit
def input_gradient(dy, argmax, x, starts, cells, rest, mean, a, constant, slope, gated, dx):
    """dx = a dz - constant - slope (x - μ), in every cell of every window, and where no window is (there dz = 0).

    gated: x came out of a ReLU, and dx is to be what goes into it: 0 where x is. That saves a pass over all of
    x and dx, which are too large for the cache; and dx may lie where x is, which saves half of that memory.
    """
    channels = a.size
    floor = np.float32(0 if gated else -np.inf)
    for window in range(starts.size):
        start = starts[window]
        for c in range(0, channels, LANES):
            left = channels - c
            which = widen(load_channels(argmax, window * channels + c, left))
            g = load_channels(a, c, left) * load_channels(dy, window * channels + c, left)
            constant_c, slope_c = load_channels(constant, c, left), load_channels(slope, c, left)
            m = load_channels(mean, c, left)
            for k in range(cells.size):
                at = start + cells[k] + c
                here = load_channels(x, at, left)
                dz = select(which == broadcast(k), g, broadcast(np.float32(0)))
                d = dz - fma(slope_c, here - m, constant_c)
                store_channels(dx, at, select(here <= floor, broadcast(np.float32(0)), d), left)
    for position in range(rest.size):
        for c in range(0, channels, LANES):
            left = channels - c
            at = rest[position] + c
            here = load_channels(x, at, left)
            d = fma(load_channels(slope, c, left), load_channels(mean, c, left) - here, broadcast(np.float32(0)))
            d = d - load_channels(constant, c, left)
            store_channels(dx, at, select(here <= floor, broadcast(np.float32(0)), d), left)
