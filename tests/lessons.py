"""Run the lessons, and compare what they print with what they quote.

    python tests/lessons.py               run docs/lessons/*.md, and list what differs
    python tests/lessons.py 3 6           only these
    python tests/lessons.py 3 --update    write the outputs and the pictures into the lesson

A lesson is Markdown. Its code cells are run from top to bottom in one process, in an empty folder. What a cell prints
is quoted in the fence after it, ```text or ```python, and compared exactly. A fence ```text about quotes times and
accuracies, which differ from machine to machine: there everything but the numbers is compared, and the cell asserts
what must hold. The figures that a cell leaves open are its pictures, the images after it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "docs" / "lessons").glob("[0-9][0-9]-*.md"))
CELL, IMAGE = re.compile(r"```\{code-cell\}"), re.compile(r"!\[.+\]\((pictures/[\w-]+\.png)\)")
QUOTE = re.compile(r"```(text|python)( about)?$")
SECONDS = 120


class Cell(NamedTuple):
    """A code cell: its code, the lines of its fence, the quoted output and its lines, and its pictures."""

    code: str
    first: int
    last: int
    quote: str | None
    about: bool
    lines: tuple[int, int] | None
    pictures: list[str]


def cells(text: str) -> list[Cell]:
    """The code cells of a lesson."""
    lines, found, i = text.split("\n"), [], 0
    while i < len(lines):
        if not CELL.match(lines[i]):
            i += 1
            continue
        first, last = i, lines.index("```", i)
        quote, about, where, pictures = None, False, None, []
        i = after_blank(lines, last + 1)
        if i < len(lines) and (match := QUOTE.match(lines[i])):
            end = lines.index("```", i)
            quote, about, where = "\n".join(lines[i + 1 : end]), bool(match[2]), (i, end)
            i = after_blank(lines, end + 1)
        while i < len(lines) and (match := IMAGE.match(lines[i])):
            pictures.append(match[1])
            i = after_blank(lines, i + 1)
        found.append(Cell("\n".join(lines[first + 1 : last]), first, last, quote, about, where, pictures))
    return found


def after_blank(lines: list[str], i: int) -> int:
    """The next line that is not blank."""
    while i < len(lines) and not lines[i].strip():
        i += 1
    return i


def execute(lesson: Path, folder: Path) -> None:
    """In the child: run the cells; a line of JSON for each in folder/cells.jsonl, and the pictures beside it."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    namespace: dict[str, Any] = {"__name__": "__main__"}
    with open(folder / "cells.jsonl", "w", encoding="utf-8") as log:
        for number, cell in enumerate(cells(lesson.read_text(encoding="utf-8"))):
            printed, error = io.StringIO(), ""
            with contextlib.redirect_stdout(printed):
                try:
                    exec(compile(cell.code, f"{lesson.name}, cell {number + 1}", "exec"), namespace)
                except Exception:
                    error = traceback.format_exc(limit=-2)
            figures = pyplot.get_fignums()
            for k in figures:
                pyplot.figure(k).savefig(folder / f"{number}-{figures.index(k)}.png", dpi=100)
            pyplot.close("all")
            log.write(json.dumps({"output": printed.getvalue(), "error": error, "pictures": len(figures)}) + "\n")
            log.flush()
            if error:
                return


def run(lesson: Path, folder: Path) -> list[dict[str, Any]]:
    """What each cell did. folder: for the pictures."""
    nothing_is_downloaded = {"https_proxy": "http://127.0.0.1:9", "COLUMNS": "110"}
    environment = {**os.environ, **nothing_is_downloaded, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, __file__, "--child", str(lesson), str(folder)]
        subprocess.run(command, cwd=work, env=environment, check=True, timeout=SECONDS)
    return [json.loads(line) for line in (folder / "cells.jsonl").read_text(encoding="utf-8").splitlines()]


def findings(lesson: Path, done: list[dict[str, Any]]) -> list[str]:
    """What differs from the text of the lesson, a line each."""
    found = []
    for cell, result in zip(cells(lesson.read_text(encoding="utf-8")), done, strict=False):
        where = f"{lesson.name}:{cell.first + 1}: "
        if result["error"]:
            found.append(f"{where}{result['error']}")
        elif not agrees(cell, result["output"]):
            found.append(f"{where}it prints\n{result['output']}\nand the text says\n{cell.quote}")
        elif result["pictures"] != len(cell.pictures):
            found.append(f"{where}{result['pictures']} figures, but {len(cell.pictures)} images follow")
        found += [f"{where}{name} is missing" for name in cell.pictures if not (lesson.parent / name).exists()]
    return found


def agrees(cell: Cell, output: str) -> bool:
    """Whether the output is the quoted one; where it is quoted about, apart from numbers and the data set's name."""
    mine, quoted = output.rstrip("\n"), (cell.quote or "").rstrip("\n")
    if cell.about:
        mine, quoted = (re.sub(r"[\d.,:+-]+(e[+-]\d+)?|[ \t]+|mnist|synthetic", "#", text) for text in (mine, quoted))
        mine, quoted = (re.sub("#+", "#", text) for text in (mine, quoted))
    return mine == quoted


def update(lesson: Path, done: list[dict[str, Any]], folder: Path) -> None:
    """Write outputs and pictures into the lesson."""
    lines = lesson.read_text(encoding="utf-8").split("\n")
    found = cells("\n".join(lines))
    for number in reversed(range(len(done))):
        cell, output = found[number], done[number]["output"].rstrip("\n")
        for k, name in enumerate(cell.pictures[: done[number]["pictures"]]):
            (lesson.parent / name).write_bytes((folder / f"{number}-{k}.png").read_bytes())
        if cell.lines and (cell.about or not agrees(cell, done[number]["output"])):
            first, last = cell.lines
            lines[first : last + 1] = [lines[first], *output.split("\n"), "```"] if output else []
        elif output and not cell.lines:
            kind = "python" if output.startswith("# scratchnet/") else "text"
            lines[cell.last + 1 : cell.last + 1] = ["", f"```{kind}", *output.split("\n"), "```"]
    lesson.write_text("\n".join(lines), encoding="utf-8")


def main(words: list[str]) -> int:
    """Run the chosen lessons; 1 if something differs."""
    parser = argparse.ArgumentParser(description="Run the lessons.")
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args(words)
    count = 0
    for lesson in LESSONS:
        if args.numbers and int(lesson.name[:2]) not in args.numbers:
            continue
        with tempfile.TemporaryDirectory() as name:
            done = run(lesson, Path(name))
            if args.update:
                update(lesson, done, Path(name))
            found = findings(lesson, done)
        print("\n".join(found) or f"{lesson.name}: {len(done)} cells")
        count += len(found)
    return bool(count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        execute(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
