"""Where in a picture is the sheet of paper? A frame around it, or the desk under it, is cut off.

The next step (`scratchnet.data.ink`) assumes that the border of the picture is paper. Two kinds of picture violate
that, and both show a sudden change of brightness all the way round:

    a frame    the outermost pixels all have one brightness, and from some row and column on hardly any have it
    a desk     Otsu's threshold separates light and dark; the largest piece of one of them is a quadrilateral with
               an empty margin. A perspective transform maps it to a rectangle, as scanners do

In both, ink covers the smaller part of what remains, and little of its edge.

Source of the threshold: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
"""

from __future__ import annotations

import numpy as np

from scratchnet.data.pieces import label, spread

STEP = 25.0  # brightness levels of 255 between paper and surroundings
MOST_INK = 0.35  # of the area inside a frame, and
MOST_INK_ON_DESK = 0.22  # of a sheet on a desk: more ink is not a drawing on paper
LEAST_INK = 4  # pixels; a sheet without ink is a thick stroke itself
COARSE = 160  # pixels on the longer side: enough to see a desk, and its texture is blurred
SMALLEST = 0.08  # of the picture: a smaller quadrilateral is part of the drawing
MARGIN = 0.03  # of a sheet's width and height; cut off, because corners are accurate to a pixel or two


def sheet_of_paper(grey: np.ndarray) -> np.ndarray:
    """The sheet in a picture (h, w), brightness from 0 to 255; the whole picture if no sheet is found.

    >>> grey = np.full((40, 30), 255.0)
    >>> grey[10:30, 15] = 0
    >>> sheet_of_paper(np.pad(grey, 3)).shape
    (38, 28)
    """
    return _without_desk(_without_frame(grey))


