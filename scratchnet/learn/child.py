"""The program that runs a learner's file, in a process of its own: it sees NumPy, and not scratchnet.

    python -I child.py FILE FUNCTION FOLDER

Arguments are read from FOLDER/cases.json and FOLDER/cases.npz. The result of case i is written to FOLDER/i.npz, its
error to FOLDER/i.json, and an error of the file itself to FOLDER/error.json. So what has been computed before a crash
or an endless loop is not lost. The parent process imports `encoded` from this file; the child imports nothing of the
package.
"""

from __future__ import annotations

import base64
import json
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MEMORY, FILE_SIZE = 4 * 2**30, 2**28  # bytes that the process may use, and write


def encoded(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON; its arrays are put into `arrays`, under a number.

    >>> encoded((2, b"a", [np.zeros(3)]), {})
    {'tuple': [2, {'bytes': 'YQ=='}, [{'array': '0'}]]}
    """
    if isinstance(value, np.ndarray):
        name = str(len(arrays))
        arrays[name] = value
        return {"array": name}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {"tuple": [encoded(part, arrays) for part in value]}
    if isinstance(value, list):
        return [encoded(part, arrays) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def decoded(value: Any, arrays: Any) -> Any:
    """The value that `encoded` was given.

    >>> decoded({"tuple": [2, {"bytes": "YQ=="}]}, {})
    (2, b'a')
    """
    if isinstance(value, list):
        return [decoded(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return np.array(arrays[content])
    if kind == "bytes":
        return base64.b64decode(content)
    return tuple(decoded(part, arrays) for part in content)


class NoSolutions:
    """Refuses to import scratchnet: the exercise is to write what it has."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "scratchnet":
            raise ImportError(f"import of {name}: an exercise is solved without scratchnet")


def main(argv: Sequence[str]) -> int:
    """Load the file, call the function for every case; 0, or 1 after an error of the file itself."""
    path, function, folder = argv[0], argv[1], Path(argv[2])
    cases = json.loads((folder / "cases.json").read_text())
    limit_memory()
    sys.meta_path.insert(0, NoSolutions())
    sys.path.append(str(Path(path).parent))  # an earlier exercise may be imported
    try:
        found = runpy.run_path(path)
        if not callable(found.get(function)):
            raise NameError(f"there is no function {function} in the file")
    except BaseException as error:
        (folder / "error.json").write_text(json.dumps(told(error, path)))
        return 1
    with np.load(folder / "cases.npz") as arrays:
        for case, arguments in enumerate(cases):
            given = decoded(arguments, arrays)
            try:
                result = found[function](*given)
                save(folder / f"{case}.npz", result, given, decoded(arguments, arrays))
            except BaseException as error:
                (folder / f"{case}.json").write_text(json.dumps(told(error, path)))
    return 0


def save(path: Path, result: Any, given: Any, before: Any) -> None:
    """Write the arrays that a call returned; an error if it returned none, or changed its arguments."""
    if result is None:
        raise TypeError("the function returned None: a return is missing")
    parts = result if isinstance(result, tuple | list) else (result,)
    arrays = [np.asarray(part) for part in parts]
    if any(array.dtype.kind not in "biufc" for array in arrays):
        raise TypeError(f"expected arrays of numbers, the function returned {result!r:.100}")
    if any(
        isinstance(now, np.ndarray) and not np.array_equal(now, then, equal_nan=now.dtype.kind == "f")
        for now, then in zip(given, before, strict=True)
    ):
        raise ValueError("the function changed one of its arguments in place; work on a copy: x = x.copy()")
    np.savez(path, *arrays)


def told(error: BaseException, path: str) -> dict[str, Any]:
    """An error as data: its kind, its text, and the line of the learner's file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines = [error.lineno]
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return {"kind": type(error).__name__, "text": text, "line": lines[-1] if lines else None}


def limit_memory() -> None:
    """A list that grows for ever must not take the whole machine. Windows has no such limits."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE_SIZE)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
