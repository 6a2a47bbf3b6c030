"""Which pieces of ink form a digit, and which are not part of any.

    ruling     lines that cross the whole paper, thin and at least three, or a grid
    rings      a piece that surrounds others of some size: a circle or a box drawn around a digit, a frame.
               The rings of a 0, a 6 or an 8 are empty, or contain only specks
    digits     pieces that nearly touch are one digit; so are a small piece and the large one beside it, and
               pieces close above each other: the bar of a 5
    specks     a group with little ink, or small and far from all others
    order      rows from top to bottom, each from left to right, as a page is read

A digit in two pieces must never become two digits: in doubt, the rules join pieces. All distances are measured in
heights of the tallest piece.
"""

from __future__ import annotations

import numpy as np

from scratchnet.data.ink import ONLY_PAPER
from scratchnet.data.pieces import Box, boxes, label, linked, spread

SPECK = 0.05  # of the largest piece's ink: less is dirt
DUST = 0.005  # of the largest piece's ink: less is noise, even beside a digit
MOST_PIECES = 400  # a page of text has more
NEAR = 0.05  # heights that every piece is spread by; those that touch then are one
SMALL = 0.45  # heights; anything lower is part of a digit, or dirt
LINE = 0.02  # of the picture: a thicker line is not ruling
FLAT = 0.2  # height divided by width of a line that is not quite level
AROUND = 0.8  # of all directions from inside must meet the ring
INSIDE = 0.3  # of a ring's height: the least height of the piece inside


