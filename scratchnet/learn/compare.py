"""Where two results differ: the smallest case, a map of the entries, and a table of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TOLERANCE = 1e-9  # relative to the largest number of the array
FEW = 12  # numbers of an argument that is shown in full
ROWS, SIDE = 5, 16  # entries in the table; rows and columns of the map
RIGHT, WRONG = "·", "✗"


def as_arrays(result: Any) -> list[np.ndarray]:
    """What a function returned, as a list of arrays."""
    return [np.asarray(part) for part in (result if isinstance(result, tuple | list) else (result,))]


def same(got: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = TOLERANCE) -> bool:
    """Whether two results have the same shapes and, to rounding, the same numbers; NaN equals NaN.

    >>> same([np.array([1.0, np.nan])], [np.array([1.0 + 1e-13, np.nan])])
    True
    """
    return len(got) == len(expected) and all(
        a.shape == b.shape and not differs(a, b, tolerance).any() for a, b in zip(got, expected, strict=True)
    )


def differs(got: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Booleans: which entries differ by more than rounding. The arrays have the same shape.

    >>> differs(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    array([False,  True])
    """
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    finite = np.abs(expected[np.isfinite(expected)])
    return ~np.isclose(got, expected, rtol=0, atol=tolerance * max(finite.max(initial=0), 1e-3), equal_nan=True)


def report(
    outputs: Sequence[str], got: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = TOLERANCE
) -> list[str]:
    """Lines that say how one result differs from the expected one."""
    if len(got) != len(expected):
        return [f"expected {len(expected)} arrays ({', '.join(outputs)}), the function returned {len(got)}"]
    for name, mine, right in zip(outputs, got, expected, strict=True):
        if mine.shape != right.shape:
            return [f"{name} has the shape {mine.shape}, expected {right.shape}"]
    lines = []
    for name, mine, right in zip(outputs, got, expected, strict=True):
        wrong = differs(mine, right, tolerance)
        if wrong.any():
            lines += [f"{name}: {int(wrong.sum())} of {wrong.size} entries differ", *picture(name, wrong)]
            lines += table(name, mine, right, wrong)
        elif len(outputs) > 1:
            lines.append(f"{name}: right")
    return lines


def picture(name: str, wrong: np.ndarray) -> list[str]:
    """A map of the two-dimensional slice with the most wrong entries; of images it is (h, w), of W (k_h, k_w).

    >>> print(*picture("y", np.array([[True, False], [False, False]])), sep="\\n")
        y[:, :]  (✗ differs)
          ✗ ·
          · ·
    """
    if wrong.ndim < 2 or wrong.size < 2:
        return []
    axes = (wrong.ndim - 2, wrong.ndim - 1)
    if wrong.ndim == 4:
        axes = (0, 1) if "W" in name else (1, 2)
    others = [axis for axis in range(wrong.ndim) if axis not in axes]
    counts = wrong.sum(axis=axes)
    place = list(np.unravel_index(counts.argmax(), counts.shape)) if others else []
    index: list[Any] = [slice(None)] * wrong.ndim
    for axis, value in zip(others, place, strict=True):
        index[axis] = int(value)
    shown = ", ".join(":" if isinstance(part, slice) else str(part) for part in index)
    cut = wrong[tuple(index)][:SIDE, :SIDE]
    rows = [" ".join(WRONG if cell else RIGHT for cell in row) for row in cut]
    return [f"    {name}[{shown}]  ({WRONG} differs)", *(f"      {row}" for row in rows)]


def table(name: str, got: np.ndarray, expected: np.ndarray, wrong: np.ndarray) -> list[str]:
    """The first wrong entries: index, the learner's number, the textbook's."""
    places = [tuple(map(int, index)) for index in np.argwhere(wrong)[:ROWS]]
    cells = [("entry", "yours", "textbook")]
    cells += [(f"{name}{list(i)}" if i else name, shown(got[i]), shown(expected[i])) for i in places]
    width = [max(len(row[column]) for row in cells) for column in range(3)]
    return [f"    {a:<{width[0]}}  {b:>{width[1]}}  {c:>{width[2]}}" for a, b, c in cells]


def shown(value: Any) -> str:
    """A number with seven digits."""
    return f"{float(value):.7g}"


def small_arrays(names: Sequence[str], arguments: Sequence[Any]) -> list[str]:
    """The arguments of at most FEW numbers, as lines: with them a case can be followed by hand.

    >>> small_arrays(["x", "size"], [np.array([[1.0, 2.5]]), 2])
    ['    x = [1.  2.5]']
    """
    found = []
    for name, value in zip(names, arguments, strict=True):
        if isinstance(value, np.ndarray) and 0 < value.size <= FEW:
            text = np.array2string(value.squeeze(), precision=4, suppress_small=True)
            found += [f"    {name} = {text}".replace("\n", f"\n    {' ' * len(name)}   ")]
    return found


def described(names: Sequence[str], arguments: Sequence[Any]) -> str:
    """The arguments of a case: shapes of arrays, and small values as they are.

    >>> described(["x", "size"], [np.zeros((1, 2, 2, 1)), 2])
    'x (1, 2, 2, 1), size = 2'
    """
    parts = []
    for name, value in zip(names, arguments, strict=True):
        if isinstance(value, np.ndarray):
            parts.append(f"{name} {value.shape}")
        elif isinstance(value, bytes):
            parts.append(f"{name} of {len(value)} bytes, {value[:12].hex(' ')} ...")
        elif isinstance(value, list):
            parts.append(f"{name} of {len(value)}")
        else:
            parts.append(f"{name} = {value}")
    return ", ".join(parts)
