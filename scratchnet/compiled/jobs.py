"""Jobs in a fixed order, done by several threads without Python.

Each job is a stretch of a tape (`tape`). A thread takes the next job, in one indivisible addition, and may begin
when all the jobs of earlier *phases* are finished: the chunks when all weights are packed, the optimizer when all
gradients are there. A thread that has to wait does so awake, for it is a matter of microseconds, while to be sent to
sleep and woken again takes 50.

    finished before    0        0        0        8        8        10 ...
    job              [pack]   [pack] .. [pack]  [chunk]  [chunk]  [optimizer] ...

Threads may have memory of their own, so a job can be another stretch of the tape for each of them.
"""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function

from scratchnet.compiled.jit import jit
from scratchnet.compiled.registers import gives, word
from scratchnet.compiled.tape import Tape, play

TAKEN, FINISHED = 0, 8  # where two counts are kept; 64 bytes apart, for every change of one takes its cache line away


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
def do_jobs(stretches, before, calls, counts, values, guarded):
    """Take jobs until there is none, and wait until the others have finished theirs.

    stretches    (n, 2): this thread's calls for each job, from .. to
    before       (n,): how many jobs must be finished before each; it never decreases
    calls        from `Tape.calls`
    counts       zeros, from `new_counts`
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
    wait_until(counts, FINISHED, len(before))


@jit
def acceptable(values):
    """Whether all are finite and none is negative."""
    for value in values:
        if not 0 <= value < np.inf:
            return False
    return True


def new_counts() -> np.ndarray:
    """Two counts at zero."""
    return np.zeros(16, np.int64)


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

    def finish(self) -> None:
        """Nothing more will be added."""
        self.calls, self.order = self.tape.calls(), np.array(self.before)
        self.of_thread = np.ascontiguousarray(np.array(self.stretches).transpose(1, 0, 2))

    def run(self, team, values: np.ndarray, guarded: int) -> None:
        """Do all jobs: see `do_jobs`."""
        counts = new_counts()

        def work(chunk):
            do_jobs(self.of_thread[chunk.index], self.order, self.calls, counts, values, guarded)

        team.map(work, self.threads)
