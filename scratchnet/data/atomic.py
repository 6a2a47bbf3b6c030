"""A file that appears complete or not at all.

Whoever is killed while writing, or runs out of disk, leaves half a file; and half a file under its final name
is believed for ever. So the bytes go to a hidden `.part` file in the same folder, which takes the final name
in one step when everything has reached the disk; then the folder itself is written to the disk, for a name is
part of the folder. Several processes may write the same file at once: each has a `.part` of its own, and the
last rename wins.
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
    """An open binary file that takes the name `path` when the block ends well, and is removed otherwise.

    previous: a name under which the file that is replaced is kept. There is a whole file called `path` at every
    moment, once there has been one. Raises OSError if the folder cannot be written.

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
    """A name for a part that nobody else has; it says which process on which machine is writing."""
    return path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}.part")


def _to_disk(descriptor: int) -> None:
    """Wait until the disk has it. On macOS fsync waits for the cable only, F_FULLFSYNC for the disk."""
    if platform.system() == "Darwin":
        import fcntl

        with suppress(OSError):  # not every file system knows it
            fcntl.fcntl(descriptor, getattr(fcntl, "F_FULLFSYNC", 51))
            return
    os.fsync(descriptor)


def _folder_to_disk(folder: Path) -> None:
    """Make the new name last through a power cut, where a folder can be opened (Windows does it by itself)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _keep(path: Path, previous: Path) -> None:
    """Give the file `path`, if there is one, a second name; or make a copy where files have only one name."""
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
    """os.replace; on Windows a virus scanner may hold the file that is replaced: wait for it up to 1.5 s."""
    for seconds in (0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ():
        try:
            return os.replace(part, path)
        except PermissionError:
            time.sleep(seconds)
    os.replace(part, path)


def remove_stale_parts(path: Path) -> None:
    """Remove what was left behind by processes that were killed.

    A process of this machine can be asked for; of any other one it is known that nobody writes for a day.
    """
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(.*)-(\d+)-[0-9a-f]+\.part")
    with suppress(OSError):  # the folder may be missing, and others may remove the same part
        for other in path.parent.iterdir():
            if match := pattern.fullmatch(other.name):
                dead = match[1] == platform.node() and not _is_alive(int(match[2]))
                if dead or other.stat().st_mtime < time.time() - DAY:
                    other.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether this machine has such a process; True where one cannot ask without harm (Windows)."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)  # signal 0: nothing is sent, only asked
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
