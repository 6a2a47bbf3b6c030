"""Which exercises are solved: a small JSON file in the user's data folder.

Linux: $XDG_DATA_HOME or ~/.local/share; macOS: ~/Library/Application Support; Windows: %LOCALAPPDATA%; in each of them
scratchnet/exercises.json. A file that cannot be read counts as empty; one that cannot be written is a warning.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

from scratchnet.data.atomic import replacing

NAME = "exercises.json"


def data_home() -> Path:
    """The folder for what a user keeps, unlike a cache."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "scratchnet"


def solved() -> set[int]:
    """The numbers of the solved exercises."""
    try:
        content = json.loads((data_home() / NAME).read_text(encoding="utf-8"))
        return {int(number) for number in content["solved"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def mark_solved(number: int) -> None:
    """Add an exercise to the solved ones."""
    numbers = sorted({*solved(), number})
    try:
        data_home().mkdir(parents=True, exist_ok=True)
        with replacing(data_home() / NAME) as file:
            file.write(json.dumps({"solved": numbers}).encode())
    except OSError as error:
        warnings.warn(f"{data_home() / NAME}: cannot keep the progress ({error})", stacklevel=2)
