"""A batch is split into chunks, and a team of threads works on them.

NumPy and the compiled kernels release the interpreter lock while they compute, so plain Python threads run in parallel.
The chunks' results are summed in the order of the chunks. How a batch is split depends on its size only, never on the
number of threads. So a sum has the same terms in the same order on one thread and on sixteen, and the result is the
same to the last bit.

Batch normalisation sums over the whole batch in the middle of its work: `Chunk.sum` is an all-reduce, where the chunks
wait for each other. A chunk that waits at this barrier frees its slot for another chunk; if no idle thread can take it,
one is started. Blocked threads use no CPU, and at most `threads` slots compute at a time.

If there is a slot for every processor, each slot is pinned to one. Otherwise Linux sometimes wakes a thread on a busy
processor while another one idles: of a step with six barriers 30 % of two processors was lost that way, 10 % since the
slots are pinned (33 -> 25 ms, AMD Zen 4, two threads).
"""

from __future__ import annotations

import math
import operator
import os
import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Combine = Callable[[list[np.ndarray]], np.ndarray]


class Team:
    """`map(work, count)`: work on chunks 0, ..., count - 1 on several threads, the results in order.

    >>> Team(threads=2).map(lambda chunk: chunk.index**2, 4)
    [0, 1, 4, 9]
    """

    def __init__(self, threads: int):
        self.threads = threads
        self.reset()

    def reset(self) -> None:
        """No threads yet. Called again in a forked child, which has this object but none of its threads."""
        processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        one_each = len(processors) == self.threads
        self.workers = [WorkerQueue(processors[i] if one_each else None) for i in range(self.threads)]
        self.process = os.getpid()

    def map(self, work: Callable[[Chunk], Any], count: int, combine: Combine | None = None) -> list[Any]:
        """Results in the order of the chunks. If chunks fail, the first one's error is raised.

        combine: the parts of `Chunk.sum`, in the order of the chunks -> their sum.
        """
        if self.process != os.getpid():
            self.reset()
        return ParallelCall(self.workers, work, count, combine).result()

    def send(self, slot: int, work: Callable[[], None]) -> None:
        """Start some work on a thread of one of the slots, without waiting for it."""
        if self.process != os.getpid():
            self.reset()
        workers = self.workers[slot]

        def job() -> None:
            with pinned_to_cpu(workers.processor if self.threads > 1 else None):
                work()

        workers.start(job)


class WorkerQueue:
    """The threads that take turns in one slot of the team. Between jobs they wait."""

    def __init__(self, processor: int | None):
        self.processor = processor
        self.lock = threading.Lock()
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.idle = 0  # threads that wait for a job and are not reserved for one

    def start(self, job: Callable[[], None]) -> None:
        """Run a job on an idle thread, or on a new one."""
        with self.lock:
            waiting = self.idle > 0
            self.idle -= waiting
        if waiting:
            self.jobs.put(job)
        else:
            threading.Thread(target=self.serve, args=(job,), name="scratchnet", daemon=True).start()

    def serve(self, job: Callable[[], None]) -> None:
        """Run jobs for ever."""
        while True:
            job()
            with self.lock:
                self.idle += 1
            job = self.jobs.get()


class Slot:
    """Permission to compute, for one thread at a time, in one call of Team.map."""

    def __init__(self, workers: WorkerQueue, processor: int | None):
        self.workers, self.processor, self.taken = workers, processor, threading.Lock()


@dataclass(frozen=True)
class Chunk:
    """A chunk's number, and its all-reduce."""

    call: ParallelCall
    index: int
    slot: Slot

    def sum(self, part: np.ndarray) -> np.ndarray:
        """The sum of all chunks' parts, in the order of the chunks. Blocks until every chunk has called it."""
        return self.call.all_reduce(self, part) if self.call.count > 1 or self.call.combine else part


