"""The compiled engine: the network as fused stages, its training steps and predictions as programs.

A program is captured when a batch of some size and type comes for the first time, and is run from then on, as long as
its guards hold. `forward` and `backward` by themselves run at once, on fresh arrays, so that a cache stays valid.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchnet.compiled.execution.contexts import Buffers, EagerContext
from scratchnet.compiled.execution.fusion import fuse
from scratchnet.compiled.execution.guards import ArrayGuard
from scratchnet.compiled.execution.inference_program import CHUNK, InferenceProgram
from scratchnet.compiled.execution.training_program import TrainingProgram
from scratchnet.compiled.jit.decorators import compiling
from scratchnet.compiled.layers.conv_inference import for_inference
from scratchnet.compiled.training.augment import CompiledAugment, compiled_augment
from scratchnet.engine import Engine, Network, restored_on_error
from scratchnet.randomness import ExampleRandom
from scratchnet.team import shared_team, split_ranges

COMPILING = "compiling the kernels for this machine (once: they are kept for the next run) ..."
AT_ONCE = 2048  # images predicted in one call; in between, Ctrl-C is noticed
SMALLEST, LARGEST = 16, 64  # examples in a chunk: worth the calls it costs; a core's cache holds its activations
KEPT = 16  # programs of each kind; all are forgotten when there are more


class CompiledEngine(Engine):
    """Compiled layers where there are any, chunks, the shared team of threads."""

    def __init__(self, network: Network):
        super().__init__(network)
        self.stages = fuse(self.stages, network.shapes)
        self.inference_stages = [stage._replace(op=for_inference(stage.op)) for stage in self.stages]
        self.guard, self.buffers = ArrayGuard(network.layers, network.names), Buffers()
        uncompiled = tuple(f"{stage.title}." for stage in self.stages if stage.op.calls_python)
        self.written_by_python = {
            name: array for name, array in network.arrays("state").items() if name.startswith(uncompiled)
        }
        self.training_programs: dict[Any, TrainingProgram] = {}
        self.inference_programs: dict[Any, list[InferenceProgram]] = {}  # not in use at the moment

    def context(self, training=False, rng=None):
        self.guard.check()
        return EagerContext(training, rng)

    # training

    def chunk_size(self, n: int) -> int:
        """How many examples of a batch of n go into a chunk; it depends on nothing but n.

        Eight threads may work on a batch of 128. Two take as long for its 8 chunks of 16 as for 4 of 32: two-conv and
        chollet 0.98 of the time, vgg-bn 1.02 (AMD Zen 4).
        """
        return min(max(n // 8, SMALLEST), LARGEST)

    def train_step(self, loss, optimizer, x, labels, rng, augment=None):
        self.guard.check(written=True)
        labels, team = np.asarray(labels), shared_team()
        if compiled_augment(augment, x) is None:  # else it is part of the program
            x, augment = self.check_input(self.augmented(augment, x, rng)), None
        if labels.shape[:1] != x.shape[:1] or not len(x):
            raise ValueError(f"{len(x)} images and labels of shape {labels.shape}: expected one label for each image")
        program = self.training_program(loss, optimizer, x, labels, augment, team.threads)
        with restored_on_error(self.written_by_python):
            return program.run(loss, x, labels, rng, team)

    def training_program(self, loss, optimizer, x, labels, augment=None, threads: int | None = None) -> TrainingProgram:
        """The program for such a batch: the one that was captured for such a batch before, if it is still valid."""
        threads = threads or shared_team().threads
        key = x.shape, x.dtype, labels.shape, labels.dtype, threads
        program = self.training_programs.get(key)
        if program is None or not program.is_valid(loss, optimizer, augment):
            if len(self.training_programs) >= KEPT:
                self.training_programs.clear()
            parts = split_ranges(len(x), self.chunk_size(len(x)))
            program = TrainingProgram(self, parts, loss, optimizer, x, labels, augment, threads)
            self.training_programs[key] = program
        return program

    def augmented(self, augment, x, rng):
        """Chunk by chunk, on all threads."""
        if augment is None or not len(x):
            return x
        parts, change = split_ranges(len(x), self.chunk_size(len(x))), compiled_augment(augment, x)

        def work(chunk):
            images, own = x[parts[chunk.index]], rng.from_example(parts[chunk.index].start)
            changed = augment(images, own) if change is None else CompiledAugment(augment).changed(images, own)
            return changed, own.draws

        images, draws = zip(*shared_team().map(work, len(parts)), strict=True)
        rng.draws = draws[0]
        return np.concatenate(images)

    # prediction

    def logits(self, x):
        self.guard.check()
        if not len(x):
            return np.zeros((0, *self.network.shapes[-1]), np.float32)
        with self.inference_program(x.dtype, min(CHUNK, len(x))) as program:
            return program.run(x, shared_team())

    @contextmanager
    def inference_program(self, dtype, size: int = CHUNK):
        """A program for images of this type, `size` at a time, for the caller alone, with the present weights."""
        threads = shared_team().threads if size == CHUNK else 1
        if len(self.inference_programs) >= KEPT:
            self.inference_programs.clear()
        idle = self.inference_programs.setdefault((dtype, size, threads), [])
        try:
            program = idle.pop()  # atomic in Python
        except IndexError:
            program = None
        if program is None or not program.guards.hold():
            program = InferenceProgram(self, dtype, size, threads)
        else:
            program.pack()
        yield program
        idle.append(program)  # not after an error: other threads may still be using its buffers

    def map(self, x, batch_size, work):
        results, parts = [], split_ranges(len(x), batch_size)
        for some in split_ranges(len(parts), max(1, AT_ONCE // batch_size)):
            first = parts[some][0].start
            logits = self.logits(x[first : parts[some][-1].stop])
            results += [work(part, logits[part.start - first : part.stop - first]) for part in parts[some]]
        return results

    # compiling

    def prepare(self, loss, optimizer, x, labels, batch_size, augment, verbose):
        self.guard.check(written=True)
        before = compiling.seconds
        if verbose:
            compiling.announce = lambda: print(COMPILING, flush=True)
        try:
            for n in sorted({min(batch_size, len(x)), len(x) % batch_size} - {0}, reverse=True):
                captured, images = compiled_augment(augment, x) is not None, x[:n]
                if not captured:
                    images = self.check_input(self.augmented(augment, images, ExampleRandom(0, 0)))
                self.training_program(loss, optimizer, images, np.asarray(labels[:n]), augment if captured else None)
            with self.inference_program(x.dtype):
                pass
        finally:
            compiling.announce = None
        return compiling.seconds - before

    def describe(self):
        found = {}
        for stage in self.stages:
            first, *others = stage.title.split()
            found[first] = stage.op.describe()
            found |= dict.fromkeys(others, "″")
        return found
