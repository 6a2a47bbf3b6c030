"""Which pixels lie in a window, and which windows contain a pixel."""

from __future__ import annotations

from collections.abc import Iterator

from scratchnet.layers.base import Shape
from scratchnet.layers.windows import Windows


def pixels_in(win: Windows, shape: Shape, i: int, j: int) -> Iterator[tuple[int, int, int, int]]:
    """(di, dj, row, column) of the pixels in the window of output (i, j); those of the padding are left out.

    >>> list(pixels_in(Windows(2, 2, 2, 2, 1, 0, 0, 0, 2, 2), (3, 4, 1), 0, 1))
    [(1, 0, 0, 2), (1, 1, 0, 3)]
    """
    for di in range(win.k_h):
        for dj in range(win.k_w):
            row, column = i * win.stride_h + di - win.top, j * win.stride_w + dj - win.left
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                yield di, dj, row, column


def windows_with(win: Windows, row: int, column: int) -> Iterator[tuple[int, int, int, int]]:
    """(i, j, di, dj) of the windows that contain a pixel, and where in it.

    >>> len(list(windows_with(Windows(3, 3, 1, 1, 0, 0, 0, 0, 8, 8), 4, 4)))
    9
    """
    for di in range(win.k_h):
        for dj in range(win.k_w):
            (i, i_rest), (j, j_rest) = (
                divmod(row + win.top - di, win.stride_h),
                divmod(column + win.left - dj, win.stride_w),
            )
            if not i_rest and not j_rest and 0 <= i < win.out_h and 0 <= j < win.out_w:
                yield i, j, di, dj
