"""A file that appears complete or not at all.

A process that is killed while writing, or a full disk, leaves half a file; under its final name half a file looks
complete. So the bytes go to a hidden `.part` file in the same folder. Once they are on the disk, an atomic rename
gives the file its name, and the folder is synced too, because the name is part of the folder. Several processes
may write the same file at once: each has its own `.part` file, and the last rename wins.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path

DAY = 86400.0


@contextmanager
def replacing(path: str | os.PathLike[str], previous: str | os.PathLike[str] | None = None) -> Iterator[BufferedIOBase]:
    """An open binary file, renamed to `path` when the block succeeds and removed when it raises.

    previous: the name under which the replaced file is kept. Once `path` exists, it is a complete file at every
    moment. Raises OSError if the folder cannot be written.

    >>> with replacing("notes.txt") as file:
    ...     count = file.write(b"all or nothing")
    """
    path = Path(path)
    remove_stale_parts(path)
    part = _part_of(path)
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            _to_disk(file.fileno())
        if previous is not None:
            _keep(path, Path(previous))
        _rename(part, path)
        _folder_to_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    """A unique name for a part file, with the machine and the process that write it."""
    return path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}.part")


def _to_disk(descriptor: int) -> None:
    """Wait until the data is on the disk. On macOS fsync only reaches the drive's cache; F_FULLFSYNC flushes it."""
    if platform.system() == "Darwin":
        import fcntl

        with suppress(OSError):  # not every file system supports it
            fcntl.fcntl(descriptor, getattr(fcntl, "F_FULLFSYNC", 51))
            return
    os.fsync(descriptor)


def _folder_to_disk(folder: Path) -> None:
    """Sync a folder, so that a new name survives a power cut. Windows cannot open folders, and does it by itself."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _keep(path: Path, previous: Path) -> None:
    """Hard-link the file `path`, if it exists, to the name `previous`; copy it where links are not supported."""
    if not path.exists():
        return
    remove_stale_parts(previous)
    part = _part_of(previous)
    try:
        try:
            os.link(path, part)
        except OSError:
            shutil.copyfile(path, part)
        _rename(part, previous)
    finally:
        part.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing


def _rename(part: Path, path: Path) -> None:
    """os.replace; on Windows a virus scanner may hold the replaced file open: retry for up to 1.5 s."""
    for seconds in (0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ():
        try:
            return os.replace(part, path)
        except PermissionError:
            time.sleep(seconds)
    os.replace(part, path)


def remove_stale_parts(path: Path) -> None:
    """Remove the part files of killed processes.

    On this machine the process id shows whether the writer is alive. On other machines a part file older than a day
    counts as abandoned.
    """
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(.*)-(\d+)-[0-9a-f]+\.part")
    with suppress(OSError):  # the folder may be missing, and another process may remove the same part
        for other in path.parent.iterdir():
            if match := pattern.fullmatch(other.name):
                dead = match[1] == platform.node() and not _is_alive(int(match[2]))
                if dead or other.stat().st_mtime < time.time() - DAY:
                    other.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether this process exists; True on Windows, where os.kill would end it."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)  # signal 0: only checks that the process exists
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
