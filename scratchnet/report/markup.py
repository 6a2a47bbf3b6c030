"""The HTML elements of a page: one plain file with embedded pictures. It needs no network and no script.

Input from a user (class names, paths, settings) is text and never markup: `escape` is called where text becomes HTML,
and a content security policy in the head forbids the browser to load or run anything.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from scratchnet.figures.picture import Picture
from scratchnet.report.style import STYLE


def document(title: str, parts: Sequence[str], footer: str) -> str:
    """A complete file. title, footer: text. parts: HTML; a non-breaking space joins a number and its percent sign."""
    written = time.strftime("%Y-%m-%d %H:%M")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{"".join(parts).replace(" %", "&nbsp;%")}
</main>
<footer>Written {written} by {escape(footer)}</footer>
</body>
</html>
"""


def section(title: str, *parts: str) -> str:
    """A heading and its content; an empty string if there is no content."""
    body = "".join(parts)
    return f"<section>\n<h2>{title}</h2>\n{body}</section>\n" if body else ""


def show(pictures: dict[str, Picture], *names: str) -> str:
    """Pictures under their titles, above their captions."""
    return "".join(figure(pictures[name]) for name in names if name in pictures)


def figure(picture: Picture) -> str:
    """One picture; its title is text of the page, so the image has no title."""
    data = base64.b64encode(picture.png(heading=False)).decode()
    return f"""<figure>
<h3>{escape(picture.title)}</h3>
<div class="picture"><img src="data:image/png;base64,{data}" alt="{escape(picture.title)}"></div>
<figcaption>{escape(picture.caption)}</figcaption>
</figure>
"""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and values."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{rows}</dl>\n'


def cards(pairs: Iterable[tuple[str, str]]) -> str:
    """The main results, each in a frame under its name."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="numbers">{rows}</dl>\n'


def table(columns: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """The first column has the row names; all other columns are right-aligned numbers."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in others)}</tr>\n'
        for first, *others in body
    )
    return f'<div class="table"><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'


def details(summary: str, body: str) -> str:
    """A collapsed section that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>\n"


def number(value: float | None) -> str:
    """Whole numbers in full, others with four significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def shown(value: Any) -> str:
    """A setting as text; nested settings with their names."""
    if isinstance(value, dict):
        return "; ".join(f"{name.replace('_', ' ')}: {shown(part)}" for name, part in value.items())
    return "default" if value is None else str(value)


def command(line: str) -> str:
    """A shell command. Lines break between its words, not after the hyphens of an option."""
    return f"<pre>{' '.join(f'<span>{escape(word)}</span>' for word in line.split(' '))}</pre>\n"


def duration(seconds: float) -> str:
    """12.3 s, 4 min 5 s, 2 h 3 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {s} s"
