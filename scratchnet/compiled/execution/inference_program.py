"""Prediction as a program: no Python between the kernels.

    images -> [input buffer] -> kernels -> [logits buffer] -> logits

One chunk of images is run by the caller alone. If there are more, every thread takes the next one, with one atomic
increment, until none is left; each thread has buffers of its own.

A single image is a matter of microseconds, so the rest must cost few: the weights stay packed from call to call
(`packing`), the calls that look for changes in them are replayed together with the kernels, and if there is one the
kernels run once more.

Small chunks keep what one kernel leaves in the cache for the next one: with 32 or 48 images vgg-bn takes 8 and 16 %
longer than with 16, two-conv and chollet the same. 10,000 images, called from Python in chunks of 16 and replayed:
vgg-bn 0.37 and 0.33 s, chollet 0.13 and 0.11, two-conv 0.16 and 0.11 (AMD Zen 4, two threads).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.execution.calls import Call, Calls, compile_calls
from scratchnet.compiled.execution.contexts import Buffers, Captured, CapturingContext
from scratchnet.compiled.execution.guards import Guards
from scratchnet.compiled.execution.native import NativeCode, copy_memory, replay
from scratchnet.compiled.execution.packing import Packing
from scratchnet.compiled.execution.printing import program_text
from scratchnet.compiled.execution.program import Phase, calls_of_schedules, runs_of
from scratchnet.compiled.execution.scheduler import TaskSchedule, atomic_increment
from scratchnet.compiled.jit.aligned import aligned_zeros
from scratchnet.compiled.jit.decorators import jit
from scratchnet.compiled.jit.kernel import Kernel
from scratchnet.compiled.layers.inference import for_inference

CHUNK = 16  # images


class Worker(NamedTuple):
    """What a thread needs: its buffers, and its calls."""

    images: np.ndarray
    calls: Calls
    logits: np.ndarray


class InferenceProgram:
    """The logits of images of one type, `size` at a time on up to `threads` threads, for one caller at a time.

    few: whether it is for a few images at a time: see `layers.inference`.
    """

    def __init__(self, engine, dtype, size: int, threads: int, few: bool):
        self.engine, self.size, self.threads = engine, size, threads
        self.stages = for_inference(engine.stages, size, few)
        self.captured = Captured(Buffers(), [slice(0, size)], self.stages)
        self.workers = [self.capture(dtype, thread) for thread in range(threads)]
        self.packing, self.guards = Packing(self.captured.packs), Guards(engine.network.parts())

    def calls(self) -> Calls:
        """All of them, and those that pack the weights and run a schedule."""
        calls: Calls = [call for worker in self.workers for call in worker.calls]
        calls.append(Call(replay, (np.zeros(1, np.int64), 0, 0), from_python=True))
        if self.threads > 1:  # for one chunk none is needed
            frame = np.zeros(4, np.int64)
            calls += [
                call_of_chunks(frame, self.workers[0], frame, (0, 0), self.size),
                *calls_of_schedules(self.threads),
            ]
        return [*self.packing.calls, *self.packing.calls_to_pack(), *calls]

    @cached_property
    def executor(self) -> NativeExecutor | PythonExecutor:
        """What runs the calls; compiles the kernels that are missing."""
        compile_calls(self.calls())
        native = isinstance(replay, Kernel) and Phase("", [[worker.calls] for worker in self.workers]).is_native
        executor = NativeExecutor(self) if native else PythonExecutor(self)
        executor.pack()
        return executor

    def capture(self, dtype, thread: int) -> Worker:
        """A thread's input buffer, its calls, and where they leave the logits."""
        images = aligned_zeros((self.size, *self.engine.network.shapes[0]), dtype)
        x, ctx = images, CapturingContext(False, None, self.captured, 0, thread)
        self.captured.names.known.append(("images", images))
        for stage in self.stages:
            x, _ = stage.forward(x, ctx)
        return Worker(images, ctx.phases[0], x)

    def run(self, x: np.ndarray, team) -> np.ndarray:
        """The logits of all images, with the present weights."""
        if len(x) > self.size:
            logits = np.empty((len(x), *self.engine.network.shapes[-1]), np.float32)
            self.executor.run(np.require(x, None, ["C", "A"]), logits, team)
            return logits
        images, _, logits = self.workers[0]
        images[: len(x)] = x
        self.executor.run_chunk()
        return logits[: len(x)].copy()

    def __str__(self) -> str:
        phase = Phase("chunks of images, until none is left", [[self.workers[0].calls]])
        return program_text(f"prediction, {self.size} images at a time", [phase], self.captured.names)