def _without_frame(grey: np.ndarray) -> np.ndarray:
    """The picture without a frame: lines along all four sides with the brightness of the outermost pixels."""
    h, w = grey.shape
    if min(h, w) < 12:
        return grey
    ring = _ring(grey)
    same = np.abs(grey - np.median(ring)) < STEP
    if _ring(same).mean() < 0.95:
        return grey
    middle = same[:, w // 4 : -w // 4].mean(axis=1), same[h // 4 : -h // 4].mean(axis=0)
    sides = [_thickness(lines) for part in middle for lines in (part, part[::-1])]
    top, bottom, left, right = sides
    if 0 in sides:
        return grey
    inner = np.s_[top : h - bottom, left : w - right]
    frame = np.ones(same.shape, bool)
    frame[top - 1 : h - bottom + 1, left - 1 : w - right + 1] = False  # without the line next to the paper
    paper = grey[inner]
    is_frame = same[frame].mean() > 0.98 and _ring(same[inner]).mean() < 0.03 and same[inner].mean() < MOST_INK
    has_ink = (np.abs(paper - np.median(paper)) > STEP).sum() >= LEAST_INK
    return paper if is_frame and has_ink else grey


def _thickness(lines: np.ndarray) -> int:
    """How many lines a frame has at one side, or 0; lines: the share of frame pixels in each, from the outside."""
    inside = int((lines < 0.5).argmax())
    if not 0 < inside <= len(lines) // 3 or (lines[: max(inside - 1, 1)] < 0.9).any():
        return 0
    return inside + 1  # the first line of paper may be half frame


def _ring(picture: np.ndarray) -> np.ndarray:
    """The outermost pixels."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _without_desk(grey: np.ndarray) -> np.ndarray:
    """The sheet on a desk, its corners mapped to those of a rectangle."""
    from PIL import Image

    h, w = grey.shape
    scale = max(h, w) / COARSE
    if scale < 0.5:
        return grey
    size = max(round(w / scale), 1), max(round(h / scale), 1)
    whole = Image.fromarray(grey.astype(np.float32))
    coarse = np.asarray(whole.resize(size, Image.Resampling.BOX), np.float64)
    light = coarse > otsu(coarse)
    if light.all() == light.any() or coarse[light].mean() - coarse[~light].mean() < STEP:
        return grey
    for part in (light, ~light):
        corners = _corners(part, coarse)
        if corners is not None:
            centre = corners.mean(axis=0)
            corners = (centre + (1 - 2 * MARGIN) * (corners - centre)) * [w / size[0], h / size[1]]
            left, lower, right, upper = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
            across, down = round((lower + upper) / 2), round((left + right) / 2)
            quad = corners.ravel().tolist()
            flat = whole.transform((across, down), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
            return np.asarray(flat, np.float64)
    return grey


def _corners(part: np.ndarray, coarse: np.ndarray) -> np.ndarray | None:
    """The corners (x, y) of a sheet that fills most of `part`: above left, below left, below right, above right.

    None if the largest piece of `part` is not a quadrilateral with a sharp edge.
    """
    labels = label(part)
    piece = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    if not SMALLEST < piece.mean() < 0.97:
        return None
    corners = _largest_quadrilateral(piece)
    inside = _polygon(corners, piece.shape)
    eroded, core = (~spread(~np.pad(inside, 1), by)[1:-1, 1:-1] for by in (1, 3))
    margin, outer, beyond = eroded & ~core, spread(inside, 2) & ~spread(inside, 1), ~spread(inside, 2)
    if (
        not (margin.any() and outer.any())  # it is too small or too large
        or (piece & ~spread(inside, 1)).sum() > 0.04 * piece.sum()  # it has other parts
        or piece[margin].mean() < 0.97  # its margin is not empty
        or (core & ~piece).sum() < LEAST_INK  # it is a stroke itself
        or (inside & ~piece).sum() > MOST_INK_ON_DESK * inside.sum()
        or outer.sum() < 0.12 * margin.sum()  # it fills the picture
        or (part & beyond).sum() > 0.4 * beyond.sum()  # its surroundings are alike: a stroke cuts it off
    ):
        return None
    step = (coarse[margin].mean() - coarse[outer].mean()) / (coarse[part].mean() - coarse[~part].mean())
    return corners if step > 0.6 else None  # sharper than a shadow


def _largest_quadrilateral(piece: np.ndarray) -> np.ndarray:
    """The largest quadrilateral whose corners are extreme in four perpendicular directions, (4, 2) as (x, y)."""
    y, x = np.nonzero(piece)
    found, largest = np.zeros((4, 2)), -1.0
    for turn in np.radians([-30, -15, 0, 15, 30, 45]):
        way = turn + np.pi * np.array([1.25, 0.75, 0.25, 1.75])  # above left, below left, below right, above right
        ways = np.stack([np.cos(way), np.sin(way)], axis=1)  # (4, 2)
        at = (ways @ [x, y]).argmax(axis=1)
        corners = np.stack([x[at], y[at]], axis=1) + 0.5 + 0.5 * np.sign(ways)  # of the pixels, not their centres
        (u, v), (u2, v2) = corners.T, np.roll(corners, -1, axis=0).T
        area = abs((u * v2 - u2 * v).sum()) / 2
        if area > largest:
            found, largest = corners, area
    return found


def _polygon(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels are inside a convex polygon."""
    y, x = np.indices(shape) + 0.5
    inside = np.ones(shape, bool)
    for (u, v), (u2, v2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (u2 - u) * (y - v) <= (v2 - v) * (x - u)
    return inside


def otsu(values: np.ndarray) -> float:
    """The threshold that splits values from 0 to 255 into two classes with the largest variance between them.

    The variance between the classes is n₀ n₁ (mean₀ - mean₁)².

    >>> otsu(np.array([10.0, 12, 14, 200, 201])) // 1
    14.0
    """
    count, edges = np.histogram(values, 256, (0, 256))
    level = edges[:-1] + 0.5
    below, total = count.cumsum(), (count * level).cumsum()
    n, mean = below[-1], total[-1] / below[-1]
    between = np.square(mean * below - total) / np.maximum(below * (n - below), 1)
    return float(edges[1 + int(between.argmax())]) - 1e-9
