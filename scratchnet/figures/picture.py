"""A picture: a figure, a sentence that states the result, and the numbers that were drawn.

It is saved as two files: `name.png` with the sentence as its title, and `name.csv` with the numbers, for other plots.
In the report the sentence is part of the page's text, so the image is embedded without its title.
"""

from __future__ import annotations

import csv
import io
import os
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.data.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#767676"  # Okabe and Ito 2008
DPI = 140
HEADING, TEXT, SMALL = 12, 9, 8  # points


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, width × height inches, with automatic layout."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


class Picture:
    """A figure with a title and the table of its numbers.

    name: of the files. title: the result, as a sentence. caption: how to read it. columns, rows: the table.

    >>> figure = new_figure(4, 2)
    >>> _ = figure.subplots().plot([1, 2, 3])
    >>> picture = Picture("line", "It rises from 1 to 3", "A line.", figure, ["y"], [[1], [2], [3]])
    >>> [path.name for path in picture.save(".")]
    ['line.png', 'line.csv']
    """

    def __init__(
        self,
        name: str,
        title: str,
        caption: str,
        figure: Figure,
        columns: Sequence[str | int],
        rows: Iterable[Sequence[Any]],
    ):
        self.name, self.title, self.caption = name, title, caption
        self.columns, self.rows = list(columns), [list(row) for row in rows]
        self.figure = figure
        letters = int(figure.get_figwidth() * 72 / (0.64 * HEADING))  # per line
        self.heading = figure.suptitle(
            plain(textwrap.fill(title, letters)), fontsize=HEADING, fontweight="bold", x=0.01, ha="left"
        )

    @cached_property
    def pixels(self) -> np.ndarray:
        """The drawn figure, (height, width, 3)."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3]

    def png(self, heading: bool = True) -> bytes:
        """The content of a PNG file, with or without the title."""
        from PIL import Image

        pixels = self.pixels
        if not heading:
            pixels = pixels[len(pixels) - int(self.heading.get_window_extent().y0) :]
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=6)
        return file.getvalue()

    def table(self) -> str:
        """The numbers as CSV."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return file.getvalue()

    def save(self, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write `name.png` and `name.csv`; return their paths."""
        image, numbers = Path(folder, f"{self.name}.png"), Path(folder, f"{self.name}.csv")
        for path, content in ((image, self.png()), (numbers, self.table().encode())):
            with replacing(path) as file:
                file.write(content)
        return image, numbers


def draw_all(pictures: dict[str, Callable[[], Picture | None]], folder: Path) -> dict[str, Picture]:
    """Draw and save each picture that is not None. One that cannot be drawn is left out, with a warning."""
    folder.mkdir(exist_ok=True)
    drawn: dict[str, Picture] = {}
    for name, draw in pictures.items():
        try:
            if (picture := draw()) is not None:
                picture.save(folder)
                drawn[name] = picture
        except Exception as error:  # a report without one picture is better than no report
            warnings.warn(f"the picture {name} could not be drawn: {error!r}", RuntimeWarning, stacklevel=3)
    return drawn


def plain(text: str) -> str:
    """Text escaped for matplotlib: dollar signs do not start a formula."""
    return text.replace("$", r"\$")


def class_labels(class_names: Sequence[str] | None, classes: int, longest: float = 16) -> list[str]:
    """The labels of the classes in a picture: their names, or numbers for classes without a name.

    Names are shortened to the width of `longest` letters of average width. A name with letters that are missing in
    matplotlib's font would be drawn as empty boxes, so the number is used instead.

    >>> class_labels(["cat", "a very long name indeed", "猫"], 3, longest=10)
    ['cat', 'a very lon…', '2']
    """
    names = [" ".join(name.split()) for name in class_names or []]
    names += [""] * (classes - len(names))
    letters = font().get_charmap()
    drawable = [name if name and set(map(ord, name)) <= set(letters) else str(k) for k, name in enumerate(names)]
    return [shortened(name, longest) for name in drawable]


def shortened(name: str, longest: float) -> str:
    """The name, cut to at most the width of `longest` average letters, with an ellipsis if it is cut."""
    kept = name
    while width(kept if kept == name else kept + "…") > longest:
        kept = kept[:-1].rstrip()
    return kept if kept == name else kept + "…"


def width(text: str) -> float:
    """The drawn width of a text, in letters of average width (0.6 of the font's size)."""
    face = font()
    face.set_size(100, 72)
    face.set_text(text)
    return face.get_width_height()[0] / 64 / 60


@lru_cache
def font() -> FT2Font:
    """matplotlib's default font."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    return FT2Font(findfont("DejaVu Sans"))


def percent(share: float, digits: int = 1) -> str:
    """0.987 -> 98.7 %; a share just below 1 is never shown as 100 %, one just above 0 never as 0 %.

    >>> percent(0.98765), percent(0.99999), percent(1), percent(1e-7)
    ('98.8 %', '> 99.9 %', '100 %', '< 0.1 %')
    """
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    rounded, step = round(100 * share, digits), 10**-digits
    if rounded in (0, 100):
        return f"> {100 - step:.{digits}f} %" if rounded else f"< {step:.{digits}f} %"
    return f"{rounded:.{digits}f} %"
