"""Activations made of one exponential, a vector of numbers at a time.

    eˣ = 2ⁿ + 2ⁿ q        n: the whole number next to x / ln 2        q = e^r - 1, r = x - n ln 2, |r| ≤ ln 2 / 2

2ⁿ is made of the bits of n, which are the exponent of a float32; q is the sum of its Taylor series up to r⁷ / 7!, whose
next term is below half a rounding of q. ln 2 is subtracted in two parts, the first of which has so few digits that n
times it is exact. Every activation here needs eˣ for x ≤ 0 only, where nothing overflows.

The textbook's formulas are those of `layers.smooth_activations`, with one exception: in GELU,
Φ is a polynomial times exp(-x²/2) (Abramowitz and Stegun 1964, 7.1.26), within 1e-7 of it.
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.jit.decorators import inline, jit
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    as_float,
    fma,
    load_partial,
    maximum,
    minimum,
    select,
    store_partial,
    to_float,
    to_int,
)

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440054690583e-4  # their sum is ln 2
ROOT_HALF = 0.7071067811865476
DENSITY_AT_0 = 0.3989422804014327  # 1 / √(2π)


@inline
def exponential(x):
    """2ⁿ and q, for x ≤ 0: eˣ = 2ⁿ + 2ⁿ q. Below -87 they are those of -87, where eˣ is 1.6e-38."""
    x = maximum(-87, x)
    biased = to_int(fma(x, LOG2_E, 127.5))  # n + 127 is positive: cutting off rounds it down
    n = to_float(biased) - 127
    r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x))
    q = fma(r, 1 / 5040, 1 / 720)
    q = fma(r, q, 1 / 120)
    q = fma(r, q, 1 / 24)
    q = fma(r, q, 1 / 6)
    q = fma(r, q, 0.5)
    return as_float(biased * 8388608), fma(r * r, q, r)  # 2²³: behind the fraction of a float32


@inline
def magnitude(x):
    """|x|"""
    return maximum(x, 0 - x)


@inline
def sigma(x):
    """σ(x) = 1 / (1 + e⁻ˣ) = eˣ / (1 + eˣ): of the two forms, the one whose exponent is not positive."""
    power, q = exponential(0 - magnitude(x))
    e = fma(power, q, power)
    return select(x >= 0, 1, e) / (e + 1)


@inline
def tangent(x):
    """tanh |x| = -m / (m + 2) with m = e^{-2|x|} - 1."""
    power, q = exponential(-2 * magnitude(x))
    m = fma(power, q, power - 1)
    t = m / (m + 2)
    return select(x >= 0, 0 - t, t)


@inline
def normal(x):
    """Φ(x) and φ(x), the distribution function and the density of the standard normal distribution."""
    power, q = exponential(-0.5 * (x * x))
    e = fma(power, q, power)
    t = 1 / fma(magnitude(x), 0.3275911 * ROOT_HALF, 1)
    p = fma(t, 1.061405429, -1.453152027)
    p = fma(t, p, 1.421413741)
    p = fma(t, p, -0.284496736)
    p = fma(t, p, 0.254829592)
    tail = 0.5 * (t * p * e)
    return select(x >= 0, 1 - tail, tail), e * DENSITY_AT_0


@jit
def sigmoid(x, y):
    """y = σ(x)"""
    for i in range(0, x.size, LANES):
        store_partial(y, i, sigma(load_partial(x, i, x.size - i)), x.size - i)


@jit
def sigmoid_gradient(dy, x, dx):
    """dx = dy σ (1 - σ)"""
    for i in range(0, x.size, LANES):
        s = sigma(load_partial(x, i, x.size - i))
        store_partial(dx, i, load_partial(dy, i, x.size - i) * s * (1 - s), x.size - i)


@jit
def tanh(x, y):
    """y = tanh x"""
    for i in range(0, x.size, LANES):
        store_partial(y, i, tangent(load_partial(x, i, x.size - i)), x.size - i)


@jit
def tanh_gradient(dy, x, dx):
    """dx = dy (1 - tanh² x)"""
    for i in range(0, x.size, LANES):
        t = tangent(load_partial(x, i, x.size - i))
        store_partial(dx, i, load_partial(dy, i, x.size - i) * (1 - t * t), x.size - i)


@jit
def silu(x, y):
    """y = x σ(x)"""
    for i in range(0, x.size, LANES):
        u = load_partial(x, i, x.size - i)
        store_partial(y, i, u * sigma(u), x.size - i)


@jit
def silu_gradient(dy, x, dx):
    """dx = dy (σ + x σ (1 - σ))"""
    for i in range(0, x.size, LANES):
        u = load_partial(x, i, x.size - i)
        s = sigma(u)
        store_partial(dx, i, load_partial(dy, i, x.size - i) * (s + u * s * (1 - s)), x.size - i)


@jit
def gelu(x, y):
    """y = x Φ(x)"""
    for i in range(0, x.size, LANES):
        u = load_partial(x, i, x.size - i)
        Phi, _ = normal(u)
        store_partial(y, i, u * Phi, x.size - i)


@jit
def gelu_gradient(dy, x, dx):
    """dx = dy (Φ + x φ)"""
    for i in range(0, x.size, LANES):
        u = load_partial(x, i, x.size - i)
        Phi, phi = normal(u)
        store_partial(dx, i, load_partial(dy, i, x.size - i) * fma(u, phi, Phi), x.size - i)


@jit
def elu(x, alpha, y):
    """y = x where x > 0, and α (eˣ - 1) elsewhere."""
    for i in range(0, x.size, LANES):
        u = load_partial(x, i, x.size - i)
        power, q = exponential(minimum(0, u))
        store_partial(y, i, select(u > 0, u, alpha * fma(power, q, power - 1)), x.size - i)


@jit
def elu_gradient(dy, x, alpha, dx):
    """dx = dy where x > 0, and dy α eˣ elsewhere."""
    for i in range(0, x.size, LANES):
        u, g = load_partial(x, i, x.size - i), load_partial(dy, i, x.size - i)
        power, q = exponential(minimum(0, u))
        store_partial(dx, i, select(u > 0, g, g * (alpha * fma(power, q, power))), x.size - i)


@jit
def bend(x, slope, y):
    """y = x where x > 0, and slope · x elsewhere; 0 for a slope of 0. NaN stays NaN."""
    for i in range(x.size):
        below = slope * x[i] if slope > 0 else np.float32(0)
        y[i] = below if x[i] <= 0 else x[i]


@jit
def bend_gradient(dy, x, slope, dx):
    """dx = dy where x > 0, and slope · dy elsewhere."""
    for i in range(dx.size):
        dx[i] = dy[i] if x[i] > 0 else slope * dy[i]
