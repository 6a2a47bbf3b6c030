"""Tasks in a fixed order, executed by several threads without Python.

A task is a range of encoded kernel calls (`native`). A thread takes the next task with one atomic increment, and begins
it when all tasks of earlier *phases* are finished: the chunks when all weights are packed, the optimizer when all
gradients are there. A thread that must wait spins: the wait is a matter of microseconds, and to be suspended and woken
takes 50.

    tasks that must be finished    0        0        0        8        8        10 ...
    task                         [pack]   [pack] .. [pack]  [chunk]  [chunk]  [optimizer] ...

Threads may have buffers of their own, so a task can be another range of calls on each thread.

The next step follows soon. So the helping threads do not return to Python, where they would compete for the interpreter
lock just when the caller needs it, but spin for up to SPIN_LIMIT looks. Each has a word that holds its state:

    SPINNING  --by the caller-->  SIGNALLED  --by the thread-->  SPINNING, and it takes tasks
    SPINNING  --by the thread, after SPIN_LIMIT looks-->  PARKED  --by the caller-->  SIGNALLED, with a new thread
"""

from __future__ import annotations

import os
from functools import partial

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function

from scratchnet.compiled.execution.native import NativeCode, replay
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.simd.vector_types import intrinsic, returns

CACHE_LINE = 8  # numbers in 64 bytes: a change of a number invalidates its cache line for all other threads
TAKEN, FINISHED, STATES = 0, CACHE_LINE, 2 * CACHE_LINE  # where two counts are, and where the threads' states begin
PARKED, SIGNALLED, SPINNING = 0, 1, 2
SPIN_LIMIT = 2000  # half a millisecond or more; a step's part in Python takes 0.1 to 0.3


@returns(lambda counts, i: types.intp)
def _atomic_increment(emit, kinds, counts, i):
    """One atomic addition."""
    return emit.build.atomic_rmw("add", emit.at(kinds[0], counts, i), ir.Constant(ir.IntType(64), 1), "seq_cst")


@intrinsic(_atomic_increment)
def atomic_increment(counts, i):
    """counts[i] += 1, so that no two threads get the same number   -> the number before"""
    counts[i] += 1
    return counts[i] - 1


@returns(lambda counts, i: types.intp)
def _atomic_load(emit, kinds, counts, i):
    """A load that the compiler may not move or leave out."""
    return emit.build.load_atomic(emit.at(kinds[0], counts, i), "acquire", 8)


@intrinsic(_atomic_load)
def atomic_load(counts, i):
    """counts[i], as other threads have left it."""
    return counts[i]


@returns(lambda counts, i, number: types.intp)
def _atomic_exchange(emit, kinds, counts, i, number):
    """One atomic exchange."""
    return emit.build.atomic_rmw("xchg", emit.at(kinds[0], counts, i), number, "seq_cst")


@intrinsic(_atomic_exchange)
def atomic_exchange(counts, i, number):
    """counts[i] = number   -> the number before"""
    before = counts[i]
    counts[i] = number
    return before


@returns(lambda counts, i, old, new: types.intp)
def _compare_exchange(emit, kinds, counts, i, old, new):
    """One atomic comparison and exchange."""
    return emit.build.extract_value(emit.build.cmpxchg(emit.at(kinds[0], counts, i), old, new, "seq_cst", "seq_cst"), 0)


@intrinsic(_compare_exchange)
def compare_exchange(counts, i, old, new):
    """counts[i] = new, if it was old   -> the number before"""
    before = counts[i]
    if before == old:
        counts[i] = new
    return before


@returns(lambda: types.none)
def _yield_cpu(emit, kinds):
    """A system call, where the system has one."""
    if hasattr(os, "sched_yield"):
        kind = ir.FunctionType(ir.IntType(32), [])
        emit.build.call(get_or_insert_function(emit.build.module, kind, "sched_yield"), [])


@intrinsic(_yield_cpu)
def yield_cpu():
    """Let another thread use this processor, if one is waiting for it."""


@jit
def wait_until(counts, i, number):
    """Return when counts[i] has reached a number."""
    while atomic_load(counts, i) < number:
        yield_cpu()


