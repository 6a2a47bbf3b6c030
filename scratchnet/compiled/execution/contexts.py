"""What a compiled layer asks of the step it takes part in.

    ctx.call(kernel, ...)          run the kernel, or add the call to a program
    ctx.packed(layer)              its weights, packed for the kernels of forward; packed(layer, True) for backward
    ctx.workspace(layer, n)        its outputs and scratch memory for a chunk of n examples
    ctx.gradients(layer)           arrays for the gradients of its parameters, of this chunk
    ctx.weight_gradient(layer, n)  a dense layer's deferred dW of the whole batch, and this chunk's first row in it
    ctx.partial_sums(layer)        a row for each chunk, for sums over the whole batch; then `barrier`
    ctx.side_by_side(shares)       shares of a layer's work on one image, for `ctx.threads` threads: `DividedContext`

`EagerContext` runs every call at once, on fresh arrays, so that a cache stays valid as long as its owner keeps it.
`CapturingContext` adds the calls to a program, on buffers that the program keeps.
`DividedContext` does so for one image that several threads work on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from scratchnet.compiled.execution.calls import Call, Calls, PythonCall
from scratchnet.compiled.execution.printing import Names
from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.kernels.copy import copy_images
from scratchnet.compiled.kernels.deferred_gradient import DeferredGradient
from scratchnet.layers import Context


class CompiledContext(Context):
    """The part that both have in common."""

    needs_dx = True  # whether the gradient with respect to the images is wanted
    defers = False  # whether the optimizer takes a DeferredGradient as it is
    threads = 1  # on how many the work on one image is divided

    def call(self, kernel, *arguments, **named) -> None:
        """kernel(*arguments, **named): now, or whenever the program runs."""
        raise NotImplementedError

    def contiguous(self, x: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """x as the kernels read it: C order, of this dtype, aligned, writable (Numba has other types otherwise)."""
        if x.dtype == dtype and x.flags.carray:  # all of that; `require` takes 3 µs
            return x
        if x.dtype == dtype and x.ndim == 4 and not x.flags.c_contiguous:  # the interior of padded images
            y = aligned_empty(x.shape, dtype)
            self.call(copy_images, x, y)
            return y
        return self.converted(x, dtype)

    def converted(self, x: np.ndarray, dtype: Any) -> np.ndarray:
        """A copy of x of this dtype, made by NumPy."""
        return np.require(x, dtype, ["C", "A", "W"])

    def examples(self, n: int) -> int:
        """How many examples the whole batch has; n: this chunk."""
        return n

    def barrier(self) -> None:
        """Wait until all chunks have come this far."""

    def side_by_side(self, shares: Iterable[Any]) -> Iterator[Any]:
        """Each share in turn; the calls made for different shares may run at the same time."""
        return iter(shares)

    def key(self) -> np.ndarray:
        """The key of the next random numbers, in an array."""
        return np.array([self.rng.next_key()], np.uint64)


class EagerContext(CompiledContext):
    """For a batch in one piece: every call runs at once, every array is new."""

    def __init__(self, training: bool = False, rng: Any = None):
        super().__init__(training, rng)
        self._packed: dict[Any, Any] = {}

    def call(self, kernel, *arguments, **named) -> None:
        kernel(*arguments, **named)

    def packed(self, layer, backward: bool = False) -> Any:
        if (layer, backward) not in self._packed:
            packed = layer.allocate_packed(backward)
            layer.pack(self.call, packed, backward)
            self._packed[layer, backward] = packed
        return self._packed[layer, backward]

    def workspace(self, layer, n: int) -> Any:
        return layer.allocate(n)

    def gradients(self, layer) -> dict[str, np.ndarray]:
        return layer.allocate_gradients()

    def weight_gradient(self, layer, n: int) -> tuple[DeferredGradient, int]:
        return layer.allocate_weight_gradient(n), 0

    def partial_sums(self, layer) -> tuple[np.ndarray, int]:
        return layer.allocate_partial_sums(1), 0

    def after_step(self, kernel, *arguments) -> None:
        """Call a kernel that changes the layer's state."""
        kernel(*arguments)

    def python(self, function: Callable[[Any], None], text: str) -> None:
        """Call a Python function."""
        function(None)

    def of_run(self, chunk) -> Context:
        """The context for a textbook layer."""
        return self


class Buffers:
    """The arrays of an engine's programs, allocated on first use and shared by the programs of several batch sizes."""

    def __init__(self):
        self.arrays: dict[Any, Any] = {}

    def get(self, key: Any, allocate: Callable, *sizes: int) -> Any:
        """What was allocated for this key, now or before."""
        if key not in self.arrays:
            self.arrays[key] = allocate(*sizes)
        return self.arrays[key]


