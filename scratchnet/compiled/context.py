"""What a twin needs beside its input, it gets from the context; so it may be used by many threads at once.

    ctx.packed(twin)       the weights in the layout of its kernels: made once per batch, read by all chunks;
                           packed(twin, True) those of backward
    ctx.arrays(twin, n)    the outputs and scratch memory of a chunk of n examples: one set per thread, for a
                           thread works on one chunk at a time and the next one finds the memory in its cache
    ctx.gradients(twin)    the gradients of this chunk: one set per chunk, to be added up in order
    ctx.factors(twin, n)   what the gradient of a dense layer's weights is the product of: one set per batch
    ctx.shared(twin)       what the chunks tell each other, each in a row of its own; then they `meet`

Only a training step and the evaluation of a whole batch reuse memory; in any other context every call gets
arrays of its own, so that a cache stays valid for as long as somebody keeps it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.compiled.factors import Factors
from scratchnet.compiled.tape import listening
from scratchnet.layers import Context
from scratchnet.plan import Batch


class Memory:
    """The arrays of a plan that are used again and again."""

    def __init__(self):
        self.packed: dict[Any, Any] = {}  # of a training step; evaluations, of which several may run, have their own
        self.thread = threading.local()
        self.lanes: dict[int, dict[Any, Any]] = defaultdict(dict)  # of recorded steps: see `recorded`
        self.gradients: dict[Any, Any] = {}
        self.factors: dict[Any, Any] = {}
        self.shared: dict[Any, Any] = {}

    def of_thread(self) -> dict[Any, Any]:
        """This thread's arrays."""
        if not hasattr(self.thread, "arrays"):
            self.thread.arrays = {}
        return self.thread.arrays


class CompiledBatch(Batch):
    """What the chunks of a batch share: the packed weights, and the plan's memory if they may use it."""

    def __init__(self, twins, memory: Memory | None, parts: list[slice] | None):
        self.memory, self.parts = memory, parts
        self.arrays: dict[Any, Any] = {}
        if memory is not None:
            self.arrays = memory.packed if parts is not None else memory.of_thread().setdefault("packed", {})
        if not self.arrays:
            self.arrays.update({twin: twin.allocate_packed() for twin in twins})
        self.ready: set[tuple[Any, bool]] = set()

    def pack(self, twin, backward: bool) -> None:
        twin.pack(self.arrays[twin], backward)
        self.ready.add((twin, backward))

    def packed(self, twin, backward: bool):
        if (twin, backward) not in self.ready:
            self.pack(twin, backward)
        return self.arrays[twin][backward]

    def context(self, training=False, rng=None, chunk=None) -> Context:
        return CompiledContext(training, rng, chunk, self)


class CompiledContext(Context):
    """A context that also hands out memory. memory: None if every call is to have arrays of its own."""

    def __init__(self, training, rng, chunk, batch: CompiledBatch):
        super().__init__(training, rng, chunk)
        self._memory = memory = batch.memory
        self._arrays = {} if memory is None else memory.of_thread()
        self._batch = batch
        self.factored = batch.parts is not None  # the optimizer takes gradients as they come
        self.wants_dx = memory is None  # nobody in a training step asks for the gradient of the images

    def packed(self, twin, backward: bool = False):
        return self._batch.packed(twin, backward)

    def arrays(self, twin, n: int):
        return twin.allocate(n) if self._memory is None else self.kept(self._arrays, (twin, n), twin.allocate, n)

    def gradients(self, twin) -> dict[str, np.ndarray]:
        if self._memory is None:
            return twin.allocate_gradients()
        return self.kept(self._memory.gradients, (self.chunk.index, twin), twin.allocate_gradients)

    def factors(self, twin, n: int) -> tuple[Factors, int]:
        """The factors of the batch's dW, and the first of the rows that are this chunk's."""
        parts = self._batch.parts
        if self._memory is None or parts is None:
            return twin.allocate_factors(n), 0
        whole, here = parts[-1].stop, parts[self.chunk.index].start
        return self.kept(self._memory.factors, (twin, whole), twin.allocate_factors, whole), here

    def shared(self, twin) -> tuple[np.ndarray, int]:
        """What the chunks of the batch tell each other, (directions, chunks, ...), and which of them this one is."""
        parts = self._batch.parts
        if self._memory is None or parts is None:
            return twin.allocate_shared(1), 0
        return self.kept(self._memory.shared, (twin, len(parts)), twin.allocate_shared, len(parts)), self.chunk.index

    def examples(self, n: int) -> int:
        """How many there are in the whole batch; n in this chunk."""
        return n if self._batch.parts is None else self._batch.parts[-1].stop

    def meet(self) -> None:
        """Wait until all chunks have come this far."""
        if self.chunk is not None:
            self.chunk.meet()

    def once(self, kernel: Callable, *arguments) -> None:
        """Call a kernel that changes the layer's state: once per batch, and only if the step succeeds."""
        if self.chunk is None or self.chunk.index == 0:
            kernel(*arguments)

    def key(self) -> np.ndarray:
        """The key of the chunk's next random numbers, in an array."""
        return np.array([self.rng.next_key()], np.uint64)

    def kept(self, memory: dict[Any, Any], key, allocate: Callable, *size: int):
        """What was allocated for this key, now or before."""
        if key not in memory:
            memory.setdefault(key, allocate(*size))  # several threads may come at once
        return memory[key]


class RecordingContext(CompiledContext):
    """A context for twins whose kernels are noted on a tape, and will find these arrays when it is played."""

    def __init__(self, training, rng, chunk, batch: CompiledBatch, arrays: dict[Any, Any]):
        super().__init__(training, rng, chunk, batch)
        self._arrays = arrays

    def arrays(self, twin, n: int):
        return self.kept(self._arrays, (twin, n), twin.allocate, n)

    def kept(self, memory, key, allocate, *size):
        """To allocate takes kernels too; these are to be called now, and not noted."""
        with listening(None):
            return super().kept(memory, key, allocate, *size)
