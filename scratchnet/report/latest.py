"""`latest`: a name for the run that began last.

    python scripts/train.py && python scripts/evaluate.py latest

The folder runs/ contains a symbolic link `latest` to the last run. On systems without symbolic links (Windows, for
most users) it is a text file with the folder's name. A folder, a file or a link to another place that a user named
`latest` is not changed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from scratchnet.report.folder import RUN

LATEST, RUNS, MODEL = "latest", "runs", "model.safetensors"


def mark_latest(folder: str | os.PathLike[str]) -> None:
    """Make `latest`, next to a run's folder, point to this folder. Errors are ignored: they must not end a run.

    >>> Path("runs/a").mkdir(parents=True)
    >>> mark_latest("runs/a")
    >>> find_run("latest").as_posix()
    'runs/a'
    """
    folder = Path(os.path.abspath(folder))
    link, new = folder.parent / LATEST, folder.parent / f".{LATEST}-{os.getpid()}"
    if folder.name == LATEST or (os.path.lexists(link) and not marked(link)):
        return
    with suppress(OSError):
        try:
            new.symlink_to(folder.name, target_is_directory=True)
        except (OSError, NotImplementedError):
            new.write_text(f"{folder.name}\n", encoding="utf-8")
        try:
            new.replace(link)
        except OSError:  # Windows cannot replace a link to a folder
            link.unlink()
            new.replace(link)
    with suppress(OSError):
        new.unlink(missing_ok=True)


def marked(link: Path) -> Path | None:
    """The folder that a `latest` written by `mark_latest` points to, even if it no longer exists; else None."""
    try:
        if link.is_symlink():
            name = os.readlink(link)
        elif link.is_file() and link.stat().st_size < 1024:
            name = link.read_text(encoding="utf-8").rstrip("\n")
        else:
            return None
    except (OSError, ValueError):
        return None
    folder = link.parent / name
    is_name = name == Path(name).name and name.isprintable() and name not in ("", LATEST)
    is_run = not folder.exists() or not any(folder.iterdir()) or any((folder / part).exists() for part in RUN)
    return folder if is_name and is_run else None


def find_run(name: str | os.PathLike[str]) -> Path:
    """Resolve `latest`: the last run in the same folder; a plain "latest" also finds the last run in runs/.

    Any other path is returned unchanged. Raises FileNotFoundError if there is no `latest`.
    """
    path = Path(name)
    if path.name != LATEST:
        return path
    links = [path, Path(RUNS) / LATEST] if path == Path(LATEST) else [path]
    found = [(link.lstat().st_mtime_ns, folder) for link in links if (folder := marked(link)) is not None]
    if found:
        return max(found)[1]
    if path.exists():  # created by a user
        return path
    raise FileNotFoundError(f"{path}: there is no run here yet. Start one (train), or give the folder of a run")


def find_model(name: str | os.PathLike[str]) -> Path:
    """The path of the model file for a run's folder, a model file, or `latest`. The file may be missing."""
    path = find_run(name)
    return path / MODEL if path.is_dir() else path
