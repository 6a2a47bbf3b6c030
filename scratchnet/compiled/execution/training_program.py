"""A training step as a program.

    phase 1      pack the weights for the kernels
    phase 2 ...  the chunks of the batch: (augmentation), forward, loss, backward; a new phase after every barrier
    last phases  sum the chunks' gradients, (clip them), update the parameters

Whatever differs from one step to the next is in an array by the time the program runs: the images, the labels, the keys
of the random numbers, the optimizer's hyperparameters.

A chunk goes to whichever thread is free, so a slow thread delays no other. Each thread has buffers of its own, where
the next chunk finds what is still in the cache; so a chunk is captured once for every thread. Where chunks wait for
each other, in a BatchNorm, all of them are under way at once, and each must have buffers of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scratchnet.compiled.execution.calls import Call, Calls, PythonCall, caller
from scratchnet.compiled.execution.contexts import Captured, CapturingContext
from scratchnet.compiled.execution.guards import Guards
from scratchnet.compiled.execution.native import replay
from scratchnet.compiled.execution.program import Phase, Program
from scratchnet.compiled.jit.aligned import aligned_empty
from scratchnet.compiled.jit.decorators import execute
from scratchnet.compiled.jit.kernel import Kernel
from scratchnet.compiled.kernels.deferred_gradient import DeferredGradient
from scratchnet.compiled.training import losses, optimizers
from scratchnet.compiled.training.augment import CompiledAugment, is_compiled
from scratchnet.compiled.training.optimizers import clip_factor, group_of, hyperparameters, scale, sum_squares
from scratchnet.engine import NonFiniteLossError, run_backward, update
from scratchnet.layers import row
from scratchnet.losses import one_hot
from scratchnet.randomness import ExampleRandom
from scratchnet.team import ordered_sum

CHUNKS = "forward and backward of the chunks"


class TrainingProgram:
    """The step on batches of one size, as long as the guards hold."""

    def __init__(self, engine, parts: list[slice], loss, optimizer, x, labels, augment, threads: int):
        self.engine, self.parts, self.loss, self.optimizer, self.augment = engine, parts, loss, optimizer, augment
        self.smoothing = getattr(loss, "label_smoothing", None)
        self.x = aligned_empty(x.shape, x.dtype)
        native_loss = losses.is_compiled(loss, labels)
        self.labels = np.zeros(labels.shape, np.int64 if native_loss else labels.dtype)
        self.values = np.zeros(len(parts))  # the loss of every chunk, its share of the batch's
        self.change = CompiledAugment(augment) if is_compiled(augment, x) else None
        self.stages = engine.training_stages
        self.captured = Captured(engine.buffers, parts, self.stages)
        self.in_python = not native_loss or any(stage.op.calls_python for stage in self.stages)
        self.native_loss, self.threads = native_loss, threads
        self.clips = optimizer.clip_norm is not None
        phases = self.phases()
        self.name_arrays()
        title = f"a training step on {len(x)} examples in {len(parts)} chunks, for {threads} threads"
        self.program = Program(title, phases, threads, self.values, self.captured.names)
        self.guards = Guards(engine.network.parts())
        self.slots = {name: optimizer.memory.get(name) for name in engine.network.arrays("params")}

    # building

    def phases(self) -> list[Phase]:
        """All phases; the chunks are captured first, for they say what is to be packed."""
        grads: list[Any] = [None] * len(self.parts)
        chunks = [self.variants(i, grads) for i in range(len(self.parts))]
        phases = [self.packing_phase()]
        for number in range(len(chunks[0][0])):
            tasks = [[variant[number] for variant in variants] for variants in chunks]
            phases.append(Phase(CHUNKS, tasks))
        return [*phases, *self.update_phases(grads)]

    def packing_phase(self) -> Phase:
        """The weights in the layouts of the kernels, as the captured chunks need them."""
        packs = self.captured.packs.items()
        packing = [calls_of(layer.pack, packed, backward) for (layer, backward), packed in packs]
        return Phase("pack weights", [[calls] for calls in packing if calls])

    def variants(self, i: int, grads) -> list[list[Calls]]:
        """The calls of chunk i, cut into phases: once for every thread, or once for all threads."""
        waits = any(stage.op.synchronizes for stage in self.stages)
        own_memory = waits or self.in_python or len(self.parts) <= self.threads or not isinstance(replay, Kernel)
        memories = [i] if own_memory else range(self.threads)
        after = len(self.captured.after_step)
        found = []
        for memory in memories:
            del self.captured.after_step[after:]
            found.append(self.capture(i, memory, grads))
        return found

    def capture(self, i: int, memory: int, grads) -> list[Calls]:
        """Forward, loss and backward of a chunk."""
        part, captured = self.parts[i], self.captured
        ctx = self.context(ExampleRandom(0, 0, first=part.start), i, memory)
        images, n = self.x[part], part.stop - part.start
        if self.change is not None:
            work = captured.get("changed", memory, self.change, self.change.allocate, n, self.x.shape[1:])
            images, ctx.rng.draws = self.change.emit(ctx.call, images, part.start, work), self.change.drawn
        logits, caches = row.forward(self.stages, images, ctx)
        dlogits = captured.get("dlogits", memory, None, aligned_empty, logits.shape)
        self.emit_loss(ctx, logits, self.labels[part], n / len(self.x), dlogits, i)
        grads[i] = run_backward(self.stages, dlogits, caches, needs_dx=False)[1]
        return ctx.phases

    def context(self, rng, i: int, memory) -> CapturingContext:
        """The context of chunk i."""
        return CapturingContext(True, rng, self.captured, i, memory, self.in_python)

    def value_of(self, i: int) -> np.ndarray:
        """Where the loss of chunk i goes, in float64."""
        return self.values[i : i + 1]

    def emit_loss(self, ctx, logits, labels, share: float, dlogits, i: int) -> None:
        """The chunk's share of the loss, and dL/dlogits."""
        value = self.value_of(i)
        if self.native_loss:
            ctx.call(losses.softmax_cross_entropy, logits, labels, self.smoothing, share, dlogits, value)
            return

        def loss(chunk):
            found, gradient = self.loss(logits, labels)
            if np.shape(gradient) != logits.shape:
                raise ValueError(f"the loss returned dlogits of shape {np.shape(gradient)}, expected {logits.shape}")
            value[0] = found * share
            np.multiply(gradient, np.float32(share), out=dlogits, casting="unsafe")

        ctx.python(loss, f"{type(self.loss).__name__}")

    def update_phases(self, grads) -> list[Phase]:
        """Gradients, clipping, parameters and running statistics: all only if the loss is finite."""
        optimizer, params = self.optimizer, self.engine.network.arrays("params")
        state = [[[call]] for call in self.captured.after_step]
        self.hyperparameters: dict[Any, tuple[str, float, np.ndarray]] = {}
        if not optimizers.is_compiled(optimizer):
            return [Phase("update", [[[PythonCall(self.python_update(grads), repr(optimizer))]], *state], True)]
        tasks = optimizers.update_tasks(optimizer, params, grads, self.engine.network.penalties())
        count, factors = optimizers.RULES[type(optimizer)].numbers, self.engine.network.lr_factors()
        groups = {name: group_of(optimizer, name, factors.get(name, 1.0)) for name in grads[0]}
        for name, group in groups.items():
            self.hyperparameters.setdefault(group, (name, group.lr_factor, np.zeros(count, np.float32)))
        clipping = [] if optimizer.clip_norm is None else self.clip_phases(tasks)
        updates = []
        for task in tasks:
            calls: Calls = []
            for piece in task:
                piece.update(caller(calls), optimizer, self.hyperparameters[groups[piece.name]][2])
            updates.append([calls])
        if clipping:
            factor = self.factor
            for task, (calls,) in zip(tasks, updates, strict=True):
                calls[:0] = [Call(scale, (piece.g, factor)) for piece in task]
        return [*clipping, Phase("sum gradients and update", [*state, *updates], True)]

    def clip_phases(self, tasks) -> list[Phase]:
        """Sum all gradients and their squares; the factor that shortens them."""
        self.totals, self.clip_norm, self.factor = np.zeros(len(tasks)), np.zeros(1), np.zeros(1, np.float32)
        measure = []
        for number, task in enumerate(tasks):
            calls: Calls = []
            for piece in task:
                g = piece.gradient(caller(calls))
                calls.append(Call(sum_squares, (g, piece is task[0], self.totals, number)))
            measure.append([calls])
        factor: list[list[Calls]] = [[[Call(clip_factor, (self.totals, self.clip_norm, self.factor))]]]
        return [Phase("sum gradients", measure, True), Phase("clip", factor, True)]

    def python_update(self, grads):
        """The step of an optimizer that has no kernel."""

        def step(chunk):
            totals = {name: total([g[name] for g in grads]) for name in grads[0]}
            self.engine.network.add_penalties(totals)
            update(self.optimizer, self.engine.network, totals)

        return step

    def name_arrays(self) -> None:
        """The names that printing uses."""
        names, network = self.captured.names, self.engine.network
        names.known[:0] = [("images", self.x), ("labels", self.labels), ("loss of chunks", self.values)]
        names.add("", {**network.arrays("params"), **network.arrays("state")})
        for name, slots in self.optimizer.memory.items():
            names.add("", {f"{name}.{slot}": array for slot, array in zip(self.optimizer.slots, slots, strict=False)})
        if self.clips:
            names.add("", {"sums of squares": self.totals, "clip norm": self.clip_norm, "clip factor": self.factor})
        for group, (_, _, array) in self.hyperparameters.items():
            names.add(f"hyperparameters{group}", array)
        for draw, key in self.captured.keys.items():
            names.add(f"key of draw {draw}", key)

    # running

    def is_valid(self, loss, optimizer, augment) -> bool:
        """Whether this is the step that was captured."""
        same = optimizer is self.optimizer and augment == self.augment and type(loss) is type(self.loss)
        if not same or getattr(loss, "label_smoothing", None) != self.smoothing:
            return False
        if self.clips != (optimizer.clip_norm is not None) or not self.guards.hold():
            return False
        return all(optimizer.memory.get(name) is slots for name, slots in self.slots.items())

    def run(self, loss, x, labels, rng: ExampleRandom, team) -> float:
        """Do the step; its loss. rng: the step's, with as many draws as an augmentation has made already."""
        self.loss = loss
        self.x[...] = x
        self.labels[...] = labels
        self.set_keys(rng)
        native, optimizer = optimizers.is_compiled(self.optimizer), self.optimizer
        if native:
            self.set_hyperparameters()
        try:
            self.program.run(team)
        finally:
            value = sum(self.values.tolist())
            updated = self.program.completed and math.isfinite(value)
            optimizer.steps -= native and not updated
        if updated:
            return value
        if self.native_loss:
            one_hot(labels, self.engine.network.shapes[-1][-1])  # raises ValueError if a label is no class
        raise NonFiniteLossError(value)

    def set_keys(self, rng: ExampleRandom) -> None:
        """Draw the keys of this step's random numbers."""
        before = rng.draws
        if self.change is not None:
            self.change.set_keys(rng)
        for draw, key in self.captured.keys.items():
            key[0] = rng.key_of(before + draw)
        if self.in_python:
            self.captured.rngs[:] = [rng.from_example(part.start) for part in self.parts]

    def set_hyperparameters(self) -> None:
        """What the optimizer's kernels read in this step."""
        optimizer = self.optimizer
        lr = optimizer.learning_rate()
        optimizer.steps += 1
        for name, factor, numbers in self.hyperparameters.values():
            numbers[...] = hyperparameters(optimizer, name, lr * factor)
        if self.clips:
            self.clip_norm[0] = optimizer.clip_norm

    def __str__(self) -> str:
        return str(self.program)


def calls_of(emit, *arguments) -> Calls:
    """The calls that emit(call, *arguments) makes."""
    calls: Calls = []
    emit(caller(calls), *arguments)
    return calls


def total(parts) -> np.ndarray:
    """The whole gradient of a parameter."""
    return parts[0].whole(execute) if isinstance(parts[0], DeferredGradient) else ordered_sum(parts)
