"""The library's edition of an exercise: its lines, from the file where they are."""

from __future__ import annotations

import ast
from pathlib import Path

import scratchnet
from scratchnet.learn.exercise import Exercise


def text(exercise: Exercise) -> str:
    """The name of the file, and the lines of what `exercise.library` names in it.

    >>> from scratchnet.learn import EXERCISES
    >>> print(text(EXERCISES[10]))
    # scratchnet/team.py, line ...
    <BLANKLINE>
    def ordered_sum(parts: list[np.ndarray]) -> np.ndarray:
        ...
        return total
    """
    file, _, name = exercise.library.partition(": ")
    source = (Path(scratchnet.__file__).parent / file).read_text(encoding="utf-8")
    if not name:
        return f"# scratchnet/{file}\n\n{source.rstrip()}"
    first, lines = lines_of(source, name)
    return f"# scratchnet/{file}, line {first}\n\n" + "\n".join(lines)


def lines_of(source: str, name: str) -> tuple[int, list[str]]:
    """The number of the first line, and the lines, of a function, a class or a method ("Class.method").

    >>> lines_of("a = 1\\ndef f():\\n    return a\\n", "f")
    (2, ['def f():', '    return a'])
    """
    body = ast.parse(source).body
    for part in name.split("."):
        found = [node for node in body if getattr(node, "name", None) == part]
        if not found:
            raise ValueError(f"there is no {name} in this file")
        body = found[0].body  # type: ignore[attr-defined]
    lines = source.splitlines()[found[0].lineno - 1 : found[0].end_lineno]
    return found[0].lineno, lines
