"""Layers whose backward is wrong, each in its own way: what a gradient check is there to find."""

import numpy as np

import scratchnet as sn
from scratchnet import Layer


class SignOfBias(sn.Dense):
    """db with the wrong sign."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return dx, {**grads, "b": -grads["b"]}


class MeanInsteadOfSum(sn.Dense):
    """db averaged over the batch: a factor too small."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return dx, {**grads, "b": dy.mean(axis=0)}


class UntransposedWindow(sn.Conv2D):
    """dW with height and width of the kernel exchanged: the right numbers in the wrong places."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return dx, {**grads, "W": grads["W"].transpose(1, 0, 2, 3).copy()}


class ForgottenOverlap(sn.Conv2D):
    """dx in which one pixel that several windows share has the gradient of one less."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        dx = dx.copy()
        dx[0, 1, 1, 0] -= dy[0, 0, 0] @ self.W[1, 1, 0]
        return dx, grads


class NoGradientThroughStatistics(sn.BatchNorm):
    """dx as if mean and variance were constants."""

    def backward(self, dy, cache):
        _, grads = super().backward(dy, cache)
        return dy * self.gamma * cache[1], grads


class ZeroThroughBatchNorm(sn.BatchNorm):
    """dx = 0: right for the sum of all outputs, which batch normalisation makes constant; wrong for all else."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return np.zeros_like(dx), grads


class WrongInOneSmallEntry(sn.BatchNorm):
    """The entry of dx nearest to zero, where the curve is all there is to see, times -3."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        dx = dx.copy()
        dx.flat[np.abs(dx).argmin()] *= -3
        return dx, grads


class Parabola(Layer):
    """y = 50 x²: so curved that the slopes on both sides of the bottom are far apart."""

    def forward(self, x, ctx):
        return 50 * x**2, x

    def backward(self, dy, x):
        return 100 * x * dy, {}


class WrongAtTheBottom(Parabola):
    """A slope of 0.1 where the parabola has none."""

    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        dx.flat[np.abs(x).argmin()] += 0.1
        return dx, grads


class LeakyBackward(sn.ReLU):
    """A little of dy passes where nothing should."""

    def backward(self, dy, cache):
        return dy * np.where(cache, 1, 1e-3), {}


class LastOfTheWindow(sn.MaxPool2D):
    """Always the last pixel of a window gets the gradient."""

    def backward(self, dy, cache):
        winner, x_shape = cache
        return super().backward(dy, (np.full_like(winner, self.windows.k_h * self.windows.k_w - 1), x_shape))


class DropoutWithoutItsScale(sn.Dropout):
    """dx = dy where the value survived, without the factor 1 / (1 - rate)."""

    def backward(self, dy, mask):
        return dy * (mask > 0), {}


class NotANumber(sn.Dense):
    """A nan in one entry of dx, all others right."""

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        dx[0, 1] = np.nan
        return dx, grads
