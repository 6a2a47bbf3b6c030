"""The prediction of one image on several threads: the work of every layer is divided between them.

    phase 1     are the packed weights still right? (`packing`), and the first layer
    phase 2 ... a layer's positions, or its units, in as many shares as there are threads

The next phase begins when all shares are there; the wait is one of a few looks at a counter (`scheduler`). No sum is
divided, so the bits are those of one thread.

Two conditions must hold, or one thread is faster. The network has at least WORTH multiply-adds. And the other threads
are awake, because the last image was answered a moment ago: to wake one takes 100 µs. One image in a loop, two threads
and one: vgg-bn 107 and 155 µs, default 59 and 70, two-conv 56 and 65 (AMD EPYC, AVX2). Where other programs use the
processors it can be the other way round, 85 and 61 µs for pyramid, so both ways are timed again and again: `FasterWay`.
"""

from __future__ import annotations

import math
from functools import cached_property
from time import perf_counter

import numpy as np

from scratchnet.compiled.execution.calls import Calls, compile_calls
from scratchnet.compiled.execution.contexts import DividedContext
from scratchnet.compiled.execution.inference_program import InferenceProgram
from scratchnet.compiled.execution.program import Phase, Program

WORTH = 2_000_000  # multiply-adds
AWAKE = 3e-4  # seconds after a prediction in which the other threads still look for work
PERIOD, TRIES = 256, 4  # calls; of them each way is tried so often


class FasterWay:
    """Chooses one of two ways for each call: first TRIES calls each, then the one with the shortest call.

    After PERIOD calls it begins again.

    >>> choice, ways = FasterWay(), []
    >>> for _ in range(12):
    ...     ways.append(choice.next())
    ...     choice.took(ways[-1], seconds=2 - ways[-1])
    >>> ways
    [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    """

    def __init__(self):
        self.calls, self.shortest = 0, [math.inf, math.inf]

    def next(self) -> int:
        """The way of the next call, 0 or 1."""
        call = self.calls % PERIOD
        self.calls += 1
        if call == 0:
            self.shortest = [math.inf, math.inf]
        return call // TRIES if call < 2 * TRIES else int(self.shortest[1] < self.shortest[0])

    def took(self, way: int, seconds: float) -> None:
        """What the call took."""
        self.shortest[way] = min(self.shortest[way], seconds)


class DividedProgram:
    """The logits of one image of a type, on up to `threads` threads, for one caller at a time.

    It has the buffers and the packed weights of a program for one thread, `alone`, that predicts where dividing does
    not pay.
    """

    def __init__(self, engine, dtype, threads: int):
        self.alone = alone = InferenceProgram(engine, dtype, 1, 1, few=True)
        self.images, self.packing, self.guards = alone.workers[0].images, alone.packing, alone.guards
        self.answered, self.choice = -math.inf, FasterWay()
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
        begun = perf_counter()
        awake = self.compiled and begun - self.answered < AWAKE
        if not awake:
            self.choice = FasterWay()  # the processors may be others' now
        divided = awake and self.choice.next()
        found = self.run_divided(x, team) if divided else self.alone.run(x, team)
        self.answered = perf_counter()
        if awake:
            self.choice.took(divided, self.answered - begun)
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
