"""Run a learner's function on cases, in another process, with a time limit.

It is no protection from hostile code: the file is the learner's own. It protects a check from what unfinished programs
do: endless loops, crashes, memory that grows, prints without end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchnet.learn import child

SECONDS = 30.0
PRINTED = 2000  # characters of the file's own output that are shown


class Failure(NamedTuple):
    """An error in place of a result."""

    kind: str  # the name of an exception, "time" or "crash"
    text: str  # a sentence


class Ended(NamedTuple):
    """How a run ended. outcomes: of each case that was begun; problem: of the whole file; printed: its own output."""

    outcomes: list[list[np.ndarray] | Failure]
    problem: Failure | None
    printed: str


def run(path: Path, function: str, cases: list[Any], seconds: float = SECONDS) -> Ended:
    """Call `function` of the file at `path` for each of the cases, tuples of arguments."""
    path = Path(path).resolve()
    with tempfile.TemporaryDirectory(prefix="scratchnet-") as name:
        folder = Path(name)
        arrays: dict[str, np.ndarray] = {}
        coded = [[child.encoded(part, arrays) for part in arguments] for arguments in cases]
        (folder / "cases.json").write_text(json.dumps(coded))
        np.savez(folder / "cases.npz", **arrays)  # type: ignore[arg-type]
        code = start([str(path), function, name], folder / "printed", seconds)
        printed = (folder / "printed").read_text(encoding="utf-8", errors="replace")[:PRINTED]
        if (folder / "error.json").exists():
            return Ended([], failure(folder / "error.json", path), printed)
        outcomes = list(iter_outcomes(folder, path, len(cases)))
        if len(outcomes) == len(cases) and code == 0:
            return Ended(outcomes, None, printed)
        return Ended(outcomes, unfinished(code, seconds), printed)


def start(arguments: list[str], output: Path, seconds: float) -> int | None:
    """Run the child; its exit code, or None if it did not end in time."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", child.__file__, *arguments], stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, env=environment, cwd=output.parent,
        )  # fmt: skip
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()


def iter_outcomes(folder: Path, path: Path, count: int) -> Iterator[list[np.ndarray] | Failure]:
    """The outcome of each case, up to the first one that has none."""
    for i in range(count):
        if (folder / f"{i}.json").exists():
            yield failure(folder / f"{i}.json", path)
        else:
            try:
                with np.load(folder / f"{i}.npz") as arrays:
                    yield [arrays[f"arr_{k}"] for k in range(len(arrays.files))]
            except (OSError, ValueError, KeyError, EOFError):
                return  # not there, or not written to its end


def failure(file: Path, path: Path) -> Failure:
    """What `child.told` wrote, as a sentence."""
    error = json.loads(file.read_text())
    where = f"{path.name}, line {error['line']}: " if error["line"] else ""
    return Failure(error["kind"], f"{where}{error['kind']}: {error['text'] or 'no message'}")


def unfinished(code: int | None, seconds: float) -> Failure:
    """The process did not come to its end."""
    if code is None:
        return Failure("time", f"it did not end within {seconds:g} seconds: is there an endless loop?")
    return Failure("crash", f"its process ended with code {code}, without an error of Python")
