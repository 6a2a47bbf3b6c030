"""Sum the chunks' gradients and step, in one pass over pieces that fit the cache.

Each piece of a parameter is a job for the team: its gradients are added up in the order of the chunks, and
the optimizer's formula is applied while they are still in the cache. Every number depends only on its own
position, so it does not matter who does which piece.

The kernels are the `update` methods of `scratchnet.optimizers`, number by number and in place: NumPy needs
ten passes with a temporary array each for Adam, this is one. Gradients that are to be clipped are gone through
twice: how long they are together is known only when all of them have been added up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.compiled.jit import jit
from scratchnet.optimizers import SGD, Adam, AdamW, RMSprop, clip_factor

PIECE = 32768  # numbers: 128 KiB of parameters, and as much of each gradient and of each moment
NOTHING = np.empty(0, np.float32)


def compiled_update(optimizer, params, grads, team) -> bool:
    """Let the twin of the optimizer step; False if it has none (a user's own: then the textbook's does it)."""
    step_of = STEPS.get(type(optimizer))
    if step_of is None or any(p.dtype != np.float32 for p in params.values()):
        return False
    lr = optimizer.learning_rate()
    optimizer.steps += 1
    jobs: list[list[Any]] = [[]]
    room = PIECE
    for name, p in params.items():
        step = step_of(optimizer, name, lr)
        arrays = [a.reshape(-1) for a in (p, *optimizer.remembered(name, p))]
        gradients = [g[name].reshape(-1) for g in grads]
        for i in range(0, p.size, PIECE):
            if min(PIECE, p.size - i) > room:  # else a small parameter is done along with its neighbours
                jobs.append([])
                room = PIECE
            room -= min(PIECE, p.size - i)
            jobs[-1].append((step, [a[i : i + PIECE] for a in arrays], [g[i : i + PIECE] for g in gradients]))

    def measure(chunk):
        total = 0.0
        for _, _, parts in jobs[chunk.index]:
            parts[:] = [in_order(parts)]
            total += squares(parts[0])
        return total

    def work(chunk):
        for step, (p, *memory), parts in jobs[chunk.index]:
            g = in_order(parts)
            if factor != 1:
                scale(g, factor)
            step(p, g, *memory)

    clipping = optimizer.clip_norm is not None
    factor = np.float32(clip_factor(sum(team.map(measure, len(jobs))), optimizer.clip_norm) if clipping else 1)
    team.map(work, len(jobs))
    return True


def in_order(gradients):
    """The sum of the chunks' gradients from left to right, in the place of the first; three at a time."""
    total, *parts = gradients
    for i in range(0, len(parts), 3):
        add(total, *parts[i : i + 3], *[NOTHING] * (i + 3 - len(parts)))
    return total


def sgd_step(optimizer, name, lr):
    """p, g, v -> one step of SGD."""
    scalars = np.float32(lr), np.float32(optimizer.momentum), optimizer.nesterov
    return lambda p, g, v: sgd(p, g, v, *scalars)


def rmsprop_step(optimizer, name, lr):
    """p, g, s -> one step of RMSprop."""
    scalars = np.float32(lr), np.float32(optimizer.rho), np.float32(optimizer.eps)
    return lambda p, g, s: rmsprop(p, g, s, *scalars)


def adam_step(optimizer, name, lr):
    """p, g, m, s -> one step of Adam or AdamW; the corrections of m and s are two numbers for all."""
    t, decay = optimizer.steps, 0.0
    if isinstance(optimizer, AdamW) and optimizer.decays(name):
        decay = optimizer.weight_decay
    scalars = [lr / (1 - optimizer.beta1**t), (1 - optimizer.beta2**t) ** -0.5, lr * decay]
    scalars += [optimizer.beta1, optimizer.beta2, optimizer.eps]
    return lambda p, g, m, s: adam(p, g, m, s, *map(np.float32, scalars))


STEPS = {SGD: sgd_step, RMSprop: rmsprop_step, Adam: adam_step, AdamW: adam_step}


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
def sgd(p, g, v, lr, momentum, nesterov):
    """v = μ v - lr g;  p += v, or μ v - lr g with Nesterov's look ahead."""
    for i in range(p.size):
        v[i] = momentum * v[i] - lr * g[i]
        p[i] += momentum * v[i] - lr * g[i] if nesterov else v[i]


@jit
def rmsprop(p, g, s, lr, rho, eps):
    """s = ρ s + (1-ρ) g²;  p -= lr g / (√s + ε)"""
    for i in range(p.size):
        s[i] = rho * s[i] + (np.float32(1) - rho) * g[i] * g[i]
        p[i] -= lr * g[i] / (np.sqrt(s[i]) + eps)


@jit
def adam(p, g, m, s, lr_m, root_s, lr_decay, beta1, beta2, eps):
    """m = β₁ m + (1-β₁) g;  s = β₂ s + (1-β₂) g²;  p -= lr λ p + lr m̂ / (√ŝ + ε)

    lr_m is lr / (1 - β₁ᵗ) and root_s is 1 / √(1 - β₂ᵗ): the corrections, taken out of the loop.
    """
    one = np.float32(1)
    for i in range(p.size):
        m[i] = beta1 * m[i] + (one - beta1) * g[i]
        s[i] = beta2 * s[i] + (one - beta2) * g[i] * g[i]
        p[i] -= lr_decay * p[i] + lr_m * m[i] / (np.sqrt(s[i]) * root_s + eps)
