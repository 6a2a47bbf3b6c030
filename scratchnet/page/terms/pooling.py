"""The terms of the pools.

A max-pool's y has a term for every number of its window: the winner counts once, the others not at all. Its dx has a
term for every window that the pixel is in: dy where the pixel won, and exactly 0 where another one did.
"""

from __future__ import annotations

from scratchnet.page.addresses import Index
from scratchnet.page.parts import Parts, Term, parts, product
from scratchnet.page.passes import Record
from scratchnet.page.terms.windows import pixels_in, windows_with


def winner(record: Record, index: Index) -> Index:
    """The index in x of the largest number of the window of output `index`; the first of equal ones."""
    i, j, c = index
    places = [(row, column, c) for _, _, row, column in pixels_in(record.layer.windows, record.x.shape, i, j)]
    return max(places, key=lambda place: record.x[place])


def max_output(record: Record, index: Index) -> Parts:
    """y = the largest number of the window."""
    i, j, c = index
    won = winner(record, index)
    places = [(row, column, c) for _, _, row, column in pixels_in(record.layer.windows, record.x.shape, i, j)]
    return parts("y[i, j, c] = max of the window", (
        product(record.input(place), times=float(place == won), label=label)
        for place in places
        for label in ["the largest" if place == won else "not the largest"]
    ))  # fmt: skip


def max_input(record: Record, index: Index) -> Parts:
    """dx = Σ dy of the windows that this pixel won."""
    row, column, c = index
    terms: list[Term] = []
    for i, j, _, _ in windows_with(record.layer.windows, row, column):
        won = winner(record, (i, j, c))
        label = "won" if won == index else "lost to " + record.input(won).address
        factors = (record.upstream((i, j, c)), record.input(won))
        terms.append(Term(factors[0].value * (won == index), factors, label, f"window {i},{j}"))
    return parts("dx = Σ dy of the windows in which this number is the largest", terms)


def average_output(record: Record, index: Index) -> Parts:
    """y = Σ x / m over the m pixels of the window."""
    i, j, c = index
    places = [(row, column, c) for _, _, row, column in pixels_in(record.layer.windows, record.x.shape, i, j)]
    return parts("y[i, j, c] = Σ x / m over the m pixels of the window",
                 (product(record.input(place), times=1 / len(places)) for place in places))  # fmt: skip


def average_input(record: Record, index: Index) -> Parts:
    """dx = Σ dy / m over the windows that this pixel is in."""
    row, column, c = index
    win = record.layer.windows
    return parts("dx = Σ dy / m over the windows with this pixel", (
        product(record.upstream((i, j, c)), times=1 / m, group=f"window {i},{j}")
        for i, j, _, _ in windows_with(win, row, column)
        for m in [len(list(pixels_in(win, record.x.shape, i, j)))]
    ))  # fmt: skip


def global_output(record: Record, index: Index) -> Parts:
    """y = Σ x / (h·w) over the whole image."""
    (c,), (h, w, _) = index, record.x.shape
    return parts("y[c] = Σ x[i, j, c] / (h·w)", (
        product(record.input((i, j, c)), times=1 / (h * w), group=f"row {i}") for i in range(h) for j in range(w)
    ))  # fmt: skip


def global_input(record: Record, index: Index) -> Parts:
    """dx = dy / (h·w)."""
    h, w, _ = record.x.shape
    return parts("dx[i, j, c] = dy[c] / (h·w)", [product(record.upstream(index[2:]), times=1 / (h * w))])
