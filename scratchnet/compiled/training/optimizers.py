"""Sum the chunks' gradients and step, in one pass over pieces that fit the cache.

Each piece of a parameter belongs to a task: its gradients are summed in the order of the chunks, and the optimizer's
formula is applied while they are still in the cache. Every number depends on its own position only, so it does not
matter which thread does which piece. Gradients that are to be clipped are visited twice: their norm is known when all
of them have been summed.

The kernels are the `update` methods of `scratchnet.optimizers`, number by number and in place: NumPy needs ten passes
with a temporary array each for Adam, this is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.kernels.deferred_gradient import DeferredGradient
from scratchnet.optimizers import SGD, Adam, AdamW, RMSprop

PIECE = 32768  # numbers: 128 KiB of parameters, and as much of each gradient and of each moment
NOTHING = np.empty(0, np.float32)


def is_compiled(optimizer) -> bool:
    """Whether there is a kernel for this optimizer."""
    return type(optimizer) in RULES


def update_tasks(optimizer, params, grads, penalties) -> list[list[Piece]]:
    """The pieces of all parameters, in tasks of about the same size.

    grads: of each chunk, by name. penalties: λ of the parameters with an L2 penalty, by name.
    """
    optimizer.attach(params)
    tasks: list[list[Piece]] = [[]]
    room = PIECE
    for name, p in params.items():
        gradient = combined([g[name] for g in grads])
        p, *slots = (a.reshape(-1) for a in (p, *optimizer.remembered(name, p)))
        for start in range(0, p.size, gradient.block_size):
            stop = min(start + gradient.block_size, p.size)
            if stop - start > room:  # else a small parameter is updated along with its neighbours
                tasks.append([])
                room = PIECE
            room -= stop - start
            own = p[start:stop], [m[start:stop] for m in slots], penalties.get(name, 0.0)
            tasks[-1].append(Piece(name, gradient, start, stop, *own))
    return tasks


class Piece:
    """Some numbers of a parameter, and of the optimizer's slots for them."""

    def __init__(self, name: str, source, start: int, stop: int, p: np.ndarray, slots: list[np.ndarray], l2: float):
        self.name, self.source, self.start, self.stop, self.p, self.slots = name, source, start, stop, p, slots
        self.l2 = l2
        self.g: np.ndarray | None = None

    def gradient(self, call) -> np.ndarray:
        """Their gradient; the calls that compute it are made on first use."""
        if self.g is None:
            self.g = self.source.block(call, self.start, self.stop)
            if self.l2:
                call(add_penalty, self.g, self.p, np.float32(2 * self.l2))
        return self.g

    def update(self, call, optimizer, hyperparameters: np.ndarray) -> None:
        """The optimizer's step."""
        call(RULES[type(optimizer)].kernel, self.p, self.gradient(call), *self.slots, hyperparameters)


class ChunkSum:
    """A gradient of which every chunk has computed a part: their sum, from left to right."""

    block_size = PIECE

    def __init__(self, parts):
        self.parts = [part.reshape(-1) for part in parts]

    def block(self, call, start: int, stop: int) -> np.ndarray:
        """The numbers start .. stop of the sum, in the place of the first part's; three are added at a time."""
        total, *parts = [part[start:stop] for part in self.parts]
        for i in range(0, len(parts), 3):
            call(add, total, *parts[i : i + 3], *[NOTHING] * (i + 3 - len(parts)))
        return total


def combined(parts) -> ChunkSum | DeferredGradient:
    """The chunks' gradients of a parameter, as something that computes a block of their sum."""
    return parts[0] if isinstance(parts[0], DeferredGradient) else ChunkSum(parts)


class Rule(NamedTuple):
    """The kernel of an optimizer, and the numbers it takes beside the arrays."""

    kernel: Callable
    hyperparameters: Callable
    numbers: int  # how many hyperparameters


def hyperparameters(optimizer, name: str, lr: float) -> tuple[float, ...]:
    """The numbers of the optimizer's present step for the parameter of this name."""
    return RULES[type(optimizer)].hyperparameters(optimizer, name, lr)


def decays(optimizer, name: str) -> bool:
    """Whether the parameter's numbers contain a weight decay: all parameters that agree in this share their numbers."""
    return isinstance(optimizer, AdamW) and optimizer.decays(name)


def sgd_hyperparameters(optimizer, name, lr):
    """lr, μ, and whether it looks ahead."""
    return lr, optimizer.momentum, optimizer.nesterov


