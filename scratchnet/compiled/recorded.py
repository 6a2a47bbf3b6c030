"""A training step from a tape: packing, all chunks and the optimizer without a line of Python in between.

The first times a batch of some size is trained on, `train_step` runs as it is written. Then the step is recorded: the
same twins are asked for the same things, chunk after chunk, while a tape notes the kernels they call. From then on the
batch is copied to where the kernels expect it, and the tape is played by all threads at once.

A chunk goes to whichever thread is free, so a thread whose processor is slow, or shared, holds nobody up. Each thread
has memory of its own, where the next chunk finds what is still in the cache; so a chunk is recorded once for every
thread. Where chunks meet, in a BatchNorm, all of them are under way at once and each must have memory of its own.

Whatever makes a step differ from the one before it is in an array by then: the images, the labels, the keys of the
random numbers, what the optimizer is told (`numbers_of`). An `Augment` is on the tape too: the default preset's step
takes 0.92 of the time on two threads that it took when the images were changed before it. Steps where something else
is done are not recorded: gradients that are clipped, layers, losses and optimizers without a twin.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from scratchnet.compiled.augment import compiled_augment
from scratchnet.compiled.batchnorm import BatchNormTwin
from scratchnet.compiled.context import CompiledBatch, RecordingContext
from scratchnet.compiled.conv import ConvNormTwin, ConvTwin
from scratchnet.compiled.cropping import CroppingTwin
from scratchnet.compiled.dense import DenseTwin
from scratchnet.compiled.dropout import DropoutTwin
from scratchnet.compiled.first_norm import FirstNormTwin
from scratchnet.compiled.jit import Kernel
from scratchnet.compiled.jobs import Jobs, do_jobs
from scratchnet.compiled.losses import softmax_cross_entropy
from scratchnet.compiled.memory import aligned_empty
from scratchnet.compiled.optimizers import RULES, has_twin, numbers_of, update_jobs
from scratchnet.compiled.rescale import RescaleTwin
from scratchnet.compiled.watched import Watched
from scratchnet.layers import Flatten
from scratchnet.losses import SoftmaxCrossEntropy
from scratchnet.randomness import ExampleRandom, stream_key

KNOWN = (
    RescaleTwin, CroppingTwin, ConvTwin, ConvNormTwin, FirstNormTwin, BatchNormTwin, DenseTwin, DropoutTwin, Flatten,
)  # fmt: skip
UNRECORDED = 2  # so many steps of a kind are done without a tape: to record one takes longer than to do it
KEPT = 16  # kinds of steps that are remembered; all are forgotten when there are more


def recordable(model, loss, optimizer, x, labels) -> bool:
    """Whether a step consists of kernels only, and nothing but arrays changes from step to step."""
    return (
        isinstance(do_jobs, Kernel)  # not if Numba was told not to compile
        and len(x) == len(labels) > 0
        and all(type(step.run) in KNOWN for step in model.plan.steps)
        and optimizer.steps > 0  # Adam's corrections begin with step 1
        and type(loss) is SoftmaxCrossEntropy
        and has_twin(optimizer, model.parameters())
        and optimizer.clip_norm is None
        and x.dtype in (np.uint8, np.float32)
        and labels.ndim == 1
        and labels.dtype.kind in "iu"
    )


class UnrecordableError(Exception):
    """The step cannot be recorded: its augmentation changes the dtype or the shape of the images."""


class RecordedStep:
    """The step of batches of one size, for as long as model, loss and optimizer keep their arrays."""

    def __init__(self, model, loss, optimizer, x, augment, threads: int):
        plan, n = model.plan, len(x)
        self.model, self.smoothing, self.optimizer = model, loss.label_smoothing, optimizer
        self.x, self.labels = aligned_empty(x.shape, x.dtype), np.zeros(n, np.int64)
        self.parts = plan.parts(n)
        self.values = np.zeros(len(self.parts))
        self.keys: dict[int, np.ndarray] = {}  # that of the first draw of random numbers, the second, ...
        self.augment, twin = augment, compiled_augment(augment)
        self.change = twin if twin is not None and twin.suits(self.x) else None
        self.told, self.numbers = told_of(optimizer, model.parameters())
        self.jobs = Jobs(threads)
        self.record(plan)
        self.watched, self.remembered = Watched(model.layers), dict(optimizer.memory)
        self.settings = Watched([optimizer], besides=("lr", "lr_scale", "steps"))  # `told_of` grouped by their values

    def record(self, plan) -> None:
        """Pack; the chunks, until they meet, and on; the optimizer, and what is done once."""
        jobs, batch = self.jobs, plan.begin(self.parts, reuse=True)
        if self.change is not None:
            self.change_keys = self.change.keys(ExampleRandom(self.model.seed, self.optimizer.steps))
            drawn = np.flatnonzero(self.change.draws)
            self.keys = {draw: self.change_keys[kind : kind + 1] for draw, kind in enumerate(drawn, 1)}
        jobs.add([jobs.noted(partial(batch.pack, twin, backward)) for twin in plan.twins for backward in (False, True)])
        grads: list[Any] = [None] * len(self.parts)
        once: list[Any] = []
        for phase in zip(*(self.noted_chunk(plan, batch, i, grads, once) for i in range(len(grads))), strict=True):
            jobs.add([list(stretches) for stretches in phase])
        guarded = len(jobs)
        updates = update_jobs(self.optimizer, self.model.parameters(), grads)
        jobs.add([jobs.noted(work) for work in [*once, *(partial(self.update, pieces) for pieces in updates)]])
        jobs.finish(self.values, guarded)

    def noted_chunk(self, plan, batch, i: int, grads, once):
        """For each phase of a chunk its stretch of the tape, for every thread or for all."""
        meeting = any(isinstance(twin, BatchNormTwin) for twin in plan.twins)
        memories = [i] if meeting or len(self.parts) <= self.jobs.threads else range(self.jobs.threads)
        contexts = [ChunkContext(self, batch, i, plan.memory.lanes[memory]) for memory in memories]
        noted = [self.jobs.noted(partial(self.chunk, i, ctx, grads)) for ctx in contexts]
        once += contexts[0].afterwards
        return zip(*noted, strict=True)

    def chunk(self, i: int, ctx: ChunkContext, grads) -> None:
        """A chunk, forward and backward."""
        part, images = self.parts[i], self.x[self.parts[i]]
        if self.change is not None:
            images = self.change.changed(images, self.change_keys, part.start)
            ctx.rng.draws = int(np.count_nonzero(self.change.draws))
        logits, caches = self.model.forward_cached(images, ctx)
        dlogits, share = np.empty_like(logits), (part.stop - part.start) / len(self.x)
        softmax_cross_entropy(logits, self.labels[part], self.smoothing, share, dlogits, self.values[i : i + 1])
        grads[i] = self.model.backward(dlogits, caches)[1]

    def update(self, pieces) -> None:
        step = RULES[type(self.optimizer)].step
        for piece in pieces:
            step(piece.p, piece.gradient(), *piece.memory, self.numbers[piece.name])

    def fits(self, model, loss, optimizer, augment) -> bool:
        """Whether this is the step that was recorded."""
        same = model is self.model and optimizer is self.optimizer and augment == self.augment
        same_loss = type(loss) is SoftmaxCrossEntropy and loss.label_smoothing == self.smoothing
        if not (same and same_loss and optimizer.clip_norm is None):
            return False
        if not (self.watched.unchanged() and self.settings.unchanged()):
            return False
        now = optimizer.memory
        return all(now.get(name) is arrays for name, arrays in self.remembered.items())

    def take(self, x, team) -> int:
        """Bring the images to where the kernels find them; how often a user's augmentation drew random numbers.

        Raises UnrecordableError if the augmentation changed their dtype or shape.
        """
        if self.augment is None or self.change is not None:
            self.x[...] = x
            return 0

        def change(chunk):
            part = self.parts[chunk.index]
            rng = ExampleRandom(self.model.seed, self.optimizer.steps, first=part.start)
            images, here = self.augment(x[part], rng), self.x[part]
            if getattr(images, "dtype", None) != here.dtype or images.shape != here.shape:
                raise UnrecordableError
            here[...] = images
            return rng.draws

        return team.map(change, len(self.parts))[0]

    def run(self, x, labels, team) -> float | None:
        """Do the step; its loss. None, and nothing is changed, if that is not finite or a label is out of range."""
        seed, optimizer = self.model.seed, self.optimizer
        drawn = self.take(x, team)
        self.labels[...] = labels
        for draw, key in self.keys.items():
            key[0] = stream_key(seed, optimizer.steps, drawn + draw)
        lr = optimizer.learning_rate()
        optimizer.steps += 1
        for name, numbers in self.told:
            numbers[...] = numbers_of(optimizer, name, lr)
        self.jobs.run(team)
        values = self.values.tolist()
        if all(0 <= value < np.inf for value in values):
            return sum(values)
        optimizer.steps -= 1
        return None


class ChunkContext(RecordingContext):
    """What twins ask for while a chunk of a training step is recorded."""

    def __init__(self, step: RecordedStep, batch: CompiledBatch, index: int, arrays: dict[Any, Any]):
        rng = ExampleRandom(step.model.seed, step.optimizer.steps, first=step.parts[index].start)
        super().__init__(True, rng, SimpleNamespace(index=index, meet=step.jobs.cut), batch, arrays)
        self._keys = step.keys
        self.afterwards: list[Any] = []

    def once(self, kernel, *arguments) -> None:
        """Afterwards, if the loss is finite."""
        if self.chunk.index == 0:
            self.afterwards.append(partial(kernel, *arguments))

    def key(self) -> np.ndarray:
        """An array where `run` puts the key of its step."""
        key = super().key()
        return self._keys.setdefault(self.rng.draws, key)


def told_of(optimizer, names) -> tuple[list[tuple[str, np.ndarray]], dict[str, np.ndarray]]:
    """The arrays for `numbers_of`: each with the name of a parameter that is told these, and one for every name."""
    kinds: dict[tuple, tuple[str, np.ndarray]] = {}
    numbers = {}
    for name in names:
        told = numbers_of(optimizer, name, 1.0)  # not 0, which would hide whether it decays
        numbers[name] = kinds.setdefault(told, (name, np.zeros(len(told), np.float32)))[1]
    return list(kinds.values()), numbers
