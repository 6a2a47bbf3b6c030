"""A program: the kernel calls of a training step or of a prediction, with their arguments, in order.

Compiled layers do not run kernels, they emit calls: `ctx.call(matmul, x, panels, y, relu=True, ...)`. A training step
calls the same kernels with the same arrays as the step before, so the calls are collected once, in a `Program`, and
then executed over and over:

    phase      tasks that may run in any order, on any thread; the next phase begins when all are finished
    task       calls that run one after the other, on one thread: a chunk of the batch, say
    call       a kernel with its arguments, or a Python function (a user's own layer, loss or optimizer)

A thread may have buffers of its own, so that the next chunk finds them in its cache. A task then has one list of calls
for each thread; they differ in the buffers only.

Two executors run a program. The native one (`native`, `scheduler`) does not enter Python between the calls of a
phase. The other one is a loop in Python: for NUMBA_DISABLE_JIT=1, and for phases that call Python functions.
`print(program)` shows all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from scratchnet.compiled.execution.calls import Call, Calls, PythonCall, compile_calls
from scratchnet.compiled.execution.native import NativeCode, replay
from scratchnet.compiled.execution.printing import Names, program_text
from scratchnet.compiled.execution.scheduler import TaskSchedule, all_finite, run_tasks, signal_workers, worker_loop
from scratchnet.compiled.jit.kernel import Kernel


@dataclass
class Phase:
    """Tasks that may run at the same time. Each has a list of calls for every thread, or one for all threads."""

    title: str
    tasks: list[list[Calls]]
    needs_finite_loss: bool = False  # skipped if a loss of an earlier phase is NaN or infinite

    @property
    def is_native(self) -> bool:
        """Whether no task calls a Python function."""
        return not any(isinstance(call, PythonCall) for task in self.tasks for calls in task for call in calls)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(calls for task in self.tasks for calls in task)

    def segment(self) -> Any:
        """This phase, to be run from Python."""
        return PythonSegment(self)


class Program:
    """Phases, ready to run on `threads` threads. values: the losses that decide whether the step is completed."""

    def __init__(self, title: str, phases: list[Phase], threads: int, values: np.ndarray, names: Names):
        self.title, self.threads, self.values, self.names = title, threads, values, names
        self.phases = [phase for phase in phases if not phase.is_empty]

    def calls(self) -> Calls:
        """All of them, and those that run a schedule."""
        calls = [call for phase in self.phases for task in phase.tasks for variant in task for call in variant]
        return [*calls, *calls_of_schedules(self.threads)]

    @cached_property
    def segments(self) -> list[Any]:
        """The phases as code; compiles the kernels that are missing."""
        if not isinstance(replay, Kernel):
            return self.python_segments(self.phases)
        compile_calls(self.calls())
        return self.native_segments()

    def native_segments(self) -> list[Any]:
        """Neighbouring native phases become one schedule; phases with Python functions are run from Python."""
        segments: list[Any] = []
        for native, group in groupby(self.phases, key=lambda phase: phase.is_native):
            phases = list(group)
            segments += [NativeSegment(phases, self)] if native else self.python_segments(phases)
        return segments

    def python_segments(self, phases) -> list[Any]:
        """A segment for every phase."""
        return [phase.segment() for phase in phases]

    def run(self, team) -> None:
        """Run all phases; only the first ones, if a loss turns out not to be a finite number."""
        self.completed = False
        for segment in self.segments:
            if segment.needs_finite_loss and not all_finite(self.values):
                return
            self.completed = segment is self.segments[-1]  # native code is completed whatever interrupts the caller
            segment.run(team)

    def __str__(self) -> str:
        return program_text(self.title, self.phases, self.names)


def calls_of_schedules(threads: int) -> Calls:
    """Calls of the functions that run a schedule, for the types of their arguments."""
    work = np.zeros((1, 2), np.int64), *np.zeros((3, 1), np.int64), np.zeros(1), 0
    called = [(run_tasks, work), (signal_workers, (work[1], np.zeros(1, np.bool_)))]
    called += [(worker_loop, (0, *work))] if threads > 1 else []
    return [Call(kernel, arguments, from_python=True) for kernel, arguments in called]


class NativeSegment:
    """Phases of kernel calls: one schedule, executed by all threads without Python."""

    def __init__(self, phases: list[Phase], program: Program):
        code = NativeCode()
        self.schedule = TaskSchedule(program.threads, code)
        self.needs_finite_loss = phases[0].needs_finite_loss
        first_checked = None
        for phase in phases:
            if phase.needs_finite_loss and first_checked is None:
                first_checked = len(self.schedule)
            self.schedule.add([[code.append(calls) for calls in task] for task in phase.tasks])
        self.schedule.finish(program.values, len(self.schedule) if first_checked is None else first_checked)

    def run(self, team) -> None:
        self.schedule.run(team)


class PythonSegment:
    """A phase run from Python: a task is what a thread of the team does with a chunk."""

    def __init__(self, phase: Phase):
        self.needs_finite_loss = phase.needs_finite_loss
        self.tasks = [runs_of(task[0]) for task in phase.tasks]

    def run(self, team) -> None:
        team.map(self.run_task, len(self.tasks))

    def run_task(self, chunk) -> None:
        """Kernel calls natively, in one go; functions in between."""
        for run in self.tasks[chunk.index]:
            run(chunk)


def runs_of(calls: Calls) -> list[Callable[[Any], None]]:
    """The calls as functions of the chunk; neighbouring kernel calls become one."""
    runs: list[Callable[[Any], None]] = []
    for native, group in groupby(calls, key=lambda call: isinstance(call, Call) and isinstance(replay, Kernel)):
        neighbours = list(group)
        runs += [NativeRun(neighbours)] if native else [call.run for call in neighbours]
    return runs


class NativeRun:
    """Kernel calls in a row, executed without Python in between."""

    def __init__(self, calls: Calls):
        self.code = NativeCode()
        self.start, self.stop = self.code.append(calls)
        self.calls = self.code.finish()

    def __call__(self, chunk=None) -> None:
        replay(self.calls, self.start, self.stop)
