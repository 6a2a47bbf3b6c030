"""A layer of your own: forward, backward, and the check that one is the derivative of the other.

python examples/own_layer.py
"""

import numpy as np

import scratchnet as sn


class Swish(sn.Layer):
    """y = x σ(βx): smooth where ReLU has a corner. β is learned, one for each channel (arXiv 1710.05941)."""

    params = ("beta",)

    def build(self, input_shape, rng):
        self.beta = np.ones(input_shape[-1])
        return input_shape

    def forward(self, x, ctx):
        s = 1 / (1 + np.exp(-self.beta * x))
        return x * s, (x, s)

    def backward(self, dy, cache):
        x, s = cache
        slope = s * (1 - s)  # of σ
        dx = dy * (s + self.beta * x * slope)
        return dx, {"beta": (dy * x * x * slope).sum(axis=tuple(range(x.ndim - 1)))}


sn.gradcheck(Swish(), np.random.default_rng(0).normal(size=(4, 6, 6, 3)))

(x, y), test = sn.load_synthetic(n_train=2000, n_test=1000)
layers = [sn.Rescale(), sn.Conv2D(8, 5, stride=2), Swish(), sn.Conv2D(16, 3), Swish(), sn.Flatten(), sn.Dense(10)]
model = sn.Sequential(layers, input_shape=(28, 28, 1))  # compiled layers, and Swish as it is written here
model.fit(x, y, epochs=5, optimizer=sn.Adam(5e-3))
print(f"{model.evaluate(*test)['accuracy']:.1%} of the test images;", "beta:", model.layers[2].beta.round(2))
