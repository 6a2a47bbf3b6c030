"""Train small networks of every kind and print a fingerprint of each: python fingerprints.py HOW THREADS [CASE ...]

HOW is none, mpi, or divided: mpi, and every product of a dense layer is divided among the ranks, however small it is.
The fingerprint is a SHA-256 of all weights and of the history's losses and accuracies.
"""

import hashlib
import json
import sys

import numpy as np

import scratchnet as sn
from scratchnet.world import shared_world
from scratchnet.zoo import PRESETS


class Centre(sn.Layer):
    """A layer without a compiled edition that sums over the batch, as a BatchNorm does."""

    params = ("b",)
    state = ("mean",)

    def build(self, input_shape, rng):
        self.b, self.mean = (np.zeros(input_shape[-1], self.dtype) for _ in range(2))
        return input_shape

    def forward(self, x, ctx):
        if not ctx.training:
            return x - self.mean + self.b, None
        axes = tuple(range(x.ndim - 1))
        total = ctx.sum(np.append(x.sum(axis=axes, dtype=np.float64), x.size / x.shape[-1]))
        mean = (total[:-1] / total[-1]).astype(x.dtype)
        ctx.update(self.mean, mean)
        return x - mean + self.b, (ctx, total[-1])

    def backward(self, dy, cache):
        ctx, m = cache
        db = dy.sum(axis=tuple(range(dy.ndim - 1)))
        return dy - (ctx.sum(db.astype(np.float64)) / m).astype(dy.dtype), {"b": db}


class Wander(sn.SGD):
    """An optimizer without a kernel: a subclass may compute something else."""


def noisy(images, rng):
    """An augmentation in Python."""
    return images + np.float32(8) * rng.standard_normal(images.shape).astype(np.float32)


def data(n, side=28):
    """Images with something to learn, and their classes."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 10, n)
    x = rng.integers(0, 64, (n, side, side))
    x[np.arange(n), y, :] += 150
    return x.astype(np.uint8), y


def preset(name, n, batch_size, **changes):
    """A preset, on n images."""
    recipe = PRESETS[name](10).overridden(epochs=2, batch_size=batch_size, **changes)
    return recipe.build((28, 28, 1), seed=1), recipe.fit_options(n), data(n)


def of_layers(layers, n, engine="numba", side=12, **how):
    """Own layers on small images."""
    return sn.Sequential(layers, (side, side, 1), seed=2, engine=engine), {"epochs": 2, **how}, data(n, side)


def frozen(layer):
    """The layer, not to be trained."""
    layer.trainable = False
    return layer


def small(*layers):
    """A convolution, some layers, an answer."""
    return [sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.MaxPool2D(2), *layers, sn.Flatten(), sn.Dense(10)]


CASES = {
    # 100: 7 chunks, the last of 4 images; the last batch is of 30: 2 chunks
    "default": lambda: preset("default", 330, 100),
    "vgg-bn": lambda: preset("vgg-bn", 230, 100, augment="light"),
    "dropout": lambda: of_layers(
        small(sn.Dropout(0.4), sn.Flatten(), sn.Dense(24), sn.ReLU(), sn.Dropout(0.5)),
        300,
        batch_size=128,
        optimizer=sn.Adam(0.01),
    ),
    "clipping": lambda: of_layers(
        small(),
        300,
        batch_size=128,
        optimizer=sn.AdamW(0.01, clip_norm=0.1),
        callbacks=[sn.WeightAverage(0.9)],
        class_weight={1: 3.0},
        loss=sn.SoftmaxCrossEntropy(0.1),
    ),
    "residual": lambda: of_layers(
        small(sn.Residual([sn.Conv2D(8, 3, padding="same"), sn.BatchNorm(), sn.ReLU()]), sn.ReLU()),
        300,
        batch_size=128,
        optimizer=sn.RMSprop(0.01),
    ),
    "frozen": lambda: of_layers(
        small(frozen(sn.Conv2D(8, 3)), frozen(sn.BatchNorm()), sn.ReLU(), sn.BatchNorm()),
        200,
        batch_size=64,
        optimizer="sgd",
    ),
    "in python": lambda: of_layers(
        small(Centre()),
        230,
        batch_size=100,
        optimizer=Wander(0.05),
        loss=lambda z, y: sn.SoftmaxCrossEntropy()(z, y),
        augment=noisy,
    ),
    "textbook": lambda: of_layers(small(sn.BatchNorm()), 60, engine="numpy", batch_size=32, optimizer=sn.Adam(0.01)),
}  # fmt: skip


def fingerprint(case: str) -> str:
    """Train a case; the digest of what came of it."""
    model, how, (x, y) = CASES[case]()
    # 2,100 images to evaluate: two groups, of which the second is small
    validation = x[np.arange(2100) % len(x)], y[np.arange(2100) % len(x)]
    history = model.fit(x, y, validation_data=validation, verbose=False, **how)
    sha = hashlib.sha256()
    for array in model.get_weights():
        sha.update(array.tobytes())
    for name in history.epochs[0]:
        if name != "seconds":
            sha.update(repr(history[name]).encode())
    return sha.hexdigest()[:16]


def main(how: str, threads: str, *cases: str) -> None:
    """Print the fingerprints as JSON, on rank 0."""
    if how != "none":
        sn.distribute("mpi")
    if how == "divided":
        shared_world().divides = lambda multiplications, size: True
    sn.set_threads(int(threads))
    found = {case: fingerprint(case) for case in cases or CASES}
    if sn.rank() == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
