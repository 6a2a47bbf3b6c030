"""A batch is cut into chunks, and a team of threads works on them.

Every chunk runs the ordinary forward and backward. The compiled kernels (and most of NumPy) let go of
Python's lock while they compute, so plain Python threads really run side by side. What the chunks find
is added up in the order of the chunks. How a batch is cut depends only on its size, never on the number
of threads; so a sum has the same terms in the same order on one thread and on sixteen, and the result is
the same to the last bit.

One kind of layer needs more: batch normalisation sums over the whole batch in the middle of its work.
`Chunk.sum` is where the chunks wait for each other. A chunk that waits gives its *place* to another one,
which may need a thread more than there were; waiting threads cost nothing, and no more than `threads`
places ever compute at the same time.

If there is a place for every processor, each place stays on a processor of its own. Left to itself, Linux now
and then wakes a thread on a processor that is busy while another one idles: of the time of a step with six
meetings, 30 % of two processors was lost that way, and 10 % since they stay (33 -> 25 ms).
"""

from __future__ import annotations

import math
import operator
import os
import queue
import threading
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
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
        processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        one_each = len(processors) == self.threads
        self.crews = [Crew(processors[i] if one_each else None) for i in range(self.threads)]
        self.process = os.getpid()

    def map(self, work: Callable[[Chunk], Any], count: int) -> list[Any]:
        """Results in the order of the chunks. If chunks fail, the first one's error is raised."""
        if self.process != os.getpid():
            self.begin()
        return Run(self.crews, work, count).result()

    def send(self, place: int, work: Callable[[], None]) -> None:
        """Let a thread do some work in one of the places, and do not wait for it."""
        if self.process != os.getpid():
            self.begin()
        crew = self.crews[place]

        def job():
            with staying_on(crew.processor if self.threads > 1 else None):
                work()

        crew.start(job)


class Crew:
    """The threads that take turns in one place of the team. They live on, waiting for the next job."""

    def __init__(self, processor: int | None):
        self.processor = processor
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.idle = 0  # threads that wait for a job and that nobody has counted on yet

    def start(self, job: Callable[[], None]) -> None:
        """Run a job on a thread of its own: an idle one, or a new one."""
        with self.lock:
            waiting = self.idle > 0
            self.idle -= waiting
        if waiting:
            self.jobs.put(job)
        else:
            threading.Thread(target=self.serve, args=(job,), name="scratchnet", daemon=True).start()

    def serve(self, job: Callable[[], None]) -> None:
        """The life of a thread."""
        while True:
            job()
            with self.lock:
                self.idle += 1
            job = self.jobs.get()


class Place:
    """The right of one thread of a crew to compute, in one call of Team.map."""

    def __init__(self, crew: Crew, processor: int | None):
        self.crew, self.processor, self.taken = crew, processor, threading.Lock()


@dataclass(frozen=True)
class Chunk:
    """What the work on one chunk knows of the others: its number, and how to sum something over all."""

    run: Run
    index: int
    place: Place

    def sum(self, part: np.ndarray) -> np.ndarray:
        """The sum of all chunks' parts, in the order of the chunks. Waits for them; all must call it."""
        return self.run.meet(self, part) if self.run.count > 1 else part

    def meet(self) -> None:
        """Wait until all chunks have come this far."""
        self.sum(np.empty(0))


class Run:
    """One call of Team.map: which chunks are still to be done, and what came of the others."""

    def __init__(self, crews: list[Crew], work: Callable[[Chunk], Any], count: int):
        self.work, self.count = work, count
        all_needed = count >= len(crews) > 1
        self.places = [Place(crew, crew.processor if all_needed else None) for crew in crews[: max(1, count)]]
        self.results: list[Any] = [None] * count
        self.errors: dict[int, BaseException] = {}
        self.todo = iter(range(count))  # `next` on it is one step for Python: no two threads get the same
        self.begun = 0
        self.finished: queue.SimpleQueue = queue.SimpleQueue()
        self.meeting = threading.Condition()
        self.parts: dict[int, np.ndarray] = {}
        self.total: Any = None
        self.round = 0

    def result(self) -> list[Any]:
        try:
            for place in self.places[1:]:
                place.crew.start(partial(self.take_chunks, place))
            self.take_chunks(self.places[0])
            for _ in range(self.count):
                self.finished.get()
        except BaseException as error:  # Ctrl-C, here and not in a chunk: nobody shall wait for what will not come
            self.abandon(error)
            raise
        if self.errors:
            causes = [i for i, error in self.errors.items() if not isinstance(error, MeetingBroken)]
            raise self.errors[min(causes)]
        return self.results

    def abandon(self, error: BaseException) -> None:
        """Let nobody begin another chunk, and send home those who wait in a sum."""
        for _ in self.todo:
            pass
        with self.meeting:
            self.errors[self.count] = error
            self.meeting.notify_all()

    def take_chunks(self, place: Place) -> None:
        """Take the next chunk until there is none: what every thread of the team does."""
        with place.taken, staying_on(place.processor):
            for index in self.todo:
                self.begun = index + 1
                try:
                    self.results[index] = self.work(Chunk(self, index, place))
                except BaseException as error:  # the caller's thread raises it
                    with self.meeting:
                        self.errors[index] = error
                        self.meeting.notify_all()
                self.finished.put(index)

    def meet(self, chunk: Chunk, part: np.ndarray) -> np.ndarray:
        """Wait until every chunk has brought its part; the last one adds them up for all."""
        with self.meeting:
            round_ = self.round
            self.parts[chunk.index] = part
            if len(self.parts) == self.count:
                self.total = ordered_sum([self.parts[i] for i in range(self.count)])
                self.parts, self.round = {}, self.round + 1
                self.meeting.notify_all()
                return self.total.copy()
        place = chunk.place
        place.taken.release()  # whoever waits makes room for a chunk that has not begun, or has waited already
        try:
            if self.begun < self.count:
                place.crew.start(partial(self.take_chunks, place))
            with self.meeting:
                self.meeting.wait_for(lambda: self.round > round_ or self.errors)
                if self.round == round_:
                    raise MeetingBroken("another chunk of this batch failed")
                return self.total.copy()
        finally:
            place.taken.acquire()


@contextmanager
def staying_on(processor: int | None):
    """Keep this thread on a processor meanwhile. None, or one that may not be used any more: leave it alone."""
    before = None
    if processor is not None:
        with suppress(OSError):
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


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
    """Processors this process may use: CPU affinity, a container's CPU quota rounded down, OMP_NUM_THREADS.

    OMP_NUM_THREADS limits NumPy's BLAS and PyTorch; so it does here. It lowers the default number of threads and
    never raises it; `set_threads` overrides it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, cpu_quota(), omp_threads(os.environ.get("OMP_NUM_THREADS", "")), 64)))


def omp_threads(setting: str) -> float:
    """The threads that a value of OMP_NUM_THREADS allows, of a list the first; infinity if it is empty.

    >>> omp_threads("4,2")
    4.0
    """
    first = setting.partition(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return float(first)
    if setting.strip():
        warnings.warn(f"OMP_NUM_THREADS={setting!r} is no positive integer: it is ignored", stacklevel=2)
    return math.inf


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

    n: any integer type, NumPy's too.

    >>> set_threads(2)
    """
    try:
        number = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:
        number = 0
    if not 1 <= number <= 256:
        raise ValueError(f"set_threads needs an integer from 1 to 256, got {n!r}")
    _Shared.team = Team(number)
