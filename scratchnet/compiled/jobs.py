"""Jobs in a fixed order, done by several threads without Python.

Each job is a stretch of a tape (`tape`). A thread takes the next job, in one indivisible addition, and may begin
when all the jobs of earlier *phases* are finished: the chunks when all weights are packed, the optimizer when all
gradients are there. A thread that has to wait does so awake, for it is a matter of microseconds, while to be sent to
sleep and woken again takes 50.

    finished before    0        0        0        8        8        10 ...
    job              [pack]   [pack] .. [pack]  [chunk]  [chunk]  [optimizer] ...

Threads may have memory of their own, so a job can be another stretch of the tape for each of them.

The next step comes soon. So the threads that helped do not go back to Python, where they would contend for its lock
just when the caller needs it, but stay awake for some more LOOKS. Each has a word that says where it is:

    WAITING  --the caller-->  CALLED  --the thread-->  WAITING, and it takes jobs
    WAITING  --the thread, after LOOKS in vain-->  AWAY  --the caller-->  CALLED, by a new thread
"""

from __future__ import annotations

import os
from functools import partial
from itertools import pairwise

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function

from scratchnet.compiled.jit import jit
from scratchnet.compiled.registers import gives, word
from scratchnet.compiled.tape import Tape, play

APART = 8  # numbers in 64 bytes: every change of a number takes its cache line away from the other threads
TAKEN, FINISHED, HELPERS = 0, APART, 2 * APART  # where two counts are kept, and from where on the threads' words
AWAY, CALLED, WAITING = 0, 1, 2
LOOKS = 2000  # half a millisecond or more; a step's part in Python takes 0.1 to 0.3


@gives(lambda counts, i: types.intp)
def _count_up(emit, kinds, counts, i):
    """One indivisible addition."""
    return emit.build.atomic_rmw("add", emit.at(kinds[0], counts, i), ir.Constant(ir.IntType(64), 1), "seq_cst")


@word(_count_up)
def count_up(counts, i):
    """counts[i] += 1, so that no two threads see the same number   -> the number before"""
    counts[i] += 1
    return counts[i] - 1


@gives(lambda counts, i: types.intp)
def _counted(emit, kinds, counts, i):
    """A load that the compiler may not move or leave out."""
    return emit.build.load_atomic(emit.at(kinds[0], counts, i), "acquire", 8)


@word(_counted)
def counted(counts, i):
    """counts[i], as other threads have left it."""
    return counts[i]


@gives(lambda counts, i, number: types.intp)
def _exchange(emit, kinds, counts, i, number):
    """One indivisible exchange."""
    return emit.build.atomic_rmw("xchg", emit.at(kinds[0], counts, i), number, "seq_cst")


@word(_exchange)
def exchange(counts, i, number):
    """counts[i] = number   -> the number before"""
    before = counts[i]
    counts[i] = number
    return before


@gives(lambda counts, i, old, new: types.intp)
def _replace(emit, kinds, counts, i, old, new):
    """One indivisible comparison and exchange."""
    return emit.build.extract_value(emit.build.cmpxchg(emit.at(kinds[0], counts, i), old, new, "seq_cst", "seq_cst"), 0)


@word(_replace)
def replace(counts, i, old, new):
    """counts[i] = new, if it was old   -> the number before"""
    before = counts[i]
    if before == old:
        counts[i] = new
    return before


@gives(lambda: types.none)
def _give_way(emit, kinds):
    """A call of the system, where it has one."""
    if hasattr(os, "sched_yield"):
        kind = ir.FunctionType(ir.IntType(32), [])
        emit.build.call(get_or_insert_function(emit.build.module, kind, "sched_yield"), [])


@word(_give_way)
def give_way():
    """Let another thread have this processor, if one wants it."""


@jit
def wait_until(counts, i, number):
    """Return when counts[i] has reached a number."""
    while counted(counts, i) < number:
        give_way()


