"""A file that appears complete or not at all.

Whoever is killed while writing, or runs out of disk, leaves half a file; and half a file under its final name
is believed for ever. So the bytes go to a hidden `.part` file in the same folder, which takes the final name
in one step when everything has reached the disk. Several processes may write the same file at once: each has
a `.part` of its own, and the last rename wins.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path

DAY = 86400.0


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BufferedIOBase]:
    """An open binary file that takes the name `path` when the block ends well, and is removed otherwise.

    Raises OSError if the folder cannot be written.

    >>> with replacing("notes.txt") as file:
    ...     count = file.write(b"all or nothing")
    """
    path = Path(path)
    _remove_stale_parts(path)
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _remove_stale_parts(path: Path) -> None:
    """Remove what processes that were killed left behind. A day: nobody alive writes that long."""
    with suppress(OSError):  # the folder may be missing, and others may remove the same part
        for other in path.parent.iterdir():
            mine = other.name.startswith(f".{path.name}.") and other.name.endswith(".part")
            if mine and other.stat().st_mtime < time.time() - DAY:
                other.unlink(missing_ok=True)