@jit
def take_tasks(ranges, dependencies, calls, counts, values, checked_from):
    """Execute tasks until none is left.

    ranges         (tasks, 2): this thread's calls for each task, from .. to
    dependencies   (tasks,): how many tasks must be finished before each; it never decreases
    calls          from `NativeCode.finish`
    counts         from `new_counts`
    values         the losses; if one is not finite, tasks from number `checked_from` on are skipped
    """
    task = atomic_increment(counts, TAKEN)
    while task < len(dependencies):
        wait_until(counts, FINISHED, dependencies[task])
        if task < checked_from or all_finite(values):
            replay(calls, ranges[task, 0], ranges[task, 1])
        atomic_increment(counts, FINISHED)
        task = atomic_increment(counts, TAKEN)


@jit
def run_tasks(ranges, dependencies, calls, counts, values, checked_from):
    """The caller's part, after `signal_workers`: take tasks, and wait until all are finished."""
    take_tasks(ranges, dependencies, calls, counts, values, checked_from)
    wait_until(counts, FINISHED, len(dependencies))


@jit
def signal_workers(counts, parked):
    """Make all tasks available. Returns the number of parked workers; `parked` (bool) marks them."""
    atomic_exchange(counts, FINISHED, 0)
    atomic_exchange(counts, TAKEN, 0)
    missing = 0
    for i in range(parked.size):
        parked[i] = atomic_exchange(counts, STATES + CACHE_LINE * i, SIGNALLED) == PARKED
        missing += parked[i]
    return missing


@jit
def worker_loop(i, ranges, dependencies, calls, counts, values, checked_from):
    """Worker i: take tasks whenever signalled; return, parked, after SPIN_LIMIT looks without a signal."""
    here, state = STATES + CACHE_LINE * i, SIGNALLED
    while state == SIGNALLED:
        atomic_exchange(counts, here, SPINNING)
        take_tasks(ranges, dependencies, calls, counts, values, checked_from)
        looks = 0
        while atomic_load(counts, here) == SPINNING and looks < SPIN_LIMIT:
            yield_cpu()
            looks += 1
        state = compare_exchange(counts, here, SPINNING, PARKED)


@jit
def all_finite(values):
    """Whether no value is NaN or infinite."""
    for value in values:
        if not -np.inf < value < np.inf:
            return False
    return True


def new_counts(workers: int = 0) -> np.ndarray:
    """Two counts at zero, and `workers` parked workers."""
    return np.zeros(STATES + CACHE_LINE * workers, np.int64)


class TaskSchedule:
    """Tasks of encoded calls, in phases."""

    def __init__(self, threads: int, code: NativeCode):
        self.threads, self.code = threads, code
        self.dependencies: list[int] = []
        self.ranges: list[list[tuple[int, int]]] = []

    def __len__(self) -> int:
        return len(self.dependencies)

    def add(self, phase: list[list[tuple[int, int]]]) -> None:
        """Tasks that may run in any order when all tasks added before are finished.

        Each is a list of ranges of calls: one for every thread, or one for all.
        """
        self.dependencies += [len(self.dependencies)] * len(phase)
        self.ranges += [task if len(task) == self.threads else task * self.threads for task in phase]

    def finish(self, values: np.ndarray, checked_from: int) -> None:
        """No task will be added any more. values, checked_from: see `take_tasks`."""
        of_thread = np.ascontiguousarray(np.array(self.ranges).transpose(1, 0, 2))
        shared = np.array(self.dependencies), self.code.finish(), new_counts(self.threads - 1), values, checked_from
        self.work = [(ranges, *shared) for ranges in of_thread]
        self.counts, self.parked, self.process = shared[2], np.zeros(self.threads - 1, np.bool_), os.getpid()

    def run(self, team) -> None:
        """Execute all tasks."""
        if self.process != os.getpid():  # a forked child has this object, but none of its workers
            self.counts[:], self.process = 0, os.getpid()
        try:
            if signal_workers(self.counts, self.parked):
                for i in np.flatnonzero(self.parked):
                    team.send(i + 1, partial(worker_loop, i, *self.work[i + 1]))
            run_tasks(*self.work[0])
        except BaseException:  # Ctrl-C: what has been started is completed
            run_tasks(*self.work[0])
            raise
