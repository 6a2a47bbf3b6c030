"""The sums of a BatchNorm over a batch in chunks, and the coefficients that follow from them.

    forward     Σ x and Σ x²         ->  μ, σ², a = γ / √(σ² + ε)
    backward    Σ dz and Σ dz x̂      ->  constant and slope of dx = a dz - (constant + slope (x - μ))

Every chunk sums the results of all chunks, in their order: the same work several times, and the same bits, but no
chunk waits for another one to do it.
"""

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.kernels.batchnorm.apply import load_channels
from scratchnet.compiled.kernels.conv.direct import NO_GRADIENT
from scratchnet.compiled.simd.intrinsics import LANES, broadcast, fma, load, select, store, widen

BLOCK = 64  # rows whose sums stay in float32 before they are added up in float64


@inline
def add_to(sums, row, c, block, at, left):
    """sums[row, c + k] += block[at + k], in float64, for the LANES channels from c on or the `left` that there are."""
    for k in range(min(left, LANES)):
        sums[row, c + k] += np.float64(block[at + k])


@jit
def shifted_moments(x, sums, block):
    """sums[0] = Σ x, sums[1] = Σ x², per channel: two registers of running sums for LANES channels at a time."""
    n, channels = x.shape
    sums[:] = 0
    for first in range(0, n, BLOCK):
        for c in range(0, channels, LANES):
            left = channels - c
            s = load_channels(x, c, left)
            total, squares = broadcast(np.float32(0)), broadcast(np.float32(0))
            for i in range(first, min(first + BLOCK, n)):
                d = load_channels(x, i * channels + c, left) - s
                total = total + d
                squares = fma(d, d, squares)
            store(block, 0, total)
            store(block, LANES, squares)
            add_to(sums, 0, c, block, 0, left)
            add_to(sums, 1, c, block, LANES, left)
    for c in range(channels):
        s = np.float64(x[0, c])
        sums[1, c] += 2 * s * sums[0, c] + n * s * s
        sums[0, c] += n * s


@jit
def batch_statistics(sums, m, gamma, epsilon, moments, mean, scale, a):
    """moments = (μ, σ²) from the sums of all chunks, in their order, and the coefficients that follow from them."""
    for c in range(gamma.size):
        total, squares = 0.0, 0.0
        for chunk in range(len(sums)):
            total += sums[chunk, 0, c]
            squares += sums[chunk, 1, c]
        moments[0, c] = total / m
        moments[1, c] = max(squares / m - moments[0, c] * moments[0, c], 0.0)
    affine_coefficients(moments, gamma, epsilon, mean, scale, a)


@jit
def affine_coefficients(moments, gamma, epsilon, mean, scale, a):
    """scale = 1 / √(σ² + ε), a = γ scale"""
    for c in range(gamma.size):
        mean[c] = moments[0, c]
        scale[c] = 1 / np.sqrt(moments[1, c] + epsilon)
        a[c] = gamma[c] * scale[c]


@jit
def update_running_stats(running_mean, running_var, moments, momentum):
    """The running averages move a step of 1 - momentum towards the batch's moments."""
    for c in range(running_mean.size):
        running_mean[c] = momentum * running_mean[c] + (1 - momentum) * moments[0, c]
        running_var[c] = momentum * running_var[c] + (1 - momentum) * moments[1, c]


@jit
def load_running_stats(running_mean, running_var, moments):
    """The moments, when there is no batch to take them of."""
    for c in range(running_mean.size):
        moments[0, c], moments[1, c] = running_mean[c], running_var[c]


@jit
def gradient_moments(dy, argmax, centered_max, scale, sums, dbeta, dgamma, block):
    """dβ = Σ dz, dγ = Σ dz x̂, both in sums too; dz is dy at the argmax of each window, where x - μ is centered_max."""
    channels = scale.size
    windows = argmax.size // channels
    sums[:] = 0
    for first in range(0, windows, BLOCK):
        block[:] = 0
        for window in range(first, min(first + BLOCK, windows)):
            for c in range(0, channels, LANES):
                at, left = window * channels + c, channels - c
                which = widen(load_channels(argmax, at, left))
                g = select(which == broadcast(NO_GRADIENT), broadcast(np.float32(0)), load_channels(dy, at, left))
                distance = load_channels(centered_max, at, left) * load_channels(scale, c, left)
                store(block, 2 * c, load(block, 2 * c) + g)
                store(block, 2 * c + LANES, fma(g, distance, load(block, 2 * c + LANES)))
        for c in range(0, channels, LANES):
            add_to(sums, 0, c, block, 2 * c, channels - c)
            add_to(sums, 1, c, block, 2 * c + LANES, channels - c)
    for c in range(channels):
        dbeta[c], dgamma[c] = sums[0, c], sums[1, c]


@jit
def gradient_coefficients(sums, m, a, scale, constant, slope):
    """constant = a · mean of dz, slope = a scale · mean of dz x̂: dx = a dz - (constant + slope (x - μ)).

    m is how many numbers each is a mean of; 0 in evaluation, where μ and σ² are constants and dx = a dz.
    """
    for c in range(a.size):
        total, along = 0.0, 0.0
        for chunk in range(len(sums)):
            total += sums[chunk, 0, c]
            along += sums[chunk, 1, c]
        constant[c] = a[c] * total / m if m > 0 else 0.0
        slope[c] = a[c] * scale[c] * along / m if m > 0 else 0.0