class Captured:
    """What the chunks of a captured step share: names for printing, packed weights, calls after the loss is known."""

    def __init__(self, buffers: Buffers, parts: list[slice], stages):
        self.buffers, self.parts, self.names = buffers, parts, Names()
        self.titles = titles_of(stages)
        self.named: set[Any] = set()
        self.after_step: Calls = []
        self.keys: dict[int, np.ndarray] = {}  # of the first draw of random numbers, the second, ...
        self.rngs: list[Any] = []  # of the chunks, in the present run
        self.packs: dict[tuple[Any, bool], Any] = {}  # what must be packed before the chunks begin

    def get(self, name: str, key: Any, layer, allocate: Callable, *sizes: Any) -> Any:
        """A buffer of a layer, for printing named after it."""
        found = self.buffers.get(key := (name, key, layer, *sizes), allocate, *sizes)
        if key not in self.named:
            self.named.add(key)
            self.names.add(".".join(filter(None, (self.titles.get(layer), name))), found)
        return found

    def packed(self, layer, backward: bool) -> Any:
        name = "packed for backward" if backward else "packed"
        packed = self.get(name, None, layer, lambda: layer.allocate_packed(backward))
        return self.packs.setdefault((layer, backward), packed)


def titles_of(stages, prefix: str = "") -> dict[Any, str]:
    """What the buffers of each compiled layer are called when a program is printed: by the first of its layers."""
    found: dict[Any, str] = {}
    for stage in stages:
        title = prefix + stage.title.split()[0]
        found |= dict.fromkeys((*stage.op.parts, stage.op), title)
        found |= titles_of(stage.op.inner_stages, f"{title}.")
    return found


class CapturingContext(CompiledContext):
    """For one chunk of a captured step or prediction. `phases` are its calls, cut at every barrier.

    memory: whose workspaces it uses, a number: chunks that never run at the same time may share them.
    in_python: whether the chunk runs from Python, with functions between its kernel calls.
    """

    needs_dx = False

    def __init__(self, training, rng, captured: Captured, index: int, memory: Any, in_python: bool = False):
        super().__init__(training, rng)
        self.captured, self.index, self.memory, self.in_python = captured, index, memory, in_python
        self.defers = training
        self.phases: list[Calls] = [[]]
        self._of_run = Context(training)

    def call(self, kernel, *arguments, **named) -> None:
        self.phases[-1].append(Call.of(kernel, arguments, named))

    def python(self, function: Callable[[Any], None], text: str) -> None:
        """Add a call of a Python function of the chunk."""
        self.phases[-1].append(PythonCall(function, text))

    def of_run(self, chunk) -> Context:
        """The context for a textbook layer in the present run: always the same object, which its caches may hold."""
        self._of_run.rng = self.captured.rngs[self.index] if self.captured.rngs else None
        self._of_run.chunk = chunk
        return self._of_run

    def converted(self, x, dtype):
        y = aligned_empty(x.shape, dtype)
        self.python(lambda chunk: np.copyto(y, x, casting="unsafe"), f"convert to {np.dtype(dtype)}")
        return y

    def packed(self, layer, backward: bool = False) -> Any:
        return self.captured.packed(layer, backward)

    def workspace(self, layer, n: int) -> Any:
        return self.captured.get("", self.memory, layer, layer.allocate, n)

    def gradients(self, layer) -> dict[str, np.ndarray]:
        return self.captured.get(f"gradients of chunk {self.index}", None, layer, layer.allocate_gradients)

    def weight_gradient(self, layer, n: int) -> tuple[DeferredGradient, int]:
        whole, first = self.captured.parts[-1].stop, self.captured.parts[self.index].start
        return self.captured.get("gradient", None, layer, layer.allocate_weight_gradient, whole), first

    def partial_sums(self, layer) -> tuple[np.ndarray, int]:
        count = len(self.captured.parts)
        return self.captured.get("partial sums", None, layer, layer.allocate_partial_sums, count), self.index

    def examples(self, n: int) -> int:
        return self.captured.parts[-1].stop

    def barrier(self) -> None:
        self.phases.append([])

    def after_step(self, kernel, *arguments) -> None:
        """Once per batch, and only if the loss is finite."""
        if self.index == 0:
            self.captured.after_step.append(Call(kernel, arguments))

    def key(self) -> np.ndarray:
        """An array that is set before every step; by a function of the chunk if others draw random numbers too."""
        if self.in_python:
            key = np.zeros(1, np.uint64)
            rngs, index = self.captured.rngs, self.index
            self.python(lambda chunk: key.__setitem__(0, rngs[index].next_key()), "key of the next random numbers")
            return key
        key = super().key()
        return self.captured.keys.setdefault(self.rng.draws, key)


class DividedContext(CapturingContext):
    """For one image on several threads. Its phases are tasks: one for every share, and one for the calls before and
    after. `divided` has those together that may run at the same time.
    """

    def __init__(self, captured: Captured, threads: int):
        super().__init__(False, None, captured, 0, 0)
        self.threads, self.divided = threads, [[*self.phases]]

    def side_by_side(self, shares: Iterable[Any]) -> Iterator[Any]:
        tasks: list[Calls] = []
        for share in shares:
            tasks.append(self.next_task())
            yield share
        self.divided += [tasks, [self.next_task()]]

    def next_task(self) -> Calls:
        """The list to which calls are added from now on."""
        self.barrier()
        return self.phases[-1]