@jit
def take_jobs(stretches, before, calls, counts, values, guarded):
    """Take jobs until there is none.

    stretches    (n, 2): this thread's calls for each job, from .. to
    before       (n,): how many jobs must be finished before each; it never decreases
    calls        from `Tape.calls`
    counts       from `new_counts`
    values       what the jobs before number `guarded` must have made finite and not negative, or else the jobs from it
                 on are not done
    """
    job = count_up(counts, TAKEN)
    while job < len(before):
        wait_until(counts, FINISHED, before[job])
        if job < guarded or acceptable(values):
            play(calls, stretches[job, 0], stretches[job, 1])
        count_up(counts, FINISHED)
        job = count_up(counts, TAKEN)


@jit
def do_jobs(stretches, before, calls, counts, values, guarded):
    """What the caller does when it has called its helpers: take jobs, and wait until all are finished."""
    take_jobs(stretches, before, calls, counts, values, guarded)
    wait_until(counts, FINISHED, len(before))


@jit
def call_helpers(counts, away):
    """Begin: all jobs are there to be taken. How many helpers nobody is there for; `away` (bool) says which."""
    exchange(counts, FINISHED, 0)
    exchange(counts, TAKEN, 0)
    missing = 0
    for i in range(away.size):
        away[i] = exchange(counts, HELPERS + APART * i, CALLED) == AWAY
        missing += away[i]
    return missing


@jit
def help_out(i, stretches, before, calls, counts, values, guarded):
    """Take jobs whenever called, as helper i; return when nobody has called for a while."""
    here, state = HELPERS + APART * i, CALLED
    while state == CALLED:
        exchange(counts, here, WAITING)
        take_jobs(stretches, before, calls, counts, values, guarded)
        looks = 0
        while counted(counts, here) == WAITING and looks < LOOKS:
            give_way()
            looks += 1
        state = replace(counts, here, WAITING, AWAY)


@jit
def acceptable(values):
    """Whether all are finite and none is negative."""
    for value in values:
        if not 0 <= value < np.inf:
            return False
    return True


def new_counts(helpers: int = 0) -> np.ndarray:
    """Two counts at zero, and so many helpers who are away."""
    return np.zeros(HELPERS + APART * helpers, np.int64)


class Jobs:
    """Work that is noted on a tape, and put into an order in which threads may do it."""

    def __init__(self, threads: int):
        self.threads, self.tape = threads, Tape()
        self.before: list[int] = []
        self.stretches: list[list[tuple[int, int]]] = []
        self.cuts: list[int] = []

    def __len__(self) -> int:
        return len(self.before)

    def noted(self, work) -> list[tuple[int, int]]:
        """The stretch of the tape where this work is noted; several, if it calls `cut` meanwhile."""
        self.cuts = [len(self.tape)]
        with self.tape.recording():
            work()
        self.cut()
        return list(pairwise(self.cuts))

    def cut(self) -> None:
        """The work goes on in another phase."""
        self.cuts.append(len(self.tape))

    def add(self, phase: list[list[tuple[int, int]]]) -> None:
        """Jobs that may be done in any order, when all that were added before are finished.

        Each is a list of stretches: one for every thread, or one that is the same for all.
        """
        phase = [job for job in phase if any(start < stop for start, stop in job)]
        self.before += [len(self.before)] * len(phase)
        self.stretches += [job if len(job) == self.threads else job * self.threads for job in phase]

    def finish(self, values: np.ndarray, guarded: int) -> None:
        """Nothing more will be added. values, guarded: see `take_jobs`."""
        of_thread = np.ascontiguousarray(np.array(self.stretches).transpose(1, 0, 2))
        shared = np.array(self.before), self.tape.calls(), new_counts(self.threads - 1), values, guarded
        self.work = [(stretches, *shared) for stretches in of_thread]
        self.counts, self.away, self.process = shared[2], np.zeros(self.threads - 1, np.bool_), os.getpid()

    def run(self, team) -> None:
        """Do all jobs."""
        if self.process != os.getpid():               # a forked child has this object, but none of its helpers
            self.counts[:], self.process = 0, os.getpid()
        try:
            if call_helpers(self.counts, self.away):
                for i in np.flatnonzero(self.away):
                    team.send(i + 1, partial(help_out, i, *self.work[i + 1]))
            do_jobs(*self.work[0])
        except BaseException:  # Ctrl-C: what has been begun is brought to its end
            do_jobs(*self.work[0])
            raise