def rmsprop_hyperparameters(optimizer, name, lr):
    """lr, ρ, ε"""
    return lr, optimizer.rho, optimizer.eps


def adam_hyperparameters(optimizer, name, lr):
    """Adam's and AdamW's; the corrections of m and s are two numbers for all: lr / (1 - β₁ᵗ) and 1 / √(1 - β₂ᵗ)."""
    t, decay = optimizer.steps, 0.0
    if isinstance(optimizer, AdamW) and optimizer.decays(name):
        decay = optimizer.weight_decay
    corrected = lr / (1 - optimizer.beta1**t), (1 - optimizer.beta2**t) ** -0.5
    return *corrected, lr * decay, optimizer.beta1, optimizer.beta2, optimizer.eps


@jit
def add(total, a, b, c):
    """total += a, then b, then c; arrays of size 0 are left out."""
    if c.size > 0:
        for i in range(total.size):
            total[i] = total[i] + a[i] + b[i] + c[i]
    elif b.size > 0:
        for i in range(total.size):
            total[i] = total[i] + a[i] + b[i]
    else:
        for i in range(total.size):
            total[i] = total[i] + a[i]


@jit
def add_penalty(g, p, factor):
    """g += factor p, the gradient of factor / 2 Σ p²."""
    for i in range(g.size):
        g[i] += factor * p[i]


@jit
def sum_squares(g, first, totals, task):
    """totals[task] += Σ g² in float64, or = for its first piece; in the same four sums for any vector width."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    rest = g.size % 4
    for i in range(rest):
        a += np.float64(g[i]) * np.float64(g[i])
    for i in range(rest, g.size, 4):
        a += np.float64(g[i]) * np.float64(g[i])
        b += np.float64(g[i + 1]) * np.float64(g[i + 1])
        c += np.float64(g[i + 2]) * np.float64(g[i + 2])
        d += np.float64(g[i + 3]) * np.float64(g[i + 3])
    squares = (a + b) + (c + d)
    totals[task] = squares if first else totals[task] + squares


@jit
def clip_factor(totals, clip_norm, factor):
    """factor = min(1, clip_norm / |g|), from the Σ g² of all tasks."""
    total = 0.0
    for squares in totals:
        total += squares
    norm = np.sqrt(total)
    factor[0] = clip_norm[0] / norm if norm > clip_norm[0] else 1.0


@jit
def scale(g, factor):
    """g = factor g"""
    if factor[0] != 1:
        for i in range(g.size):
            g[i] *= factor[0]


@jit
def sgd(p, g, v, numbers):
    """v = μ v - lr g;  p += v, or μ v - lr g with Nesterov's look ahead."""
    lr, momentum, nesterov = numbers[0], numbers[1], numbers[2] > 0
    for i in range(p.size):
        v[i] = momentum * v[i] - lr * g[i]
        p[i] += momentum * v[i] - lr * g[i] if nesterov else v[i]


@jit
def rmsprop(p, g, s, numbers):
    """s = ρ s + (1-ρ) g²;  p -= lr g / (√s + ε)"""
    lr, rho, eps = numbers[0], numbers[1], numbers[2]
    for i in range(p.size):
        s[i] = rho * s[i] + (np.float32(1) - rho) * g[i] * g[i]
        p[i] -= lr * g[i] / (np.sqrt(s[i]) + eps)


@jit
def adam(p, g, m, s, numbers):
    """m = β₁ m + (1-β₁) g;  s = β₂ s + (1-β₂) g²;  p -= lr λ p + lr m̂ / (√ŝ + ε)"""
    lr_m, root_s, lr_decay = numbers[0], numbers[1], numbers[2]
    beta1, beta2, eps, one = numbers[3], numbers[4], numbers[5], np.float32(1)
    for i in range(p.size):
        m[i] = beta1 * m[i] + (one - beta1) * g[i]
        s[i] = beta2 * s[i] + (one - beta2) * g[i] * g[i]
        p[i] -= lr_decay * p[i] + lr_m * m[i] / (np.sqrt(s[i]) * root_s + eps)


RULES = {
    SGD: Rule(sgd, sgd_hyperparameters, 3),
    RMSprop: Rule(rmsprop, rmsprop_hyperparameters, 3),
    Adam: Rule(adam, adam_hyperparameters, 6),
    AdamW: Rule(adam, adam_hyperparameters, 6),
}
