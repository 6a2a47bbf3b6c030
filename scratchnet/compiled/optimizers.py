"""Sum the chunks' gradients and step, in one pass over pieces that fit the cache.

Each piece of a parameter is a job for the team: its gradients are added up in the order of the chunks, and
the optimizer's formula is applied while they are still in the cache. Every number depends only on its own
position, so it does not matter who does which piece.

The kernels are the `update` methods of `scratchnet.optimizers`, number by number and in place: NumPy needs
ten passes with a temporary array each for Adam, this is one. Gradients that are to be clipped are gone through
twice: how long they are together is known only when all of them have been added up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.factors import Factors
from scratchnet.compiled.jit import jit
from scratchnet.optimizers import SGD, Adam, AdamW, RMSprop, clip_factor
from scratchnet.team import ordered_sum

PIECE = 32768  # numbers: 128 KiB of parameters, and as much of each gradient and of each moment
NOTHING = np.empty(0, np.float32)


def compiled_update(optimizer, params, grads, team) -> bool:
    """Let the twin of the optimizer step; False if it has none (a user's own: then the textbook's does it)."""
    if not has_twin(optimizer, params):
        return False
    lr, step, jobs = optimizer.learning_rate(), RULES[type(optimizer)].step, update_jobs(optimizer, params, grads)
    optimizer.steps += 1
    numbers = {name: np.array(numbers_of(optimizer, name, lr), np.float32) for name in params}

    def measure(chunk):
        return sum(squares(piece.gradient()) for piece in jobs[chunk.index])

    def work(chunk):
        for piece in jobs[chunk.index]:
            g = piece.gradient()
            if factor != 1:
                scale(g, factor)
            step(piece.p, g, *piece.memory, numbers[piece.name])

    clipping = optimizer.clip_norm is not None
    factor = np.float32(clip_factor(sum(team.map(measure, len(jobs))), optimizer.clip_norm) if clipping else 1)
    team.map(work, len(jobs))
    return True


def has_twin(optimizer, params) -> bool:
    """Whether the kernels below know this optimizer."""
    return type(optimizer) in RULES and all(p.dtype == np.float32 for p in params.values())


def update_jobs(optimizer, params, grads) -> list[list[Piece]]:
    """The pieces of all parameters, in jobs of about the same size."""
    optimizer.attach(params)
    jobs: list[list[Piece]] = [[]]
    room = PIECE
    for name, p in params.items():
        gradient = gradient_of([g[name] for g in grads])
        p, *memory = (a.reshape(-1) for a in (p, *optimizer.remembered(name, p)))
        for start in range(0, p.size, gradient.piece):
            stop = min(start + gradient.piece, p.size)
            if stop - start > room:  # else a small parameter is done along with its neighbours
                jobs.append([])
                room = PIECE
            room -= stop - start
            jobs[-1].append(Piece(name, gradient, start, stop, p[start:stop], [m[start:stop] for m in memory]))
    return jobs


class Piece:
    """Some numbers of a parameter, and of what the optimizer remembers of them."""

    def __init__(self, name, source, start, stop, p, memory):
        self.name, self.source, self.between, self.p, self.memory = name, source, (start, stop), p, memory
        self.g = None

    def gradient(self):
        """Their gradient, made when it is first asked for."""
        if self.g is None:
            self.g = self.source.between(*self.between)
        return self.g


class Sum:
    """A gradient of which every chunk has found a part: their sum, from left to right."""

    piece = PIECE

    def __init__(self, parts):
        self.parts = [part.reshape(-1) for part in parts]

    def between(self, start, stop):
        """The numbers start .. stop of the sum, in the place of the first part's; three are added at a time."""
        total, *parts = [part[start:stop] for part in self.parts]
        for i in range(0, len(parts), 3):
            add(total, *parts[i : i + 3], *[NOTHING] * (i + 3 - len(parts)))
        return total


def gradient_of(parts):
    """What the chunks returned for a parameter, as something that gives a piece of their gradient when asked."""
    return parts[0] if isinstance(parts[0], Factors) else Sum(parts)


def total(parts):
    """The whole gradient."""
    return parts[0].whole() if isinstance(parts[0], Factors) else ordered_sum(parts)


class Rule(NamedTuple):
    """The kernel of an optimizer, and the numbers it is told beside the arrays."""

    step: Callable
    numbers: Callable


def numbers_of(optimizer, name, lr) -> tuple[float, ...]:
    """What the kernel must know of the optimizer's present step to change the parameter of this name."""
    return RULES[type(optimizer)].numbers(optimizer, name, lr)


def sgd_numbers(optimizer, name, lr):
    """lr, μ, and whether it looks ahead."""
    return lr, optimizer.momentum, optimizer.nesterov


def rmsprop_numbers(optimizer, name, lr):
    """lr, ρ, ε"""
    return lr, optimizer.rho, optimizer.eps


def adam_numbers(optimizer, name, lr):
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
def squares(g):
    """Σ g² in float64; the same four sums in any vector width."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    rest = g.size % 4
    for i in range(rest):
        a += np.float64(g[i]) * np.float64(g[i])
    for i in range(rest, g.size, 4):
        a += np.float64(g[i]) * np.float64(g[i])
        b += np.float64(g[i + 1]) * np.float64(g[i + 1])
        c += np.float64(g[i + 2]) * np.float64(g[i + 2])
        d += np.float64(g[i + 3]) * np.float64(g[i + 3])
    return (a + b) + (c + d)


@jit
def scale(g, factor):
    """g = factor g"""
    for i in range(g.size):
        g[i] *= factor


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
    SGD: Rule(sgd, sgd_numbers),
    RMSprop: Rule(rmsprop, rmsprop_numbers),
    Adam: Rule(adam, adam_numbers),
    AdamW: Rule(adam, adam_numbers),
}
