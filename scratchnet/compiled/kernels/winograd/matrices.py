"""Winograd's matrices: a convolution as the multiplication of polynomials, by their values at some points.

Two polynomials may be multiplied by multiplying their values at enough points, and finding the polynomial that has the
products for values. A filter g has three coefficients and `side` outputs y as many; the product of two such polynomials
has side + 2, so side + 2 points are needed, and as many multiplications, where the plain way takes 3 * side:

    values of g        (G g)[i] = sum_k g[k] p_i^k / N_i            N_i = product of p_i - p_l over the other points
    values of y        (A y)[i] = sum_k y[k] p_i^k
    the product        B (G g * A y), where column i of B has the coefficients of the product of x - p_l over the others

That is y * g, the gradient of the image in one dimension. A convolution sums the other way round, over the outputs
instead of the inputs: it is the transpose of this, with the same three matrices,

    y = A^T [(G g) * (B^T d)]            d: the side + 2 numbers of the image that y sees

A point at infinity stands for the highest coefficient: its values are g[2] and y[side - 1], and it is no factor in any
product. Any points will do; those of POINTS keep rounding small. 0, 1, -1, 2, -2 of the textbooks cost twice as much
for tiles of 4x4 as 0, +-1/sqrt(2), +-sqrt(2), whose powers stay close to 1. Relative errors of sums over 64 channels,
root of the mean square, measured: 2, 4, 6 and 12 times 1e-7 for tiles of side 2, 3, 4 and 5.

A point and its negative share their work: their even powers are equal, their odd ones opposite. So they stand side by
side here, and `transforms` computes `even + odd` and `even - odd` of them.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

TAPS = 3  # numbers in a line of the filter
INFINITY = math.inf
NEAR, FAR = math.sqrt(0.5), math.sqrt(2)

POINTS = {
    2: (0, 1, -1, INFINITY),
    3: (0.5, -0.5, 1.5, -1.5, INFINITY),
    4: (0, NEAR, -NEAR, FAR, -FAR, INFINITY),
    5: (0, 0.5, -0.5, 1, -1, 3, -3),
}


class Matrices(NamedTuple):
    """A (points, side), B^T (points, points) and G (points, 3): a row for each point."""

    outputs: np.ndarray
    image: np.ndarray
    filter: np.ndarray


@cache
def matrices(side):
    """The matrices for tiles of `side` outputs in float64.

    >>> matrices(2).outputs
    array([[ 1.,  0.],
           [ 1.,  1.],
           [ 1., -1.],
           [ 0.,  1.]])
    """
    points = POINTS[side]
    others = [[q for q in points if q not in (p, INFINITY)] for p in points]
    scale = [1.0 if p == INFINITY else math.prod(p - q for q in rest) for p, rest in zip(points, others, strict=True)]
    image = np.array([coefficients(rest, len(points)) for rest in others])
    return Matrices(powers(points, side), image, powers(points, TAPS) / np.array(scale)[:, None])


def powers(points, count):
    """A row 1, p, p^2, ... for each point; for the one at infinity the highest of them alone."""
    return np.array([np.eye(count)[-1] if p == INFINITY else np.power(float(p), np.arange(count)) for p in points])


def coefficients(roots, count):
    """The product of x - q over the roots, from the constant to the highest power, with zeros up to `count`."""
    return np.pad(np.poly(roots)[::-1], (0, count - 1 - len(roots)))
