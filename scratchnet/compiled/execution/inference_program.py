"""Prediction as a program: thousands of images without Python in between.

    images -> [input buffer] -> kernels -> [logits buffer] -> logits       on every thread, until no image is left

Each thread has buffers for a chunk of images. It takes the next chunk with one atomic increment, copies the images to
its input buffer, replays its calls, and copies the logits to their place in the result.

Small chunks keep what one kernel leaves in the cache for the next one: with 32 or 48 images vgg-bn takes 8 and 16 %
longer than with 16, two-conv and chollet the same. 10,000 images, called from Python in chunks of 16 and replayed:
vgg-bn 0.37 and 0.33 s, chollet 0.13 and 0.11, two-conv 0.16 and 0.11 (AMD Zen 4, two threads).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratchnet.compiled.execution.contexts import Buffers, Captured, CapturingContext
from scratchnet.compiled.execution.guards import Guards
from scratchnet.compiled.execution.native import NativeCode, replay
from scratchnet.compiled.execution.program import Calls, Phase, program_text, runs_of
from scratchnet.compiled.execution.scheduler import TAKEN, atomic_increment, new_counts
from scratchnet.compiled.jit.aligned import aligned_zeros
from scratchnet.compiled.jit.decorators import Kernel, execute, jit

CHUNK = 16  # images


class Worker(NamedTuple):
    """What a thread needs: its buffers, and its calls."""

    images: np.ndarray
    calls: Calls
    logits: np.ndarray
    runs: list[Callable]  # the calls, for a thread in Python
    range: tuple[int, int]  # and in native code


class InferenceProgram:
    """The logits of images of one type, for one caller at a time."""

    def __init__(self, engine, dtype, size: int, threads: int):
        titles = {op: stage.title.split()[0] for stage in engine.inference_stages for op in (*stage.op.parts, stage.op)}
        self.engine, self.size, self.threads = engine, size, threads
        self.captured = Captured(Buffers(), [slice(0, size)], titles)
        self.code, self.native = NativeCode(), isinstance(replay, Kernel)
        captures = [self.capture(dtype, thread) for thread in range(threads)]
        self.native = self.native and Phase("", [[calls] for _, calls, _ in captures]).is_native
        self.pack()
        self.workers = [self.worker(*capture) for capture in captures]
        self.calls = self.code.finish() if self.native else None
        self.guards = Guards(engine.network.parts())

    def capture(self, dtype, thread: int) -> tuple[np.ndarray, Calls, np.ndarray]:
        """A thread's input buffer, its calls, and where they leave the logits."""
        images = aligned_zeros((self.size, *self.engine.network.shapes[0]), dtype)
        x, ctx = images, CapturingContext(False, None, self.captured, 0, thread)
        self.captured.names.known.append(("images", images))
        for stage in self.engine.inference_stages:
            x, _ = stage.forward(x, ctx)
        return images, ctx.phases[0], x

    def worker(self, images, calls, logits) -> Worker:
        """The calls of a capture, ready to be made."""
        if self.native:
            return Worker(images, calls, logits, [], self.code.append(calls))
        return Worker(images, calls, logits, runs_of(calls), (0, 0))

    def pack(self) -> None:
        """Pack the present weights that the stages read."""
        for (layer, backward), packed in self.captured.packs.items():
            layer.pack(execute, packed, backward)

    def run(self, x: np.ndarray, team) -> np.ndarray:
        """The logits of all images."""
        x = np.require(x, None, ["C", "A"])
        logits = np.empty((len(x), *self.engine.network.shapes[-1]), np.float32)
        if self.native:
            self.run_native(x, logits, team)
        else:
            starts = iter(range(0, len(x), self.size))  # `next` on it is atomic in Python
            team.map(lambda chunk: self.work_in_python(chunk, x, logits, starts), self.threads)
        return logits

    def run_native(self, x, logits, team) -> None:
        images, results, counts = x.reshape(-1), logits.reshape(-1), new_counts()
        if not images.flags.writeable:
            images = images.copy()  # Numba has another type for read-only arrays

        def work(chunk):
            worker = self.workers[chunk.index]
            buffers = worker.images.reshape(-1), self.calls, *worker.range, worker.logits.reshape(-1)
            predict_images(images, *buffers, results, len(x), self.size, counts)

        team.map(work, min(self.threads, -(-len(x) // self.size)))

    def work_in_python(self, chunk, x, logits, starts) -> None:
        worker = self.workers[chunk.index]
        for first in starts:
            n = min(self.size, len(x) - first)
            worker.images[:n] = x[first : first + n]
            for run in worker.runs:
                run(chunk)
            logits[first : first + n] = worker.logits[:n]

    def __str__(self) -> str:
        phase = Phase("chunks of images, until none is left", [[self.workers[0].calls]])
        return program_text(f"prediction, {self.size} images at a time", [phase], self.captured.names)


@jit
def predict_images(images, buffer, calls, start, stop, found, logits, n, size, counts):
    """Take the next images until all n are taken: copy them to the buffer, make the calls, copy what was found."""
    pixels, classes = buffer.size // size, found.size // size
    first = atomic_increment(counts, TAKEN) * size
    while first < n:
        count = min(size, n - first)
        for i in range(count * pixels):
            buffer[i] = images[first * pixels + i]
        replay(calls, start, stop)
        for i in range(count * classes):
            logits[first * classes + i] = found[i]
        first = atomic_increment(counts, TAKEN) * size
