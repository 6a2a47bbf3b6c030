"""A batch is cut into chunks, and a team of threads works on them.

Every chunk runs the ordinary forward and backward. The compiled kernels (and most of NumPy) let go of
Python's lock while they compute, so plain Python threads really run side by side. What the chunks find
is added up in the order of the chunks. How a batch is cut depends only on its size, never on the number
of threads; so a sum has the same terms in the same order on one thread and on sixteen, and the result is
the same to the last bit.

One kind of layer needs more: batch normalisation sums over the whole batch in the middle of its work.
`Chunk.sum` is where the chunks wait for each other. A chunk that waits gives its place to another one,
which may need a thread more than there were; waiting threads cost nothing, and no more than `threads`
ever compute at the same time.
"""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


class Team:
    """`map(work, count)`: work on chunks 0, ..., count - 1 on several threads, the results in order.

    >>> Team(threads=2).map(lambda chunk: chunk.index**2, 4)
    [0, 1, 4, 9]
    """

    def __init__(self, threads: int):
        self.threads = threads
        self.begin()

    def begin(self) -> None:
        """No threads yet. A forked child begins again: it has this object, but none of its threads."""
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.idle = 0  # threads that wait for a job and that nobody has counted on yet
        self.process = os.getpid()

    def map(self, work: Callable[[Chunk], Any], count: int) -> list[Any]:
        """Results in the order of the chunks. If chunks fail, the first one's error is raised."""
        return Run(self, work, count).result()

    def start(self, job: Callable[[], None]) -> None:
        """Run a job on a thread of its own: an idle one, or a new one."""
        if self.process != os.getpid():
            self.begin()
        with self.lock:
            waiting = self.idle > 0
            self.idle -= waiting
        if waiting:
            self.jobs.put(job)
        else:
            threading.Thread(target=self.serve, args=(job,), name="scratchnet", daemon=True).start()

    def serve(self, job: Callable[[], None]) -> None:
        """The life of a thread of the team."""
        while True:
            job()
            with self.lock:
                self.idle += 1
            job = self.jobs.get()


@dataclass(frozen=True)
class Chunk:
    """What the work on one chunk knows of the others: its number, and how to sum something over all."""

    run: Run
    index: int

    def sum(self, part: np.ndarray) -> np.ndarray:
        """The sum of all chunks' parts, in the order of the chunks. Waits for them; all must call it."""
        return self.run.meet(self.index, part) if self.run.count > 1 else part


class Run:
    """One call of Team.map: which chunks are still to be done, and what came of the others."""

    def __init__(self, team: Team, work: Callable[[Chunk], Any], count: int):
        self.team, self.work, self.count = team, work, count
        self.results: list[Any] = [None] * count
        self.errors: dict[int, BaseException] = {}
        self.todo = iter(range(count))  # `next` on it is one step for Python: no two threads get the same
        self.taken = 0
        self.places = threading.Semaphore(team.threads)  # how many chunks may compute at once
        self.finished: queue.SimpleQueue = queue.SimpleQueue()
        self.meeting = threading.Condition()
        self.parts: dict[int, np.ndarray] = {}
        self.total: Any = None
        self.round = 0

    def result(self) -> list[Any]:
        for _ in range(min(self.team.threads, self.count) - 1):
            self.team.start(self.take_chunks)
        self.take_chunks()
        for _ in range(self.count):
            self.finished.get()
        if self.errors:
            causes = [i for i, error in self.errors.items() if not isinstance(error, MeetingBroken)]
            raise self.errors[min(causes)]
        return self.results

    def take_chunks(self) -> None:
        """Take the next chunk until there is none: what every thread of the team does."""
        with self.places:
            for index in self.todo:
                self.taken = index + 1
                try:
                    self.results[index] = self.work(Chunk(self, index))
                except BaseException as error:  # the caller's thread raises it
                    with self.meeting:
                        self.errors[index] = error
                        self.meeting.notify_all()
                self.finished.put(index)

    def meet(self, index: int, part: np.ndarray) -> np.ndarray:
        """Wait until every chunk has brought its part; the last one adds them up for all."""
        with self.meeting:
            round_ = self.round
            self.parts[index] = part
            if len(self.parts) == self.count:
                self.total = ordered_sum([self.parts[i] for i in range(self.count)])
                self.parts, self.round = {}, self.round + 1
                self.meeting.notify_all()
                return self.total.copy()
        self.places.release()  # whoever waits makes room for a chunk that has not begun
        try:
            if self.taken < self.count:
                self.team.start(self.take_chunks)
            with self.meeting:
                self.meeting.wait_for(lambda: self.round > round_ or self.errors)
                if self.round == round_:
                    raise MeetingBroken("another chunk of this batch failed")
                return self.total.copy()
        finally:
            self.places.acquire()


class MeetingBroken(RuntimeError):
    """Raised in the chunks that wait for one that failed; its error is the one that the caller sees."""


def ordered_sum(parts: list[np.ndarray]) -> np.ndarray:
    """parts[0] + parts[1] + ..., from left to right."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def cut(n: int, size: int) -> list[slice]:
    """0..n in chunks of `size`, the last one perhaps shorter.

    >>> cut(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if size < 1:
        raise ValueError(f"a batch must hold at least 1 example, got a size of {size}")
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def available_threads() -> int:
    """Processors this process may use: CPU affinity, and a container's CPU quota rounded down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, cpu_quota(), 64)))


def cpu_quota(path: str = "/sys/fs/cgroup/cpu.max") -> float:
    """Processors granted by the control group, in units of one CPU; infinity where there is no limit."""
    try:
        with open(path) as file:
            quota, period = file.read().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


class _Shared:
    team: Team | None = None


def shared_team() -> Team:
    """The team that models use; made when first asked for."""
    if _Shared.team is None:
        _Shared.team = Team(available_threads())
    return _Shared.team


def set_threads(n: int) -> None:
    """Use n threads from now on, in every model. Results do not depend on n.

    >>> set_threads(2)
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 256:
        raise ValueError(f"set_threads needs an integer from 1 to 256, got {n!r}")
    _Shared.team = Team(n)
