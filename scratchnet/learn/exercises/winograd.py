"""Exercise 8: Winograd's convolution, 16 multiplications instead of 36."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.learn.exercise import Exercise

# `scratchnet.compiled.kernels.winograd.matrices.matrices(2)` has them, and says where they are from.
BT = np.array([[-1.0, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])
G = np.array([[-1.0, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
AT = np.array([[1.0, 1, 1, 0], [0, 1, -1, 1]])


def winograd_tile(
    d: np.ndarray, g: np.ndarray, BT: np.ndarray, G: np.ndarray, AT: np.ndarray
) -> tuple[np.ndarray, ...]:
    """A 3×3 convolution of a 4×4 piece of an image, one channel, one filter: the 2×2 outputs, by Winograd's method.

        V = BT · d · BTᵀ          U = G · g · Gᵀ          y = AT · (U ⊙ V) · ATᵀ

    ⊙ multiplies entry by entry: the only multiplications of pixels with weights, 16 of them. The direct way needs 9 for
    each of 4 outputs. The products with BT, G and AT are additions, and halves.

    d: (4, 4). g: (3, 3). BT: (4, 4). G: (4, 3). AT: (2, 4). Returns V (4, 4), U (4, 4) and y (2, 2), with
    y[i, j] = Σ d[i + di, j + dj] · g[di, dj].
    """
    raise NotImplementedError


def textbook(d, g, BT, G, AT):
    """The two transforms, and the direct convolution."""
    direct = [[(d[i : i + 3, j : j + 3] * g).sum() for j in range(2)] for i in range(2)]
    return BT @ d @ BT.T, G @ g @ G.T, np.array(direct)


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Random tiles; and single pixels and weights, of which the smallest that fails is easy to follow."""
    for i in range(12):
        d, g = np.zeros((4, 4)), np.zeros((3, 3))
        d[rng.integers(4), rng.integers(4)] = g[rng.integers(3), rng.integers(3)] = 1 + i % 2
        yield d, g, BT, G, AT
    for _ in range(18):
        yield rng.standard_normal((4, 4)), rng.standard_normal((3, 3)), BT, G, AT


def matrix_product_in_the_middle(d, g, BT, G, AT):
    """U and V are multiplied as matrices (@). In the middle the product is entry by entry (*): each point of the
    polynomials has its own value."""
    V, U = BT @ d @ BT.T, G @ g @ G.T
    return V, U, AT @ (U @ V) @ AT.T


def kernel_flipped(d, g, BT, G, AT):
    """The kernel is flipped: y[i, j] = Σ d[i + di, j + dj] · g[di, dj], nothing runs backwards."""
    V, U = BT @ d @ BT.T, G @ g[::-1, ::-1] @ G.T
    return V, U, AT @ (U * V) @ AT.T


def transform_transposed(d, g, BT, G, AT):
    """The image's transform is BTᵀ · d · BT; it is to be BT · d · BTᵀ. The name BT stands for the matrix B, already
    transposed."""
    V, U = BT.T @ d @ BT, G @ g @ G.T
    return V, U, AT @ (U * V) @ AT.T


def rows_only(d, g, BT, G, AT):
    """The image is transformed from one side only, so columns are but rows are not: multiply with BTᵀ from the right,
    too."""
    V, U = BT @ d, G @ g @ G.T
    return V, U, AT @ (U * V) @ AT.T


def entries_summed(d, g, BT, G, AT):
    """The transforms are right, and y is too large or too small everywhere: AT adds up the 16 products, no mean is
    taken."""
    V, U = BT @ d @ BT.T, G @ g @ G.T
    return V, U, AT @ (U * V) @ AT.T / 4


EXERCISE = Exercise(
    number=8, lesson=8, title="a convolution by Winograd's method", stub=winograd_tile, outputs=("V", "U", "y"),
    textbook=textbook, cases=cases, library="compiled/kernels/winograd/transforms.py",
    mistakes=(matrix_product_in_the_middle, kernel_flipped, transform_transposed, rows_only, entries_summed),
)  # fmt: skip
