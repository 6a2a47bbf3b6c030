"""The terms of Conv2D and DepthwiseConv2D.

    y[i, j, f]           Σ over the window and the channels: x · W, and b[f]
    dx[row, column, c]   Σ over the windows that contain the pixel, and over the filters: dy · W
    dW[di, dj, c, f]     Σ over all positions (i, j): x[i + di, j + dj, c] · dy[i, j, f]
    db[f]                Σ dy[i, j, f]

Padding is left out: its terms are 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from scratchnet.page.addresses import Index
from scratchnet.page.parts import Parts, Term, parts, product
from scratchnet.page.passes import Record
from scratchnet.page.terms.windows import pixels_in, windows_with


def bias(record: Record, index: Index) -> list[Term]:
    """b[f], if the layer has a bias."""
    return [product(record.array("b", index), label="bias", group="bias")] if record.layer.use_bias else []


def conv_output(record: Record, index: Index) -> Parts:
    """y[i, j, f] = Σ x · W + b."""
    i, j, f = index
    terms = [
        product(record.input((row, column, c)), record.array("W", (di, dj, c, f)), group=f"channel {c}")
        for c in range(record.x.shape[2])
        for di, dj, row, column in pixels_in(record.layer.windows, record.x.shape, i, j)
    ]
    return parts("y[i, j, f] = Σ x[i·s + di, j·s + dj, c] · W[di, dj, c, f] + b[f]", terms + bias(record, (f,)))


def conv_input(record: Record, index: Index) -> Parts:
    """dx[row, column, c] = Σ over windows and filters: dy · W."""
    row, column, c = index
    return parts("dx[row, column, c] = Σ over the windows with this pixel Σ_f dy[i, j, f] · W[di, dj, c, f]", (
        product(record.upstream((i, j, f)), record.array("W", (di, dj, c, f)), group=f"window {i},{j}")
        for i, j, di, dj in windows_with(record.layer.windows, row, column)
        for f in range(record.y.shape[2])
    ))  # fmt: skip


def conv_weight(record: Record, index: Index) -> Parts:
    """dW[di, dj, c, f] = Σ x · dy over all positions."""
    di, dj, c, f = index
    return parts("dW[di, dj, c, f] = Σ over all positions x[i·s + di, j·s + dj, c] · dy[i, j, f]",
                 over_positions(record, di, dj, c, f))  # fmt: skip


def over_positions(record: Record, di: int, dj: int, c: int, f: int) -> Iterable[Term]:
    """x · dy of each position of the window at which the weight meets a pixel."""
    win = record.layer.windows
    for i in range(win.out_h):
        for j in range(win.out_w):
            row, column = i * win.stride_h + di - win.top, j * win.stride_w + dj - win.left
            if 0 <= row < record.x.shape[0] and 0 <= column < record.x.shape[1]:
                yield product(record.input((row, column, c)), record.upstream((i, j, f)), group=f"row {i}")


def image_bias(record: Record, index: Index) -> Parts:
    """db[f] = Σ dy over all positions."""
    (f,) = index
    h, w, _ = record.y.shape
    return parts("db[f] = Σ dy[i, j, f]", (
        product(record.upstream((i, j, f)), group=f"row {i}") for i in range(h) for j in range(w)
    ))  # fmt: skip


def depthwise_output(record: Record, index: Index) -> Parts:
    """y[i, j, c·m + q] = Σ x[.., c] · W[.., c, q] + b."""
    i, j, f = index
    c, q = divmod(f, record.layer.depth_multiplier)
    terms = [
        product(record.input((row, column, c)), record.array("W", (di, dj, c, q)), group=f"channel {c}")
        for di, dj, row, column in pixels_in(record.layer.windows, record.x.shape, i, j)
    ]
    return parts("y[i, j, c·m + q] = Σ x[i·s + di, j·s + dj, c] · W[di, dj, c, q] + b[c·m + q]",
                 terms + bias(record, (f,)))  # fmt: skip


def depthwise_input(record: Record, index: Index) -> Parts:
    """dx[row, column, c] = Σ over windows and the m filters of this channel: dy · W."""
    row, column, c = index
    m = record.layer.depth_multiplier
    return parts("dx[row, column, c] = Σ over the windows with this pixel Σ_q dy[i, j, c·m + q] · W[di, dj, c, q]", (
        product(record.upstream((i, j, c * m + q)), record.array("W", (di, dj, c, q)), group=f"window {i},{j}")
        for i, j, di, dj in windows_with(record.layer.windows, row, column)
        for q in range(m)
    ))  # fmt: skip


def depthwise_weight(record: Record, index: Index) -> Parts:
    """dW[di, dj, c, q] = Σ x[.., c] · dy[.., c·m + q] over all positions."""
    di, dj, c, q = index
    return parts("dW[di, dj, c, q] = Σ over all positions x[i·s + di, j·s + dj, c] · dy[i, j, c·m + q]",
                 over_positions(record, di, dj, c, c * record.layer.depth_multiplier + q))  # fmt: skip