class NativeExecutor:
    """Runs the calls of a program without Python."""

    def __init__(self, program: InferenceProgram):
        self.size, self.threads, self.packing = program.size, program.threads, program.packing
        self.workers, self.code = program.workers, NativeCode()
        self.looking = self.code.append(self.packing.calls)
        self.ranges = [self.code.append(worker.calls) for worker in self.workers]
        self.calls = self.code.finish()

    def run_chunk(self) -> None:
        """The first worker's calls. Those that look for changes of the weights stand before them."""
        (first, _), (start, stop) = self.looking, self.ranges[0]
        replay(self.calls, first, stop)
        if self.packing.changed[0]:
            self.packing.pack()
            replay(self.calls, start, stop)

    def run(self, x, logits, team) -> None:
        """All chunks."""
        self.pack()
        if not hasattr(self, "schedule"):
            self.prepare_schedule()
        self.frame[:] = x.ctypes.data, logits.ctypes.data, len(x), 0
        self.schedule.run(team)

    def pack(self) -> None:
        """Pack the weights if they have changed."""
        replay(self.calls, *self.looking)
        if self.packing.changed[0]:
            self.packing.pack()

    def prepare_schedule(self) -> None:
        """A task for each thread: `predict_chunks`. Whichever thread takes it, it works in its own buffers."""
        code, self.frame = NativeCode(), np.zeros(4, np.int64)
        workers = zip(self.workers, self.ranges, strict=True)
        calls = [call_of_chunks(self.frame, worker, self.calls, own, self.size) for worker, own in workers]
        ranges = [code.append([call]) for call in calls]
        self.schedule = TaskSchedule(self.threads, code)
        self.schedule.add([ranges] * self.threads)
        self.schedule.finish(np.zeros(0), self.threads)


class PythonExecutor:
    """Runs the calls from Python: a user's own layers, and NUMBA_DISABLE_JIT=1."""

    def __init__(self, program: InferenceProgram):
        self.size, self.threads, self.packing = program.size, program.threads, program.packing
        self.workers, self.looking = program.workers, runs_of(program.packing.calls)
        self.runs: list[list[Callable]] = [runs_of(worker.calls) for worker in self.workers]

    def run_chunk(self) -> None:
        """The first worker's calls."""
        self.pack()
        for run in self.runs[0]:
            run(None)

    def run(self, x, logits, team) -> None:
        """All chunks."""
        self.pack()
        starts = iter(range(0, len(x), self.size))  # `next` on it is atomic in Python

        def work(chunk):
            worker = self.workers[chunk.index]
            for first in starts:
                n = min(self.size, len(x) - first)
                worker.images[:n] = x[first : first + n]
                for run in self.runs[chunk.index]:
                    run(chunk)
                logits[first : first + n] = worker.logits[:n]

        team.map(work, self.threads)

    def pack(self) -> None:
        """Pack the weights if they have changed."""
        for run in self.looking:
            run(None)
        if self.packing.changed[0]:
            self.packing.pack()


def call_of_chunks(frame, worker: Worker, calls, own: tuple[int, int], size: int) -> Call:
    """The call of `predict_chunks` for a worker. own: the range of its calls."""
    return Call(predict_chunks, (frame, worker.images.reshape(-1), calls, *own, worker.logits.reshape(-1), size))


@jit
def predict_chunks(frame, buffer, calls, start, stop, found, size):
    """Take the next chunk until none is left: copy it to the buffer, make the calls, copy what was found.

    frame    the addresses of all images and of their logits, the number of images, how many chunks are taken
    buffer   a chunk of images, flat; found: its logits, flat
    """
    images, logits, n = frame[0], frame[1], frame[2]
    image, row = buffer.nbytes // size, found.nbytes // size
    first = atomic_increment(frame, 3) * size
    while first < n:
        count = min(size, n - first)
        copy_memory(buffer.ctypes.data, images + first * image, count * image)
        replay(calls, start, stop)
        copy_memory(logits + first * row, found.ctypes.data, count * row)
        first = atomic_increment(frame, 3) * size
