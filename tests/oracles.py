"""What the layers should compute, written as their definitions: loops over Python numbers.

Nothing here is fast, nothing is clever, and nothing is shared with the library: no im2col, no broadcasting,
no subtracting of maxima. Where the library adds up arrays, these add up lists of floats with `math.fsum`,
which rounds once. So an error would have to be made twice, in two different ways, to go unnoticed.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from itertools import product

import numpy as np


def pads(size: int, window: int, stride: int, padding) -> tuple[int, int]:
    """Padding before and after one axis. "same" as TensorFlow's documentation states it, case by case."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        left_over = size % stride
        total = max(window - stride, 0) if left_over == 0 else max(window - left_over, 0)
        before = total // 2
        return before, total - before
    return padding, padding


def positions(size: int, window: int, stride: int, padding) -> list[int]:
    """Where windows begin along one axis, in coordinates of the image: negative where they begin in padding."""
    before, after = pads(size, window, stride, padding)
    begins, begin = [], -before
    while begin + window <= size + after:
        begins.append(begin)
        begin += stride
    return begins


def windows(x_shape, size, stride, padding):
    """For every output position: (i, j) and the [(di, dj, row, column)] of its window that lie in the image."""
    _, h, w, _ = x_shape
    for i, top in enumerate(positions(h, size[0], stride[0], padding)):
        for j, left in enumerate(positions(w, size[1], stride[1], padding)):
            inside = [
                (di, dj, top + di, left + dj)
                for di, dj in product(range(size[0]), range(size[1]))
                if 0 <= top + di < h and 0 <= left + dj < w
            ]
            yield i, j, inside


def output_size(x_shape, size, stride, padding) -> tuple[int, int]:
    """(out_h, out_w), by counting."""
    _, h, w, _ = x_shape
    return len(positions(h, size[0], stride[0], padding)), len(positions(w, size[1], stride[1], padding))


def conv2d(x, W, b, stride, padding) -> np.ndarray:
    """The convolution: a loop over examples, rows, columns, filters, window rows, window columns, channels."""
    n, c, filters = len(x), x.shape[3], W.shape[3]
    y = np.zeros((n, *output_size(x.shape, W.shape[:2], stride, padding), filters))
    for i, j, inside in windows(x.shape, W.shape[:2], stride, padding):
        for a, f in product(range(n), range(filters)):
            terms = [
                float(x[a, row, column, k]) * float(W[di, dj, k, f]) for di, dj, row, column in inside for k in range(c)
            ]
            y[a, i, j, f] = math.fsum([*terms, float(b[f])])
    return y


