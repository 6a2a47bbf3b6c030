"""Exercise 7: one step of Adam, from the gradient to the new parameters and moments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnet.learn.exercise import Exercise
from scratchnet.optimizers import Adam


def adam_step(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    s: np.ndarray,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[np.ndarray, ...]:
    """One step of Adam.

        m = β₁ m + (1-β₁) g          m̂ = m / (1 - β₁ᵗ)
        s = β₂ s + (1-β₂) g²         ŝ = s / (1 - β₂ᵗ)          p = p - lr m̂ / (√ŝ + ε)

    p: parameters. g: their gradient. m, s: the running means before the step. t: the number of this step, from 1.
    Returns new arrays p, m, s; the arguments stay as they are.
    """
    raise NotImplementedError


def textbook(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    s: np.ndarray,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[np.ndarray, ...]:
    """The library's optimizer, at step t."""
    p, m, s = p.copy(), m.copy(), s.copy()
    optimizer = Adam(lr, beta1, beta2, eps)
    optimizer.steps = t
    optimizer.update("p", p, g, lr, m, s)
    return p, m, s


def cases(rng: np.random.Generator) -> Iterator[tuple]:
    """Steps 1 to 10 from zero and from other moments, with an ε that can be seen."""
    for i in range(30):
        shape = (1 + i // 3,)
        p, g, m = (rng.standard_normal(shape) for _ in range(3))
        s = rng.random(shape)
        if i % 3 == 0:
            m, s = np.zeros(shape), np.zeros(shape)
        t = 1 if i % 3 == 0 else int(rng.integers(1, 11))
        yield p, g, m, s, t, 0.1, 0.9, 0.99, float(rng.choice([1e-8, 0.1]))


def moments(g: np.ndarray, m: np.ndarray, s: np.ndarray, beta1: float, beta2: float) -> tuple[np.ndarray, np.ndarray]:
    """The two running means after the step."""
    return beta1 * m + (1 - beta1) * g, beta2 * s + (1 - beta2) * g * g


def no_bias_correction(p, g, m, s, t, lr, beta1, beta2, eps):
    """The bias correction is missing: m and s start at 0 and are too small at first. Divide by 1 - β₁ᵗ and 1 - β₂ᵗ."""
    m, s = moments(g, m, s, beta1, beta2)
    return p - lr * m / (np.sqrt(s) + eps), m, s


def steps_from_zero(p, g, m, s, t, lr, beta1, beta2, eps):
    """The exponent is off by one: t is the number of this step, the first is 1."""
    m, s = moments(g, m, s, beta1, beta2)
    return p - lr * m / (1 - beta1 ** (t + 1)) / (np.sqrt(s / (1 - beta2 ** (t + 1))) + eps), m, s


def eps_within_the_root(p, g, m, s, t, lr, beta1, beta2, eps):
    """ε is within the root: √ŝ + ε, and not √(ŝ + ε)."""
    m, s = moments(g, m, s, beta1, beta2)
    return p - lr * m / (1 - beta1**t) / np.sqrt(s / (1 - beta2**t) + eps), m, s


def gradient_not_squared(p, g, m, s, t, lr, beta1, beta2, eps):
    """s is a running mean of g, and its root fails where g is negative. It is to be one of g²."""
    m, s = beta1 * m + (1 - beta1) * g, beta2 * s + (1 - beta2) * g
    return p - lr * m / (1 - beta1**t) / (np.sqrt(s / (1 - beta2**t)) + eps), m, s


def corrected_moments_kept(p, g, m, s, t, lr, beta1, beta2, eps):
    """The corrected m̂ and ŝ are returned as m and s: the next step would correct them again."""
    m, s = moments(g, m, s, beta1, beta2)
    m, s = m / (1 - beta1**t), s / (1 - beta2**t)
    return p - lr * m / (np.sqrt(s) + eps), m, s


def step_uphill(p, g, m, s, t, lr, beta1, beta2, eps):
    """The step goes uphill: subtract it."""
    m, s = moments(g, m, s, beta1, beta2)
    return p + lr * m / (1 - beta1**t) / (np.sqrt(s / (1 - beta2**t)) + eps), m, s


def root_forgotten(p, g, m, s, t, lr, beta1, beta2, eps):
    """The root is missing: ŝ has the unit of g², and √ŝ that of g."""
    m, s = moments(g, m, s, beta1, beta2)
    return p - lr * m / (1 - beta1**t) / (s / (1 - beta2**t) + eps), m, s


EXERCISE = Exercise(
    number=7, lesson=7, title="one step of Adam", stub=adam_step, outputs=("p", "m", "s"), textbook=textbook,
    cases=cases, library="optimizers.py: Adam.update",
    mistakes=(
        no_bias_correction, steps_from_zero, eps_within_the_root, gradient_not_squared, corrected_moments_kept,
        step_uphill, root_forgotten,
    ),
)  # fmt: skip
