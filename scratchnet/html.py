"""Tables, pictures and curves as HTML, for notebooks: what `_repr_html_` returns.

Nothing here has styles or scripts of its own, so a result looks like the notebook around it, dark ones too. Pictures
are PNG in the text itself.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

WIDTH, HEIGHT = 420, 160  # of a curve, in pixels
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by colour-blind readers, too


def table(head: Iterable[str], rows: Iterable[Iterable[str]], foot: Iterable[str] = ()) -> str:
    """A table of text cells.

    >>> table(["a"], [["<1"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;1</td></tr></tbody></table>'
    """
    body = "".join(row(cells, "td") for cells in rows)
    end = f"<tfoot>{row(foot, 'th')}</tfoot>" if foot else ""
    return f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody>{end}</table>"


def row(cells: Iterable[str], tag: str) -> str:
    """<tr> with the cells, escaped."""
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"


def picture(image: np.ndarray, title: str, scale: int = 3) -> str:
    """An <img> of an image (h, w), (h, w, 1) or (h, w, 3), uint8 or floats up to 1, each pixel `scale` wide.

    >>> picture(np.zeros((2, 3), np.uint8), "black")[:47]
    '<img alt="black" title="black" width="9" height'
    """
    from PIL import Image

    pixels = np.asarray(image)
    pixels = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8:
        top = 1.0 if pixels.size and pixels.max() <= 1 else 255.0
        pixels = np.rint(np.clip(np.nan_to_num(pixels) / top, 0, 1) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    data, words = base64.b64encode(file.getvalue()).decode(), escape(title)
    h, w = pixels.shape[:2]
    return (
        f'<img alt="{words}" title="{words}" width="{w * scale}" height="{h * scale}" '
        f'style="image-rendering: pixelated" src="data:image/png;base64,{data}">'
    )


def curves(series: Mapping[str, Sequence[float]], what: str) -> str:
    """A small chart: a line for each name over 1, 2, ...; values that are not finite are left out.

    >>> curves({"loss": [1.0, 0.5]}, "loss over epochs")[:46]
    '<figure><svg role="img" aria-label="loss over '
    """
    finite = [v for values in series.values() for v in values if np.isfinite(v)]
    if not finite:
        return ""
    low, high, longest = min(finite), max(finite), max(map(len, series.values()))
    lines, names = [], []
    for (name, values), colour in zip(series.items(), COLOURS * len(series), strict=False):
        points = [
            (10 + (WIDTH - 20) * i / max(longest - 1, 1), HEIGHT - 10 - (HEIGHT - 20) * (v - low) / ((high - low) or 1))
            for i, v in enumerate(values) if np.isfinite(v)
        ]  # fmt: skip
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        names.append(f'<span style="color:{colour}">{escape(name)}</span>')
    label = escape(f"{what}, from {low:.4g} to {high:.4g}")
    return (
        f'<figure><svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}">{"".join(lines)}</svg>'
        f"<figcaption>{label}: {', '.join(names)}</figcaption></figure>"
    )


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook.

    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


class Shown:
    """A piece of HTML in the output of a notebook's cell, which may be replaced."""

    def __init__(self, text: str):
        from IPython.display import HTML, display

        self.make = HTML
        self.handle: Any = display(HTML(text), display_id=True)

    def replace(self, text: str) -> None:
        """Show this text in its place."""
        self.handle.update(self.make(text))
