"""The prediction of one image on several threads: the work of every layer is divided between them.

    phase 1     are the packed weights still right? (`packing`), and the first layer
    phase 2 ... a layer's positions, or its units, in as many shares as there are threads

The next phase begins when all shares are there; the wait is one of a few looks at a counter (`scheduler`). No sum is
divided, so the bits are those of one thread.

Two conditions must hold, or one thread is faster. The network has at least WORTH multiply-adds. And the other threads
are awake, because the last image was answered a moment ago: to wake one takes 100 µs. One image in a loop, two threads
and one: vgg-bn 111 and 163 µs, default 63 and 78, two-conv 57 and 68 (AMD EPYC, AVX2).
"""

from __future__ import annotations

from functools import cached_property
from time import perf_counter

import numpy as np

from scratchnet.compiled.execution.calls import Calls, compile_calls
from scratchnet.compiled.execution.contexts import DividedContext
from scratchnet.compiled.execution.inference_program import InferenceProgram
from scratchnet.compiled.execution.program import Phase, Program

WORTH = 2_000_000  # multiply-adds
AWAKE = 3e-4  # seconds after a prediction in which the other threads still look for work


class DividedProgram:
    """The logits of one image of a type, on up to `threads` threads, for one caller at a time.

    It has the buffers and the packed weights of a program for one thread, `alone`, that predicts where dividing does
    not pay.
    """

    def __init__(self, engine, dtype, threads: int):
        self.alone = alone = InferenceProgram(engine, dtype, 1, 1, few=True)
        self.images, self.packing, self.guards = alone.workers[0].images, alone.packing, alone.guards
        self.answered = -np.inf
        x, ctx = self.images, DividedContext(alone.captured, threads)
        for stage in alone.stages:
            x, _ = stage.forward(x, ctx)
        self.logits = x
        first, *others = ctx.divided
        tasks = [[*first, *([call] for call in self.packing.calls)], *others]
        phases = [Phase("a layer, or a part of it", [[calls] for calls in of_phase]) for of_phase in tasks]
        title = f"prediction, one image on {threads} threads"
        self.program = Program(title, phases, threads, np.zeros(0), alone.captured.names)

    def calls(self) -> Calls:
        """All of them, and those that pack the weights."""
        return [*self.alone.calls(), *self.program.calls()]

    @cached_property
    def compiled(self) -> bool:
        """Compile the kernels that are missing, so that no later image waits for them."""
        compile_calls(self.calls())
        return True

    def run(self, x: np.ndarray, team) -> np.ndarray:
        """The logits with the present weights."""
        awake = self.compiled and perf_counter() - self.answered < AWAKE
        found = self.run_divided(x, team) if awake else self.alone.run(x, team)
        self.answered = perf_counter()
        return found

    def run_divided(self, x: np.ndarray, team) -> np.ndarray:
        """The same on all threads."""
        self.images[...] = x
        self.program.run(team)
        if self.packing.changed[0]:
            self.packing.pack()
            self.program.run(team)
        return self.logits.copy()

    def __str__(self) -> str:
        return str(self.program)
