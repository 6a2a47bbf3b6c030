"""A lock between processes that goes when its holder goes, however that ended.

A file whose existence means "locked" is left behind by a process that is killed, and the others wait for a dead one.
The operating system keeps a better lock on an *open* file: it is gone when the file is closed, and the system closes
the files of everyone who ends. The lock's file stays where it is and means nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def take(descriptor: int, wait: bool) -> None:
        """Lock the first byte, or raise OSError."""
        msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def take(descriptor: int, wait: bool) -> None:
        """Lock the file, or raise OSError."""
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """Held by one at a time, on this machine.

    >>> with Lock("some.lock") as lock:
    ...     Lock("some.lock").acquire(wait=False)
    False
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.file: IO | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock; whether it was to be had."""
        file = open(self.path, "ab")
        try:
            take(file.fileno(), wait)
        except OSError:
            file.close()
            if wait:
                raise
            return False
        self.file = file
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class JournalLock(Lock):
    """The lock on a journal, a file to which lines are added: who gets it finds whole lines.

    A process that is killed while it writes, or a power cut, may leave the beginning of a line, and what is written
    behind it would be spoilt too. Nobody writes while the lock is held; so it is cut off then.
    """

    def __init__(self, journal: Path):
        super().__init__(journal.with_name(journal.name + ".lock"))
        self.journal = journal

    def acquire(self, wait: bool = True) -> bool:
        taken = super().acquire(wait)
        if taken and self.journal.exists():
            with open(self.journal, "rb+") as file:
                if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return taken
