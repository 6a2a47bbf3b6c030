"""Networks drawn at random from all layers, with random arguments, on images of random size."""

import numpy as np

import scratchnet as sn
from scratchnet.layers import LAYERS


def drawn(seed, engine="numpy", residual="Residual" in LAYERS):
    """A float32 model with every array moved from its start, and three uint8 images for it."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers((4, 4, 1), (11, 11, 5)))
    layers = [sn.Rescale(float(rng.normal(0, 0.02)), float(rng.normal()))] if rng.random() < 0.7 else []
    layers += [draw_layer(rng, residual) for _ in range(rng.integers(0, 6))]
    layers += [sn.GlobalAvgPool2D()] if rng.random() < 0.3 else [sn.Flatten()]
    if rng.random() < 0.6:
        layers += [sn.Dense(int(rng.integers(1, 9)), bool(rng.random() < 0.8)), draw_activation(rng)]
        layers += [sn.BatchNorm()] if rng.random() < 0.3 else []
        layers += [sn.Dropout(0.4)] if rng.random() < 0.3 else []
    layers += [sn.Dense(int(rng.integers(2, 6)))]
    try:
        model = sn.Sequential(layers, shape, seed, engine)
    except ValueError:  # a window that does not fit
        return drawn(seed + 100_000, engine, residual)
    for array in {**model.parameters(), **model.state()}.values():
        array[...] += rng.uniform(0.1, 1, array.shape)
    return model, rng.integers(0, 256, (3, *shape)).astype(np.uint8)


def draw_layer(rng, residual):
    """A layer on images."""
    filters, stride, *size = (int(number) for number in rng.integers((1, 1, 1, 1), (5, 3, 4, 4)))
    sides = rng.integers(0, 3, (2, 2)).tolist()
    choices = [
        lambda: sn.Conv2D(filters, size, stride, "same", use_bias=False),
        lambda: sn.Conv2D(filters, size, padding=int(rng.integers(0, 4)), initializer="glorot"),
        lambda: sn.DepthwiseConv2D(size, stride, "same", depth_multiplier=int(rng.integers(1, 4))),
        lambda: sn.BatchNorm(float(rng.uniform(0, 0.99)), 1e-2),
        lambda: draw_activation(rng),
        lambda: sn.Dropout(0.5),
        lambda: sn.ZeroPadding2D(((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]))),
        lambda: sn.Cropping2D((1, 1)),
        lambda: sn.MaxPool2D(size, stride, str(rng.choice(["valid", "same"]))),
        lambda: sn.AvgPool2D(size, stride, str(rng.choice(["valid", "same"]))),
        lambda: sn.AvgPool2D(3, stride, 1),
    ]
    if residual:
        choices += [lambda: draw_block(rng)] * 2
    return choices[rng.integers(len(choices))]()


def draw_block(rng):
    """A residual block that keeps height and width; with a shortcut it changes the number of channels."""
    filters = int(rng.integers(1, 5))
    inner = [sn.Conv2D(filters, 3, padding="same"), sn.BatchNorm(), draw_activation(rng)]
    if rng.random() < 0.3:
        inner.append(sn.Residual([sn.DepthwiseConv2D(3, padding="same")]))
    return sn.Residual(inner, shortcut=[sn.Conv2D(filters, 1, use_bias=False)])


def draw_activation(rng):
    """An activation, with a parameter if it has one."""
    choices = [
        sn.ReLU, sn.Sigmoid, sn.Tanh, sn.GELU, sn.SiLU, sn.Softmax, lambda: sn.LeakyReLU(float(rng.uniform(0, 0.5))),
        lambda: sn.ELU(float(rng.uniform(0.1, 2))),
    ]  # fmt: skip
    return choices[rng.integers(len(choices))]()


def difference(theirs, mine):
    """The largest difference, as a share of the largest number (at least 1: logits near 0 have no scale)."""
    return float(np.abs(np.asarray(theirs, np.float64) - mine).max() / max(1, np.abs(mine).max()))
