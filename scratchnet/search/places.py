"""Where a study is kept: in a folder of this machine, or where several machines reach it.

    Folder     a journal in the folder of the search; a process that has ended is known by the lock that it held
    Elsewhere  --storage: a PostgreSQL or other database, Optuna's gRPC proxy, or a journal on a shared folder

No lock is common to several machines. There a worker changes a number in its trial every few seconds, the *beat*, and
a trial whose beat has not changed for a while is that of a worker that has ended. Each worker measures the time by its
own clock, so the clocks of the machines need not agree.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scratchnet.search.lock import JournalLock, Lock

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

LOG = "study.log"
BEAT, DEAD = 5.0, 30.0  # seconds between two beats, and without one


class Folder:
    """A study in a folder, shared by the processes of one machine."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock: AbstractContextManager[Any] = Lock(folder / "ask.lock")
        self.worker: Worker | None = None

    def storage(self) -> BaseStorage:
        """Optuna's storage."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        lock: Any = JournalLock(self.folder / LOG)
        return JournalStorage(JournalFileBackend(str(self.folder / LOG), lock_obj=lock))

    def begin(self) -> str:
        """The name of this process as a worker."""
        self.worker = self.worker or Worker(self.folder)
        return self.worker.name

    def watch(self, trial: Trial) -> None:
        """Show that this trial is worked on: the worker's lock does."""

    def has_ended(self, trial: FrozenTrial) -> bool:
        """Whether the process of a running trial has ended."""
        return not is_at_work(self.folder, trial.user_attrs.get("worker"))

    def is_unsure(self, running: list[FrozenTrial]) -> bool:
        """Whether it is not known yet of some trials if their processes have ended."""
        return False

    def end(self) -> None:
        """Unregister this process."""
        if self.worker is not None:
            self.worker.end()
            self.worker = None


class Elsewhere:
    """A study that several machines share. url: see `open_storage`."""

    def __init__(self, url: str):
        self.url, self.name = url, f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.lock: AbstractContextManager[Any] = nullcontext()
        self.seen: dict[int, tuple[Any, float, bool]] = {}  # trial -> its last beat, when it came, whether it was seen
        self.stopped = threading.Event()
        self.stopped.set()

    def storage(self) -> BaseStorage:
        """Optuna's storage."""
        return open_storage(self.url)

    def begin(self) -> str:
        """The name of this process as a worker."""
        return self.name

    def watch(self, trial: Trial) -> None:
        """Let a thread beat for this trial from now on, and for none before it."""
        self.stopped.set()
        self.stopped = stopped = threading.Event()

        def beat() -> None:
            number = 0
            while not stopped.wait(BEAT):
                number += 1
                with suppress(Exception):  # the trial has finished, or the database is away for a moment
                    trial.set_user_attr("beat", number)

        threading.Thread(target=beat, name="beat", daemon=True).start()

    def has_ended(self, trial: FrozenTrial, now: Callable[[], float] = time.monotonic) -> bool:
        """Whether a running trial has had no beat for a while, as far as this worker has watched it."""
        beat = trial.user_attrs.get("beat")
        former, since, alive = self.seen.get(trial.number, (beat, now(), False))
        if former != beat:
            since, alive = now(), True
        self.seen[trial.number] = beat, since, alive
        return now() - since > DEAD

    def is_unsure(self, running: list[FrozenTrial]) -> bool:
        """Whether a trial has neither beaten while this worker watched, nor been silent for long enough."""
        return not all(self.seen.get(trial.number, (None, 0.0, False))[2] for trial in running)

    def end(self) -> None:
        """Beat no more."""
        self.stopped.set()


def open_storage(url: str) -> BaseStorage:
    """The storage of an address: grpc://HOST:PORT, a database (postgresql://USER@HOST/NAME), or the path of a journal.

    Raises ValueError if nothing answers there, ImportError if the driver of the database is missing.
    """
    from optuna import storages

    try:
        if url.startswith("grpc://"):
            host, _, port = url.removeprefix("grpc://").partition(":")
            return storages.GrpcStorageProxy(host=host, port=int(port or 13000))
        if "://" in url:
            return storages.RDBStorage(with_driver(url), engine_kwargs={"pool_pre_ping": True})
        Path(url).parent.mkdir(parents=True, exist_ok=True)
        lock = storages.journal.JournalFileOpenLock(url)
        return storages.JournalStorage(storages.journal.JournalFileBackend(url, lock_obj=lock))
    except ImportError as error:
        raise ImportError(f"--storage {url}: {error}. Run: python -m pip install -e '.[postgresql]'") from None
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"--storage {url}: cannot be opened ({reason})") from None


def with_driver(url: str) -> str:
    """The address of a PostgreSQL with the driver psycopg, if it names none.

    >>> with_driver("postgresql://me@host/searches")
    'postgresql+psycopg://me@host/searches'
    """
    for begin in ("postgresql://", "postgres://"):
        if url.startswith(begin):
            return f"postgresql+psycopg://{url.removeprefix(begin)}"
    return url


class Worker:
    """A working process, visible to the others: it locks its own file and records the file's name in its trials."""

    def __init__(self, folder: Path):
        self.name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        path = place_of(folder, self.name)
        path.parent.mkdir(exist_ok=True)
        self.lock = Lock(path)
        self.lock.acquire()

    def end(self) -> None:
        """Remove the file and release the lock."""
        self.lock.path.unlink(missing_ok=True)
        self.lock.release()


def is_at_work(folder: Path, name: str | None) -> bool:
    """Whether the worker of this name is running; the file of an ended worker is removed."""
    if name is None or not (path := place_of(folder, name)).exists():
        return False
    lock = Lock(path)
    if not lock.acquire(wait=False):
        return True
    path.unlink(missing_ok=True)
    lock.release()
    return False


def place_of(folder: Path, name: str) -> Path:
    """The file that a worker locks."""
    return folder / "workers" / name