def find_digits(ink: np.ndarray, small: bool) -> list[np.ndarray]:
    """Ink (h, w), from 0 to 1 -> each digit's ink, cut out, in reading order. Raises ValueError if there is none.

    In a large picture, the edge is where the ink has a third of its full strength. In a small one, a faint pixel is
    partly covered by the pen, and belongs to the digit.

    >>> ink = np.zeros((20, 30))
    >>> ink[5:15, 4:6] = ink[5:15, 20:26] = 1
    >>> [digit.shape for digit in find_digits(ink, small=True)]
    [(10, 2), (10, 6)]
    """
    mask = ink > (0 if small else 1 / 3)
    labels = label(spread(mask, max(ink.shape) // 256)) * mask
    weight = np.bincount(labels.ravel(), (ink * mask).ravel())[1:]
    if (weight >= SPECK * weight.max()).sum() > MOST_PIECES:
        raise ValueError(
            f"expected digits, found more than {MOST_PIECES} pieces of ink. Is it a page of text, or a texture?"
        )
    heaviest = np.zeros(len(weight), bool)
    heaviest[weight.argsort()[-MOST_PIECES:]] = True
    labels = _keep(labels, heaviest & (weight >= DUST * weight.max()))
    labels = _keep(labels, _is_no_ruling(labels))
    if not labels.any():
        raise ValueError(f"{ONLY_PAPER}it has ruled lines and nothing else.")
    labels = _keep(labels, _is_no_ring(labels))

    by = max(1, round(NEAR * max(box.height for box in boxes(labels))))
    near = label(spread(labels > 0, by))
    groups, parts = near * (labels > 0), boxes(near * (labels > 0))
    weight = np.bincount(groups.ravel(), (ink * (groups > 0)).ravel())[1:]
    kept = [i for i in range(len(parts)) if weight[i] >= SPECK * weight.max()]
    digits = []
    for members in _in_reading_order(_joined([parts[i] for i in kept])):
        own = np.isin(near, [kept[i] + 1 for i in members])
        others = spread(mask & ~own, by) & ~own
        box = boxes((own & (labels > 0)).astype(np.int64))[0]
        digits.append(np.where(others, 0, ink)[box.slices])
    return digits


def _keep(labels: np.ndarray, kept: np.ndarray | list[bool]) -> np.ndarray:
    """The pieces for which `kept` is true, renumbered."""
    numbers = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int64)
    return numbers[labels]


def _is_no_ruling(labels: np.ndarray) -> list[bool]:
    """For every piece, False if it is one of several lines across the paper, or a grid; True otherwise.

    Where the ruling is not quite level, the picture's corners cut some lines short: flat pieces at its border.
    """
    h, w = labels.shape
    found = boxes(labels)
    lines = [_is_line(labels, number, box) for number, box in enumerate(found, 1)]
    if sum(lines) >= 3:
        level = sum(box.width > box.height for line, box in zip(lines, found, strict=True) if line) >= 2
        for i, box in enumerate(found):
            cut = box.left == 0 or box.right == w if level else box.top == 0 or box.bottom == h
            lines[i] |= cut and _flatness(box if level else Box(box.left, box.right, box.top, box.bottom)) < FLAT
    else:
        lines = [False] * len(found)
    return [not (line or _is_grid(labels, number, box)) for number, (line, box) in
            enumerate(zip(lines, found, strict=True), 1)]  # fmt: skip


def _flatness(box: Box) -> float:
    """Height divided by width, each minus the one pixel that every piece has."""
    return (box.height - 1) / max(box.width - 1, 1)


def _is_line(labels: np.ndarray, number: int, box: Box) -> bool:
    """Whether a piece is long, thin, and crosses the whole paper."""
    h, w = labels.shape
    thickness, length = sorted([box.height, box.width])
    if thickness > FLAT * length or (box.width < 0.9 * w and box.height < 0.9 * h):
        return False
    return (labels[box.slices] == number).sum() < LINE * max(h, w) * length


def _is_grid(labels: np.ndarray, number: int, box: Box) -> bool:
    """Whether a piece crosses the paper in both directions many times: half of the rows or columns meet it 4 times."""
    h, w = labels.shape
    if box.width < 0.9 * w or box.height < 0.9 * h:
        return False
    piece = (labels == number).astype(np.int8)
    crossings = [(np.diff(piece, axis=axis, prepend=0) > 0).sum(axis=axis) for axis in (0, 1)]
    return max(np.median(crossings[0]), np.median(crossings[1])) >= 4


def _is_no_ring(labels: np.ndarray) -> np.ndarray:
    """For every piece, False if it surrounds another one of some size; True otherwise."""
    found = boxes(labels)
    top, bottom, left, right = np.array(found).T
    height, width = bottom - top, right - left
    within = (top < top[:, None]) & (bottom > bottom[:, None]) & (left < left[:, None]) & (right > right[:, None])
    large = (height[:, None] >= INSIDE * height) | (width[:, None] >= INSIDE * width)
    kept = np.ones(len(found), bool)
    for i, ring in zip(*np.nonzero(within & large), strict=True):  # i is within the box of ring
        y, x = np.nonzero(labels[found[ring].slices] == ring + 1)
        down, across = y + top[ring] - (top[i] + bottom[i]) / 2, x + left[ring] - (left[i] + right[i]) / 2
        if len(np.unique(np.arctan2(down, across) * 18 // np.pi)) >= AROUND * 36:  # of 36 directions
            kept[ring] = False
    return kept


def _joined(parts: list[Box]) -> list[tuple[list[int], Box]]:
    """Join parts into digits: for each, the numbers of its parts, and the box around them."""
    box, number, height = np.array(parts), np.arange(len(parts)), max(box.height for box in parts)
    while (belongs := _belong(box, height)).any():
        group = linked(len(box), *np.nonzero(belongs))
        number = group[number]
        members = [box[group == k] for k in range(group.max() + 1)]
        box = np.array([[m[:, 0].min(), m[:, 1].max(), m[:, 2].min(), m[:, 3].max()] for m in members])
    groups = [(np.flatnonzero(number == k).tolist(), Box(*around)) for k, around in enumerate(box.tolist())]
    least = SMALL * max(box.height for _, box in groups)
    return [group for group in groups if group[1].height >= least]


def _belong(box: np.ndarray, height: int) -> np.ndarray:
    """(n, n): whether part i belongs to the same digit as part j, which is as high or higher; box: (n, 4)."""
    top, bottom, left, right = box.T
    high, wide = bottom - top, right - left
    above = np.maximum(top[:, None] - bottom, top - bottom[:, None])  # (n, n), negative where they overlap
    beside = np.maximum(left[:, None] - right, left - right[:, None])
    near = (high[:, None] < SMALL * height) & (np.maximum(above, beside) < 0.35 * height)
    overlap = (-beside >= 0.5 * np.minimum(wide[:, None], wide)) & (above < 0.25 * height)
    return (near | overlap) & (high[:, None] <= high) & ~np.eye(len(box), dtype=bool)


def _in_reading_order(groups: list[tuple[list[int], Box]]) -> list[list[int]]:
    """Row by row; a group belongs to a row if its middle is between top and bottom of the row's first group."""
    rows: list[list[tuple[list[int], Box]]] = []
    for group in sorted(groups, key=lambda group: group[1].top + group[1].bottom):
        box = group[1]
        if rows and box.top + box.bottom < 2 * rows[-1][0][1].bottom:
            rows[-1].append(group)
        else:
            rows.append([group])
    return [members for row in rows for members, _ in sorted(row, key=lambda group: group[1].left)]
