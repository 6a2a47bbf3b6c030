"""A lock between processes that is released when its holder ends, for any reason.

A lock that consists of the existence of a file is never released if its process is killed, and other processes wait
forever. A lock of the operating system on an *open* file is better: it is released when the file is closed, and the
system closes all files of a process that ends. The file itself remains; its existence has no meaning.
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
    """A lock with at most one holder on this machine.

    >>> with Lock("some.lock") as lock:
    ...     Lock("some.lock").acquire(wait=False)
    False
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.file: IO | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Acquire the lock; whether that succeeded."""
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
        """Release the lock."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class JournalLock(Lock):
    """The lock on a journal, a file to which lines are appended; its holder finds complete lines only.

    A process that is killed during a write, or a power failure, may leave an incomplete last line, which would corrupt
    the next one. No other process writes while the lock is held, so the incomplete line is removed on acquiring.
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
