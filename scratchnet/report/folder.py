"""The folder of a run. Each run has its own folder.

Two runs that begin in the same second would choose the same name. The check for a free name and the creation of the
folder must therefore be one atomic operation: `mkdir` without `exist_ok`. If it fails, the next name is tried.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from scratchnet.process.pipes import command_line

RUN = (
    "config.json", "model.safetensors", "checkpoint.safetensors", "checkpoint.previous.safetensors", "history.csv",
    "health.csv", "snapshots.json", "findings.json", "metrics.json", "report.html", "figures",
)  # fmt: skip
SEARCH = ("study.log", "trials.csv", "best.json")


def new_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder `path`, or `path`-2, `path`-3, ... if it exists; return the created folder.

    >>> [new_folder("runs/today").name for _ in range(3)]
    ['today', 'today-2', 'today-3']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (path if n == 1 else path.with_name(f"{path.name}-{n}") for n in count(1)):
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            continue
    raise AssertionError("there is always another number")


def run_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Create the given folder if it is missing. overwrite: remove the files of a run in it.

    Raises FileExistsError as `check_no_run` does. Other files are not changed.
    """
    folder = Path(path)
    check_no_run(folder, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    for there in [folder / name for name in RUN if (folder / name).exists()] if overwrite else []:
        shutil.rmtree(there) if there.is_dir() else there.unlink()
    return folder


def check_no_run(path: str | os.PathLike[str], overwrite: bool = False, cure: str | None = None) -> None:
    """Raise FileExistsError if the folder has files of a search, or (unless overwrite) of a run. cure: what to do."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder")
    if any((folder / name).exists() for name in SEARCH):
        raise FileExistsError(f"{folder} already contains a search. Choose another --out")
    there = [name for name in RUN if (folder / name).is_file()]  # a folder "figures" may have another origin
    if there and not overwrite:
        go_on = f"Resume it with {command_line(['--resume', folder])}, choose another --out, or use --overwrite"
        raise FileExistsError(f"{folder} already contains a run ({', '.join(there)}). {cure or go_on}")


def check_absent(paths: Iterable[Path]) -> None:
    """Raise FileExistsError if one of these files exists."""
    if there := [str(path) for path in paths if path.exists()]:
        raise FileExistsError(f"{', '.join(there)}: already exists. Choose another --out, or use --overwrite")