class ParallelCall:
    """One call of Team.map: the chunks still to do, and the results of the others."""

    def __init__(
        self, queues: list[WorkerQueue], work: Callable[[Chunk], Any], count: int, combine: Combine | None = None
    ):
        self.work, self.count, self.combine = work, count, combine
        all_needed = count >= len(queues) > 1
        self.slots = [Slot(workers, workers.processor if all_needed else None) for workers in queues[: max(1, count)]]
        self.results: list[Any] = [None] * count
        self.errors: dict[int, BaseException] = {}
        self.todo = iter(range(count))  # `next` on it is atomic: no two threads get the same chunk
        self.begun = self.round = 0
        self.finished: queue.SimpleQueue = queue.SimpleQueue()
        self.barrier = threading.Condition()
        self.parts: dict[int, np.ndarray] = {}
        self.total: Any = None

    def result(self) -> list[Any]:
        try:
            for slot in self.slots[1:]:
                slot.workers.start(partial(self.take_chunks, slot))
            self.take_chunks(self.slots[0])
            for _ in range(self.count):
                self.finished.get()
        except BaseException as error:  # Ctrl-C, here and not in a chunk
            self.abandon(error)
            raise
        if self.errors:
            causes = [i for i, error in self.errors.items() if not isinstance(error, BarrierBroken)]
            raise self.errors[min(causes)]
        return self.results

    def abandon(self, error: BaseException) -> None:
        """Start no further chunk, and wake the chunks that wait in a sum."""
        for _ in self.todo:
            pass
        with self.barrier:
            self.errors[self.count] = error
            self.barrier.notify_all()

    def take_chunks(self, slot: Slot) -> None:
        """The loop of every thread: take the next chunk until none is left."""
        with slot.taken, pinned_to_cpu(slot.processor):
            for index in self.todo:
                self.begun = index + 1
                try:
                    self.results[index] = self.work(Chunk(self, index, slot))
                except BaseException as error:  # the caller's thread raises it
                    with self.barrier:
                        self.errors[index] = error
                        self.barrier.notify_all()
                self.finished.put(index)

    def all_reduce(self, chunk: Chunk, part: np.ndarray) -> np.ndarray:
        """Wait for the parts of all chunks; the last chunk to arrive sums them."""
        with self.barrier:
            round_ = self.round
            self.parts[chunk.index] = part
            if len(self.parts) == self.count:
                self.total = (self.combine or ordered_sum)([self.parts[i] for i in range(self.count)])
                self.parts, self.round = {}, self.round + 1
                self.barrier.notify_all()
                return self.total.copy()
        slot = chunk.slot
        slot.taken.release()  # for a chunk that has not begun, or that has waited already
        try:
            if self.begun < self.count:
                slot.workers.start(partial(self.take_chunks, slot))
            with self.barrier:
                self.barrier.wait_for(lambda: self.round > round_ or self.errors)
                if self.round == round_:
                    raise BarrierBroken("another chunk of this batch failed")
                return self.total.copy()
        finally:
            slot.taken.acquire()


@contextmanager
def pinned_to_cpu(processor: int | None) -> Iterator[None]:
    """Pin this thread to a processor for the block. None, or a processor that is not available: no effect."""
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


class BarrierBroken(RuntimeError):
    """Raised in chunks that wait for a chunk that failed. The caller sees that chunk's error."""


def ordered_sum(parts: list[np.ndarray]) -> np.ndarray:
    """parts[0] + parts[1] + ..., from left to right."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def split_ranges(n: int, size: int) -> list[slice]:
    """0..n in chunks of `size`, the last one perhaps shorter.

    >>> split_ranges(5, 2)
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

    Raises ValueError for anything but an integer from 1 to 256.

    >>> set_threads(2)
    """
    try:
        number = 0 if isinstance(n, bool | np.bool_) else operator.index(n)
    except TypeError:
        number = 0
    if not 1 <= number <= 256:
        raise ValueError(f"set_threads needs an integer from 1 to 256, got {n!r}")
    _Shared.team = Team(number)
