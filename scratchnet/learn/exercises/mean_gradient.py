"""Exercise 10: the gradients of several machines become one, to the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.learn.exercise import Arguments, Exercise
from scratchnet.team import ordered_sum

ORDERS = 4  # of arrival, for each set of chunks


def mean_gradient(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """The mean gradient of a batch from the gradients of its chunks.

    arrived: a list of (number, n, g), one for each chunk, in the order in which they arrived: the number of the chunk
    (0, 1, ...), its examples, and their *mean* gradient, float32.
    Returns the mean over all examples of the batch, float32.

    Chunks that arrive in another order must give the same bits. Floating-point addition depends on the order of its
    terms, so the order must not depend on the network or the threads.
    """
    raise NotImplementedError


def textbook(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """The library's sum, in the order of the chunks."""
    chunks = sorted(arrived, key=lambda chunk: chunk[0])
    total = sum(n for _, n, _ in chunks)
    return ordered_sum([g * np.float32(n / total) for _, n, g in chunks])


def cases(rng: np.random.Generator) -> Iterator[tuple[list]]:
    """Sets of 1 to 8 chunks of different sizes, each in several orders of arrival."""
    for i in range(8):
        shape = (i + 1, 5)
        chunks = [
            (number, int(rng.integers(1, 65)), (10 * rng.standard_normal(shape)).astype(np.float32))
            for number in range(i + 1)
        ]
        for _ in range(ORDERS):
            yield ([chunks[k] for k in rng.permutation(len(chunks))],)


def same_bits(cases: list[Arguments], results: list[Any]) -> str:
    """A sentence if two orders of arrival gave different bits."""
    for start in range(0, len(cases), ORDERS):
        bits = {np.asarray(result[0], np.float32).tobytes() for result in results[start : start + ORDERS]}
        if len(bits) > 1:
            return (
                f"the numbers are right, to rounding. But the same {len(cases[start][0])} chunks in another order of "
                "arrival give other bits.\nhint: Add them in the order of their numbers: sort before adding."
            )
    return ""


def chunks_not_weighted(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """Each chunk counts the same. A chunk of 64 examples must count twice as much as one of 32: weigh each mean
    with its n."""
    chunks = sorted(arrived, key=lambda chunk: chunk[0])
    return ordered_sum([g * np.float32(1 / len(chunks)) for _, _, g in chunks])


def means_added(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """The means of the chunks are added up: the result grows with the number of chunks."""
    return ordered_sum([g for _, _, g in sorted(arrived, key=lambda chunk: chunk[0])])


def not_divided(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """Each mean is multiplied by its n, and the sum is not divided by all examples."""
    return ordered_sum([g * np.float32(n) for _, n, g in sorted(arrived, key=lambda chunk: chunk[0])])


def divided_by_chunks(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """The sum over the examples is divided by the number of chunks: divide by the number of examples."""
    return not_divided(arrived) / np.float32(len(arrived))


def last_chunk_only(arrived: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """Only the last chunk is in the result: = in a loop overwrites what += adds up."""
    _, n, g = sorted(arrived, key=lambda chunk: chunk[0])[-1]
    return g * np.float32(n / sum(size for _, size, _ in arrived))


EXERCISE = Exercise(
    number=10, lesson=10, title="one gradient from many chunks", stub=mean_gradient, outputs=("g",), textbook=textbook,
    cases=cases, law=same_bits, library="team.py: ordered_sum", tolerance=1e-5,
    mistakes=(chunks_not_weighted, means_added, not_divided, divided_by_chunks, last_chunk_only),
)  # fmt: skip
