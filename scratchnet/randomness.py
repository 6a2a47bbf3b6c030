"""Random numbers that depend on the example, not on the thread that draws them.

An ordinary generator is a sequence: its next number depends on how many were drawn before. If a batch is cut into
chunks for several threads, the order of the draws changes from run to run. A *counter-based* generator has no
sequence; number i of stream k is a hash of k and i,

    bits(i) = mix(key + i · γ)          SplitMix64: Steele, Lea, Flood 2014 (OOPSLA)

so that each value in the mask of example 57 is a function of (seed, step, draw, 57, position), on one
thread or sixteen, in one chunk or ten, in NumPy or in a compiled kernel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: successive multiples fall far apart

WORD = 2**64 - 1  # Python's integers have no end: & WORD keeps 64 bits of them


def mix(z: Any) -> Any:
    """Scramble 64-bit integers so that inputs that differ in one bit differ in half of them.

    z: an array of uint64, or one Python integer: for a single number that is ten times as fast.
    """
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return z ^ (z >> 31)


def stream_key(*numbers: int) -> np.uint64:
    """One 64-bit key from several integers, such as (seed, step)."""
    key = 0
    for number in numbers:
        key = mix((key ^ number % 2**64) + int(GAMMA) & WORD)
    return np.uint64(key)


class ExampleRandom:
    """The generator of the examples first, first + 1, ... of a batch, at one step.

    `random(shape)` reads shape[0] as the number of examples; the k-th call is the k-th draw of the step.

    >>> whole = ExampleRandom(seed=0, step=7).random((4, 3))
    >>> part = ExampleRandom(seed=0, step=7, first=2).random((2, 3))
    >>> bool((whole[2:] == part).all())
    True
    """

    def __init__(self, seed: int, step: int, first: int = 0):
        self.seed, self.step, self.first, self.draws = seed, step, first, 0

    def next_key(self) -> np.uint64:
        """The key of the next draw."""
        self.draws += 1
        return self.key_of(self.draws)

    def key_of(self, draw: int) -> np.uint64:
        """The key of draw number 1, 2, ..."""
        return stream_key(self.seed, self.step, draw)

    def from_example(self, first: int) -> ExampleRandom:
        """The same step's generator, `first` examples further on."""
        other = ExampleRandom(self.seed, self.step, self.first + first)
        other.draws = self.draws
        return other

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform in [0, 1), float64: the upper 53 bits of each scrambled counter."""
        per_example = math.prod(shape[1:])
        counter = np.arange(shape[0] * per_example, dtype=np.uint64) + np.uint64(self.first * per_example)
        bits = mix(self.next_key() + counter * GAMMA)
        return ((bits >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Normal with mean 0 and variance 1, by Box and Muller: √(-2 log u) cos 2πv."""
        u, v = self.random(shape), self.random(shape)
        return np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)
