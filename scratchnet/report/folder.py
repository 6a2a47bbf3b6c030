"""Where a run is written: a folder of its own, never one that another run is in.

Two trainings that begin in the same second would choose the same name. Whether a name is free and taking it must
therefore be one step: `mkdir` without "it may exist already" is one, and the loser tries the next name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from scratchnet.pipes import command_line

RUN = (
    "config.json", "model.safetensors", "checkpoint.safetensors", "checkpoint.previous.safetensors", "history.csv",
    "health.csv", "findings.json", "metrics.json", "report.html", "figures",
)  # fmt: skip
SEARCH = ("study.log", "trials.csv", "best.json")


def new_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder `path`, or `path`-2, `path`-3, ... if there is one already; the folder that was made.

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
    """Make the folder that was asked for, if it is missing. overwrite: remove the files of a run that are in it.

    Raises FileExistsError as `check_no_run` does. Other files are left alone.
    """
    folder = Path(path)
    check_no_run(folder, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    for there in [folder / name for name in RUN if (folder / name).exists()] if overwrite else []:
        shutil.rmtree(there) if there.is_dir() else there.unlink()
    return folder


def check_no_run(path: str | os.PathLike[str], overwrite: bool = False, cure: str | None = None) -> None:
    """Raise FileExistsError if a folder has the files of a search, or (unless overwrite) of a run. cure: what to do."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: give the name of a folder")
    if any((folder / name).exists() for name in SEARCH):
        raise FileExistsError(f"{folder}: there is a search in it already. Choose another --out")
    there = [name for name in RUN if (folder / name).is_file()]  # a folder "figures" may be anyone's
    if there and not overwrite:
        go_on = f"Go on with it by {command_line(['--resume', folder])}, choose another --out, or say --overwrite"
        raise FileExistsError(f"{folder}: there is a run in it already ({', '.join(there)}). {cure or go_on}")


def check_absent(paths: Iterable[Path]) -> None:
    """Raise FileExistsError if one of these files is there."""
    if there := [str(path) for path in paths if path.exists()]:
        raise FileExistsError(f"{', '.join(there)}: exists already. Choose another --out, or say --overwrite")
