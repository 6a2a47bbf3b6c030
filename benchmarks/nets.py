"""The networks of the benchmarks, written once, as plain data.

A network is a list of tuples: the kind of layer, then its numbers. Every framework has a builder of its own
(`peers/*.py`) that walks this list, so the architecture is the same by construction. Initial
weights are drawn here too, in the layout of Keras, which is ours: `(k_h, k_w, in_c, out_c)` and `(in, out)`.

    >>> from nets import NETS, weights
    >>> [array.shape for array in weights(NETS["two-conv"])][:2]
    [(3, 3, 1, 32), (32,)]
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

Net = list[tuple]
IMAGE = (28, 28, 1)


def conv_pool(filters: int, kernel: int = 3) -> Net:
    return [("conv", filters, kernel, "valid"), ("relu",), ("pool", 2)]


def conv_norm_pool(filters: int) -> Net:
    return [("conv", filters, 3, "same"), ("relu",), ("batchnorm",), ("pool", 2)]


def conv_norm(filters: int) -> Net:
    return [("conv", filters, 3, "valid"), ("batchnorm",), ("relu",)]


def dense_relu(units: int) -> Net:
    return [("dense", units), ("relu",)]


NETS: dict[str, Net] = {
    "two-conv": [*conv_pool(32), *conv_pool(64), ("flatten",), *dense_relu(128), ("dense", 10)],
    "chollet": [
        *conv_pool(32),
        *conv_pool(64),
        ("conv", 64, 3, "valid"),
        ("relu",),
        ("flatten",),
        *dense_relu(64),
        ("dense", 10),
    ],
    "pyramid": [*conv_pool(32), *conv_pool(64), *conv_pool(128), ("flatten",), *dense_relu(128), ("dense", 10)],
    "vgg-bn": [
        *conv_norm_pool(32),
        *conv_norm_pool(64),
        *conv_norm_pool(128),
        ("flatten",),
        *dense_relu(128),
        ("dropout", 0.5),
        *dense_relu(64),
        ("dropout", 0.3),
        ("dense", 10),
    ],
    "default": [*conv_pool(32, kernel=5), *conv_pool(64), ("flatten",), *dense_relu(128), ("dense", 10)],
    "record": [*conv_pool(24, kernel=5), *conv_pool(32), ("flatten",), *dense_relu(256), ("dense", 10)],
    "deep": [*chain.from_iterable(map(conv_norm, range(32, 177, 16))), ("flatten",), ("dense", 10)],
}

RECIPES = [("chollet", 128), ("two-conv", 128), ("pyramid", 128), ("vgg-bn", 128), ("two-conv", 32), ("record", 256)]
"""What is trained, in the order of the tables: (name of the network, batch size)."""


def without_dropout(net: Net) -> Net:
    """The network without its random layers, so that the losses of two frameworks can be compared."""
    return [layer for layer in net if layer[0] != "dropout"]


def widened(net: Net, factor: float) -> Net:
    """The network with `factor` times the filters and hidden units; the last layer keeps its classes."""

    def wider(layer: tuple) -> tuple:
        kind, *numbers = layer
        return (kind, max(1, round(numbers[0] * factor)), *numbers[1:]) if kind in ("conv", "dense") else layer

    return [*map(wider, net[:-1]), net[-1]]


def walk(net: Net, shape: tuple[int, ...] = IMAGE) -> Iterator[tuple[tuple, tuple[int, ...]]]:
    """Each layer with the shape that enters it, (h, w, c) or (features,)."""
    for layer in net:
        yield layer, shape
        match layer:
            case "crop", border:
                shape = (shape[0] - 2 * border, shape[1] - 2 * border, shape[2])
            case "conv", filters, kernel, padding:
                cut = 0 if padding == "same" else kernel - 1
                shape = (shape[0] - cut, shape[1] - cut, filters)
            case "pool", size:
                shape = (shape[0] // size, shape[1] // size, shape[2])
            case ("flatten",):
                shape = (int(np.prod(shape)),)
            case "dense", units:
                shape = (units,)


def weights(net: Net, seed: int = 0) -> list[np.ndarray]:
    """The trained arrays at the start of a run, layer by layer: W (He normal) and b, or gamma and beta.

    The last layer starts with a tenth of that, undecided between the classes: large wrong logits would make the
    first steps wild, and a comparison of loss curves a comparison of rounding errors.
    """
    rng = np.random.default_rng(seed)
    arrays: list[np.ndarray] = []
    for layer, shape in walk(net):
        match layer:
            case "conv", filters, kernel, _:
                arrays += [he_normal(rng, kernel, kernel, shape[-1], filters), np.zeros(filters)]
            case "dense", units:
                arrays += [he_normal(rng, shape[0], units), np.zeros(units)]
            case ("batchnorm",):
                arrays += [np.ones(shape[-1]), np.zeros(shape[-1])]
    arrays[-2] *= 0.1
    return arrays


def without_zeros(arrays: list[np.ndarray], seed: int = 0) -> list[np.ndarray]:
    """Weights with noise (standard deviation 0.1) in biases, gamma and beta, which no training leaves at 0 or 1.

    A runtime that optimises its graph leaves out the addition of zeros: it would be timed on less work.
    """
    rng = np.random.default_rng([seed, 1])
    return [array + rng.normal(0, 0.1, array.shape) if array.ndim == 1 else array for array in arrays]


def decided(arrays: list[np.ndarray], probabilities: np.ndarray, deviation: float = 1.5) -> list[np.ndarray]:
    """Weights whose answers differ from image to image; an untrained network has nearly the same for all.

    The last layer is changed so that the logits of each class have the mean 0, and all of them this standard
    deviation. probabilities: (n, classes), the network's answers with the weights as they are.
    """
    logits = np.log(probabilities)
    logits -= logits.mean(axis=1, keepdims=True)
    mean = logits.mean(axis=0)
    factor = deviation / (logits - mean).std()
    *others, W, b = arrays
    return [*others, factor * W, factor * (b - mean)]


def channels_first(net: Net, arrays: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same weights for frameworks that put channels first: (out_c, in_c, k_h, k_w) and (out, in).

    The first Dense after a Flatten needs care: its rows stand in the order (h, w, c) with us, (c, h, w) there.
    """
    given, before_flatten = iter(arrays), None
    for layer, shape in walk(net):
        match layer:
            case ("flatten",):
                before_flatten = shape
            case "conv", *_:
                yield next(given).transpose(3, 2, 0, 1)
                yield next(given)
            case "dense", _:
                W = next(given)
                if before_flatten:
                    W = W.reshape(*before_flatten, -1).transpose(2, 0, 1, 3).reshape(W.shape)
                    before_flatten = None
                yield W.T
                yield next(given)
            case ("batchnorm",):
                yield next(given)
                yield next(given)


def he_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard deviation sqrt(2 / fan_in); the last axis is what goes out, the others what comes in."""
    return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
