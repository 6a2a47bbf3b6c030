"""The library's edition of an exercise: its lines, from the file where they are."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any

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


def lines(thing: Any, *only: str) -> str:
    """The lines of the library that define a function, a class or a method, as text, under the name of their file.

    only: texts; then the lines that contain one of them, with "..." for what is left out.
    Raises ValueError if a text is in no line.

    >>> from scratchnet.layers import ReLU
    >>> print(lines(ReLU.backward))
    # scratchnet/layers/activation.py
    def backward(self, dy: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return dy * positive, {}
    """
    thing = inspect.unwrap(getattr(thing, "py_func", thing))  # py_func: the Python of a compiled function
    file = Path(inspect.getsourcefile(thing) or "").relative_to(Path(scratchnet.__file__).parents[1])
    found = textwrap.dedent(inspect.getsource(thing)).splitlines()
    for text in only:
        if not any(text in line for line in found):
            raise ValueError(f"{file}: no line of {thing.__qualname__} has {text!r}")
    if only:
        found = shortened(found, [any(text in line for text in only) for line in found])
    return "\n".join([f"# {file.as_posix()}", *found])


def shortened(found: list[str], wanted: list[bool]) -> list[str]:
    """The wanted lines, without their common indentation; "..." between lines that are no neighbours.

    >>> shortened(["  a", "  b", "  c", "  d"], [True, False, True, True])
    ['a', '...', 'c', 'd']
    """
    chosen: list[str] = []
    for i, line in enumerate(found):
        if wanted[i]:
            if chosen and not wanted[i - 1]:
                chosen.append(f"{line[: len(line) - len(line.lstrip())]}...")
            chosen.append(line)
    return textwrap.dedent("\n".join(chosen)).splitlines()
