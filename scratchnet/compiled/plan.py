"""The compiled engine's plan: a twin for every layer, or run of layers, that has one.

    Conv2D, ReLU, MaxPool2D, Dense, ReLU          the layers
    [Conv2D ReLU MaxPool2D]  [Dense ReLU]         the plan's steps

A twin does what its layers do, to rounding, in kernels that are serial and let go of Python's lock. A layer
without a twin (a user's own, say) is a step as it is, in the same plan.

What a twin needs beside its input, weights and memory, it gets from the context (`context`).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from scratchnet.compiled.augment import compiled_augment
from scratchnet.compiled.batchnorm import BatchNormTwin
from scratchnet.compiled.context import CompiledBatch, Memory
from scratchnet.compiled.conv import ConvNormTwin, ConvTwin
from scratchnet.compiled.cropping import CroppingTwin
from scratchnet.compiled.dense import DenseTwin
from scratchnet.compiled.dropout import DropoutTwin
from scratchnet.compiled.first_norm import FirstNormTwin
from scratchnet.compiled.jit import compiling
from scratchnet.compiled.losses import compiled_loss
from scratchnet.compiled.optimizers import compiled_update, total
from scratchnet.compiled.prediction import predictor
from scratchnet.compiled.recorded import KEPT, UNRECORDED, RecordedStep, UnrecordableError, recordable
from scratchnet.compiled.recorded_prediction import RecordedPrediction
from scratchnet.compiled.recorded_prediction import recordable as recordable_prediction
from scratchnet.compiled.rescale import RescaleTwin
from scratchnet.compiled.twin import Twin
from scratchnet.compiled.watched import ArrayGuard
from scratchnet.layers import BatchNorm, Conv2D, Cropping2D, Dense, Dropout, MaxPool2D, ReLU, Rescale
from scratchnet.plan import Batch, Plan, Step
from scratchnet.team import Team, cut, shared_team

COMPILING = "compiling the kernels for this machine (once: they are kept for the next run) ..."
NEVER = -sys.maxsize  # times that a step was seen: it will not be recorded
SOME = 2048  # images that are predicted between two looks at what else there is to do, Ctrl-C for instance
SMALLEST, LARGEST = 16, 64  # examples in a chunk: worth the calls it costs; a core's cache holds its activations

# Which twin stands for which run of layers. Longer runs first: the first that fits is taken.
TWINS = (
    ((Conv2D, ReLU, BatchNorm, MaxPool2D), FirstNormTwin),
    ((Conv2D, BatchNorm, ReLU, MaxPool2D), FirstNormTwin),
    ((Conv2D, BatchNorm, MaxPool2D), FirstNormTwin),
    ((Conv2D, ReLU, BatchNorm, MaxPool2D), ConvNormTwin),
    ((Conv2D, BatchNorm, ReLU, MaxPool2D), ConvNormTwin),
    ((Conv2D, BatchNorm, MaxPool2D), ConvNormTwin),
    ((Conv2D, ReLU, BatchNorm), ConvNormTwin),
    ((Conv2D, BatchNorm, ReLU), ConvNormTwin),
    ((Conv2D, BatchNorm), ConvNormTwin),
    ((Conv2D, ReLU, MaxPool2D), ConvTwin),
    ((Conv2D, MaxPool2D), ConvTwin),
    ((Conv2D, ReLU), ConvTwin),
    ((Conv2D,), ConvTwin),
    ((BatchNorm, ReLU, MaxPool2D), BatchNormTwin),
    ((BatchNorm, MaxPool2D), BatchNormTwin),
    ((BatchNorm, ReLU), BatchNormTwin),
    ((BatchNorm,), BatchNormTwin),
    ((Dense, ReLU), DenseTwin),
    ((Dense,), DenseTwin),
    ((Rescale,), RescaleTwin),
    ((Dropout,), DropoutTwin),
    ((Cropping2D,), CroppingTwin),
)


class CompiledPlan(Plan):
    """Twins where there are any, chunks, the shared team."""

    def __init__(self, model):
        super().__init__(model)
        self.steps = fuse(self.steps, model.layers, model.shapes)
        self.prediction = [step._replace(run=predictor(step.run)) for step in self.steps]
        self.twins, self.predictors = parts_of(self.steps), parts_of(self.prediction)
        self.memory, self.guard = Memory(), ArrayGuard(model.layers, model.names)
        self.recorded: dict[Any, RecordedStep | int] = {}  # or how often such a step was seen

    def team(self) -> Team:
        return shared_team()

    def chunk_size(self, n: int) -> int:
        """So that eight may work on a batch of 128. Two take as long for its 8 chunks of 16 as for 4 of 32: two-conv
        and chollet 0.98 of the time, vgg-bn 1.02 (AMD Zen 4)."""
        return min(max(n // 8, SMALLEST), LARGEST)

    def rehearse(self, step, verbose: bool) -> float:
        before = compiling.seconds
        if verbose:
            compiling.announce = lambda: print(COMPILING, flush=True)
        try:
            step()
        finally:
            compiling.announce = None
        return compiling.seconds - before

    def begin(self, parts: list[slice] | None = None, reuse: bool = False, prediction: bool = False) -> Batch:
        """Pack every twin's weights. Those for backward wait until they are asked for, unless it is a training step."""
        self.guard.check(written=parts is not None)
        training, twins = parts is not None, self.predictors if prediction else self.twins
        batch = CompiledBatch(twins, self.memory if reuse else None, parts)
        jobs = [(twin, backward) for twin in twins for backward in ((False, True) if training else (False,))]
        if training:
            self.team().map(lambda chunk: batch.pack(*jobs[chunk.index]), len(jobs))
        else:
            for job in jobs:
                batch.pack(*job)
        return batch

    def replay(self, model, loss, optimizer, x, labels, augment):
        x, labels, team = model.check_input(x), np.asarray(labels), self.team()
        key = (x.shape, x.dtype, labels.shape, labels.dtype, team.threads)
        step = self.recorded.get(key)
        self.guard.check(written=True)
        if not isinstance(step, RecordedStep) or not step.fits(model, loss, optimizer, augment):
            if len(self.recorded) >= KEPT:
                self.recorded.clear()
            self.recorded[key] = seen = step + 1 if isinstance(step, int) else 1
            if seen <= UNRECORDED or not recordable(model, loss, optimizer, x, labels):
                return None
            self.recorded[key] = step = RecordedStep(model, loss, optimizer, x, augment, team.threads)
        try:
            return step.run(x, labels, team)
        except UnrecordableError:
            self.recorded[key] = NEVER
            return None

    def map(self, model, x, batch_size, work):
        self.guard.check()
        if not recordable_prediction(model, x):
            return super().map(model, x, batch_size, work)
        team, recordings = self.team(), self.memory.of_thread().setdefault("predictions", {})
        key = x.dtype, team.threads
        if key not in recordings or not recordings[key].watched.unchanged():
            recordings[key] = RecordedPrediction(model, *key)
        recording = recordings[key]
        recording.pack()
        results, parts = [], cut(len(x), batch_size)
        for some in cut(len(parts), max(1, SOME // batch_size)):
            first = parts[some][0].start
            logits = recording.run(x[first : parts[some][-1].stop], team)
            results += [work(part, logits[part.start - first : part.stop - first]) for part in parts[some]]
        return results

    def loss(self, loss):
        return compiled_loss(loss) or super().loss(loss)

    def augment(self, augment):
        return compiled_augment(augment) or super().augment(augment)

    def update(self, optimizer, params, grads):
        if not compiled_update(optimizer, params, grads, self.team()):
            optimizer.step(params, {name: total([g[name] for g in grads]) for name in params})


def fuse(steps: list[Step], layers, shapes) -> list[Step]:
    """Walk the layers and put a twin in the place of every run that has one."""
    fused, i = [], 0
    while i < len(layers):
        for kinds, twin_of in TWINS:
            run = layers[i : i + len(kinds)]
            learned = any(step.names for step in steps[:i])  # does anything before it want its dx?
            # Exactly these classes: what a subclass changes, a twin would not know.
            if tuple(type(layer) for layer in run) == kinds and twin_of.accepts(run, shapes[i], learned):
                names = {local: full for step in steps[i : i + len(kinds)] for local, full in step.names.items()}
                title = " ".join(step.layers for step in steps[i : i + len(kinds)])
                i += len(kinds)
                fused.append(Step(twin_of(run, shapes[i - len(kinds)], learned), names, title, shapes[i]))
                break
        else:
            fused.append(steps[i])
            i += 1
    return fused


def parts_of(steps: list[Step]) -> list[Twin]:
    """The twins of these steps that have arrays of their own."""
    return [part for step in steps if isinstance(step.run, Twin) for part in step.run.parts]
