"""As many pictures of stripes as a test wants, and a small network that can learn them."""

import numpy as np

import scratchnet as sn
from scratchnet.data import write_idx_dataset


def stripes(n=320, seed=3, classes=4):
    """n noisy uint8 pictures of 10 × 10 in up to four classes: horizontal, vertical, two diagonals; their labels."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:10, :10]
    labels = np.arange(n) % classes
    direction = np.array([row, column, row + column, row - column])[labels]
    images = 200 * ((direction + rng.integers(0, 4, (n, 1, 1))) // 2 % 2) + rng.integers(0, 56, (n, 10, 10))
    return images.astype(np.uint8), labels


def stripes_folder(folder, test=80):
    """Write stripes as the four IDX files of a data set, the last `test` of them to test; the folder."""
    x, y = stripes()
    y = y.astype(np.uint8)
    write_idx_dataset(folder, ((x[:-test], y[:-test]), (x[-test:], y[-test:])))
    return folder


def network(engine="numpy", seed=0, extra=()):
    """Convolution, ReLU, pooling, two dense layers; `extra` layers behind the convolution."""
    layers = [sn.Rescale(), sn.Conv2D(4, 3), *extra, sn.ReLU(), sn.MaxPool2D(2), sn.Flatten()]
    layers += [sn.Dense(16), sn.ReLU(), sn.Dense(4)]
    return sn.Sequential(layers, (10, 10, 1), engine=engine, seed=seed)