def conv2d_gradients(x, W, stride, padding, dy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx, dW, db: every product x·W of the forward loops hands dy on to both of its factors."""
    dx, dW, db = np.zeros(x.shape), np.zeros(W.shape), np.zeros(W.shape[3])
    for i, j, inside in windows(x.shape, W.shape[:2], stride, padding):
        for a, f in product(range(len(x)), range(W.shape[3])):
            g = float(dy[a, i, j, f])
            db[f] += g
            for (di, dj, row, column), k in product(inside, range(x.shape[3])):
                dx[a, row, column, k] += g * float(W[di, dj, k, f])
                dW[di, dj, k, f] += g * float(x[a, row, column, k])
    return dx, dW, db


def depthwise_conv2d(x, W, b, stride, padding) -> np.ndarray:
    """Channel by channel a convolution of one channel; the filters of a channel stand next to each other."""
    one = [
        conv2d(x[..., k : k + 1], W[:, :, k : k + 1], np.zeros(W.shape[3]), stride, padding) for k in range(x.shape[3])
    ]
    return np.concatenate(one, axis=3) + b


def depthwise_conv2d_gradients(x, W, stride, padding, dy) -> tuple[np.ndarray, np.ndarray]:
    """dx and dW, channel by channel."""
    m, found = W.shape[3], []
    for k in range(x.shape[3]):
        dy_k = dy[..., k * m : (k + 1) * m]
        found.append(conv2d_gradients(x[..., k : k + 1], W[:, :, k : k + 1], stride, padding, dy_k))
    return np.concatenate([dx for dx, _, _ in found], axis=3), np.concatenate([dW for _, dW, _ in found], axis=2)


def max_pool(x, size, stride, padding="valid") -> tuple[np.ndarray, dict]:
    """The largest number of each window, and {output index: input index} of the first that is as large."""
    n, c = len(x), x.shape[3]
    y, winners = np.zeros((n, *output_size(x.shape, size, stride, padding), c)), {}
    for i, j, inside in windows(x.shape, size, stride, padding):
        for a, k in product(range(n), range(c)):
            best = None
            for _, _, row, column in inside:
                if best is None or x[a, row, column, k] > x[a, best[0], best[1], k]:
                    best = row, column
            y[a, i, j, k] = x[a, best[0], best[1], k]
            winners[a, i, j, k] = (a, *best, k)
    return y, winners


def max_pool_gradient(x, size, stride, dy, padding="valid") -> np.ndarray:
    """dx: each dy goes to its winner."""
    dx = np.zeros(x.shape)
    for output, winner in max_pool(x, size, stride, padding)[1].items():
        dx[winner] += dy[output]
    return dx


def avg_pool(x, size, stride, padding="valid") -> np.ndarray:
    """The mean of each window: of the pixels of the image in it."""
    n, c = len(x), x.shape[3]
    y = np.zeros((n, *output_size(x.shape, size, stride, padding), c))
    for i, j, inside in windows(x.shape, size, stride, padding):
        for a, k in product(range(n), range(c)):
            values = [float(x[a, row, column, k]) for _, _, row, column in inside]
            y[a, i, j, k] = math.fsum(values) / len(values)
    return y


def avg_pool_gradient(x_shape, size, stride, dy, padding="valid") -> np.ndarray:
    """dx: each dy is shared out evenly in its window."""
    dx = np.zeros(x_shape)
    for i, j, inside in windows(x_shape, size, stride, padding):
        for a, k in product(range(x_shape[0]), range(x_shape[3])):
            for _, _, row, column in inside:
                dx[a, row, column, k] += dy[a, i, j, k] / len(inside)
    return dx


def dense(x, W, b) -> np.ndarray:
    """y_nj = Σ_i x_ni W_ij + b_j."""
    return np.array(
        [
            [math.fsum([*(float(row[i]) * float(W[i, j]) for i in range(len(W))), float(b[j])]) for j in range(len(b))]
            for row in x
        ]
    ).reshape(len(x), len(b))


def channel(x, k) -> list[float]:
    """All numbers of one channel, as a list."""
    return [float(value) for value in x[..., k].ravel()]


def batch_norm(x, gamma, beta, epsilon) -> tuple[np.ndarray, list[float], list[float]]:
    """Normalised by the batch's own statistics; the mean and the variance of each channel."""
    y, means, variances = np.zeros(x.shape), [], []
    for k in range(x.shape[-1]):
        values = channel(x, k)
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        normal = [(v - mean) / math.sqrt(variance + epsilon) for v in values]
        y[..., k] = np.reshape([gamma[k] * v + beta[k] for v in normal], x.shape[:-1])
        means.append(mean)
        variances.append(variance)
    return y, means, variances


def batch_norm_gradient(x, gamma, epsilon, dy) -> np.ndarray:
    """dx by the chain rule through x̂, then σ², then μ, as the paper writes it (arXiv 1502.03167, section 3)."""
    dx = np.zeros(x.shape)
    for k in range(x.shape[-1]):
        values, g = channel(x, k), [gamma[k] * d for d in channel(dy, k)]
        m = len(values)
        mean = math.fsum(values) / m
        root = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / m + epsilon)
        dvariance = math.fsum(d * (v - mean) * -0.5 / root**3 for d, v in zip(g, values, strict=True))
        dmean = math.fsum(-d / root for d in g) + dvariance * math.fsum(-2 * (v - mean) for v in values) / m
        parts = [d / root + dvariance * 2 * (v - mean) / m + dmean / m for d, v in zip(g, values, strict=True)]
        dx[..., k] = np.reshape(parts, x.shape[:-1])
    return dx


def cross_entropy(logits, targets) -> tuple[float, np.ndarray]:
    """Mean loss and dlogits from the definitions, in 60-digit decimals: exp(10000) is just a large number."""
    with localcontext() as context:
        context.prec = 60
        losses, gradients = [], []
        for z_row, t_row in zip(logits, targets, strict=True):
            z, t = [Decimal(float(v)) for v in z_row], [Decimal(float(v)) for v in t_row]
            exps = [v.exp() for v in z]
            p = [e / sum(exps) for e in exps]
            losses.append(-sum(tk * pk.ln() for tk, pk in zip(t, p, strict=True)))
            gradients.append([float((pk - tk) / len(logits)) for pk, tk in zip(p, t, strict=True)])
        return float(sum(losses) / len(losses)), np.array(gradients)
