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

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from typing import Any

import numpy as np

from scratchnet.compiled.execution.native import NativeCode, replay
from scratchnet.compiled.execution.scheduler import (
    TaskSchedule,
    all_finite,
    run_tasks,
    signal_workers,
    worker_loop,
)
from scratchnet.compiled.jit.decorators import Kernel
from scratchnet.compiled.jit.parallel import compile_versions


@dataclass(frozen=True)
class Call:
    """A kernel and its arguments, by position."""

    kernel: Any
    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, kernel, arguments: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The call kernel(*arguments, **named)."""
        return cls(kernel, (*arguments, *(named[name] for name in parameters(kernel)[len(arguments) :])))

    @cached_property
    def kinds(self) -> tuple[Any, ...]:
        """Numba's types of the arguments, for which the kernel is compiled."""
        return tuple(map(self.kernel.typeof_pyval, self.arguments))

    def run(self, chunk=None) -> None:
        """Call the kernel from Python."""
        self.kernel(*self.arguments)


@dataclass(frozen=True)
class PythonCall:
    """A function of the current chunk (`scratchnet.team.Chunk`), and its description."""

    function: Callable[[Any], None]
    text: str

    def run(self, chunk=None) -> None:
        """Call the function."""
        self.function(chunk)


Calls = list[Call | PythonCall]


def caller(calls: Calls):
    """A function that adds calls to a list."""
    return lambda kernel, *arguments, **named: calls.append(Call.of(kernel, arguments, named))


WIDTH = 120  # characters in a line of a printed program


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


def compile_calls(calls: Calls) -> None:
    """Compile the kernels of these calls that are missing."""
    if isinstance(replay, Kernel):
        compile_versions([(call.kernel, call.kinds) for call in calls if isinstance(call, Call)])


def calls_of_schedules(threads: int) -> Calls:
    """Calls of the functions that run a schedule, for the types of their arguments."""
    work = np.zeros((1, 2), np.int64), *np.zeros((3, 1), np.int64), np.zeros(1), 0
    calls: Calls = [Call(run_tasks, work), Call(signal_workers, (work[1], np.zeros(1, np.bool_)))]
    return [*calls, Call(worker_loop, (0, *work))] if threads > 1 else calls


ROOMS = ("kernels", "layers", "training")


def program_text(title: str, phases: list[Phase], names: Names) -> str:
    """All calls of all phases, each in a line; of tasks that differ in their buffers only, the first."""
    lines = [title]
    for number, phase in enumerate(phases, 1):
        lines.append(f"phase {number}: {phase.title}")
        kinds = groupby((task[0] for task in phase.tasks), key=lambda calls: tuple(map(kernel_name, calls)))
        for _, alike in kinds:
            calls, *others = alike
            lines.append(f"  task{f', and {len(others)} more like it' * bool(others)}")
            for _, same in groupby(calls, key=kernel_name):
                call, *repeated = same
                text = names.text(call) + f"  and {len(repeated)} more" * bool(repeated)
                lines += textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)


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


class Names:
    """What to call the arrays of a program when it is printed."""

    def __init__(self):
        self.known: list[tuple[str, np.ndarray]] = []

    def add(self, name: str, value: Any) -> None:
        """Name an array, or all arrays in a tuple, dict or workspace: 1.conv2d.y, 1.conv2d.forward.scratch, ..."""
        if isinstance(value, np.ndarray):
            self.known.append((name, value))
        elif isinstance(value, dict):
            for key, item in value.items():
                self.add(f"{name}.{key}" if name else key, item)
        elif isinstance(value, tuple):
            keys = getattr(value, "_fields", range(len(value)))
            for key, item in zip(keys, value, strict=True):
                self.add(f"{name}.{key}", item)
        elif hasattr(value, "named_arrays"):
            self.add(name, value.named_arrays())

    def text(self, call: Call | PythonCall) -> str:
        """A call in one line: gemm.matmul(a=..., panels=..., c=..., relu=True)."""
        if isinstance(call, PythonCall):
            return f"Python: {call.text}"
        named = zip(parameters(call.kernel), call.arguments, strict=True)
        return f"{kernel_name(call)}({', '.join(f'{name}={self.value(value)}' for name, value in named)})"

    def value(self, value: Any) -> str:
        """An argument: the name of an array, with the slice that it is of a larger one; a number; a tuple."""
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, tuple):
            if len(value) > 3 and all(isinstance(item, int | np.integer) for item in value):
                return f"({value[0]}, {value[1]}, ... {value[-1]})"
            return f"({', '.join(map(self.value, value))})"
        return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)

    def array(self, array: np.ndarray) -> str:
        """The name of the array that holds this one."""
        address = array.ctypes.data
        for name, known in self.known:
            start = address - known.ctypes.data
            if 0 <= start and start + array.nbytes <= known.nbytes and (array.nbytes or not known.nbytes):
                first = start // known.itemsize
                return name if array.size == known.size else f"{name}[{first}:{first + array.size}]"
        return f"{array.dtype}{list(array.shape)}"


def kernel_name(call: Call | PythonCall) -> str:
    """gemm.matmul, conv.convolve: the function, after its module or, if that has several, its package."""
    if isinstance(call, PythonCall):
        return call.text
    function = getattr(call.kernel, "py_func", call.kernel)
    *_, package, module = function.__module__.split(".")
    return f"{module if package in ROOMS else package}.{function.__name__}"


@cache
def parameters(kernel) -> tuple[str, ...]:
    """The names of a kernel's parameters."""
    return tuple(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)
