"""The compiled engine: the network as fused stages, its training steps and predictions as programs.

A program is captured when a batch of some size and type comes for the first time, and is run from then on, as long as
its guards hold. `forward` and `backward` by themselves run at once, on fresh arrays, so that a cache stays valid.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from scratchnet.compiled.execution.calls import Calls, compile_calls
from scratchnet.compiled.execution.contexts import Buffers, EagerContext
from scratchnet.compiled.execution.divided_program import WORTH, DividedProgram
from scratchnet.compiled.execution.fusion import fuse
from scratchnet.compiled.execution.guards import ArrayGuard
from scratchnet.compiled.execution.inference_program import CHUNK, InferenceProgram
from scratchnet.compiled.execution.native import replay
from scratchnet.compiled.execution.training_program import TrainingProgram
from scratchnet.compiled.jit.aligned import aligned
from scratchnet.compiled.jit.decorators import compiling
from scratchnet.compiled.jit.kernel import Kernel
from scratchnet.compiled.layers.inference import for_inference
from scratchnet.compiled.training.augment import CompiledAugment, is_compiled
from scratchnet.compiled.training.losses import softmax
from scratchnet.engine import Engine, Network, expect_trained, restored_on_error
from scratchnet.layers import LAYERS, Dropout
from scratchnet.randomness import ExampleRandom
from scratchnet.team import shared_team, split_ranges
from scratchnet.world import shared_world

COMPILING = "compiling the kernels for this machine (once: they are kept for the next run) ..."
AT_ONCE = 2048  # images predicted in one call; in between, Ctrl-C is noticed
SMALLEST, LARGEST = 16, 64  # examples in a chunk: worth the calls it costs; a core's cache holds its activations
KEPT = 64  # programs of each kind; all are forgotten when there are more
FEW = 64  # images that are predicted by kernels for few
WORTH_A_THREAD = 2  # images: fewer are predicted by the caller alone


class CompiledEngine(Engine):
    """Compiled layers where there are any, chunks, the shared team of threads."""

    def __init__(self, network: Network):
        super().__init__(network)
        align_arrays(network.parts())
        self.textbook = self.stages
        self.stages = fuse(self.textbook, network.shapes)
        self.guard, self.buffers = ArrayGuard(network.layers, network.names), Buffers()
        uncompiled = tuple(f"{stage.title}." for stage in self.stages if stage.op.calls_python)
        self.written_by_python = {
            name: array for name, array in network.arrays("state").items() if name.startswith(uncompiled)
        }
        self.trainable: tuple[bool, ...] | None = None  # the layers for which the next two were made
        self.training_stages: list[Any] = []
        self.training_programs: dict[Any, TrainingProgram] = {}
        self.inference_programs: dict[Any, list[Any]] = {}  # those that are not in use at the moment

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
        if not is_compiled(augment, x):  # else it is part of the program
            x, augment = self.augmented(augment, x, rng), None
        if labels.shape[:1] != x.shape[:1] or not len(x):
            raise ValueError(f"{len(x)} images and labels of shape {labels.shape}: expected one label for each image")
        program = self.training_program(loss, optimizer, x, labels, augment, team.threads)
        with restored_on_error(self.written_by_python):
            return program.run(loss, x, labels, rng, team)

    def training_program(self, loss, optimizer, x, labels, augment=None, threads: int | None = None) -> TrainingProgram:
        """The program for such a batch: the one that was captured for such a batch before, if it is still valid."""
        self.fuse_for_training()
        threads = threads or shared_team().threads
        key = x.shape, x.dtype, labels.shape, labels.dtype, threads
        program = self.training_programs.get(key)
        if program is None or not program.is_valid(loss, optimizer, augment):
            if len(self.training_programs) >= KEPT:
                self.training_programs.clear()
            parts = split_ranges(len(x), self.chunk_size(len(x)))
            make = shared_world().training_program or TrainingProgram
            program = make(self, parts, loss, optimizer, x, labels, augment, threads)
            self.training_programs[key] = program
        return program

    def fuse_for_training(self) -> None:
        """The stages of a training step, made again when a layer is frozen or no longer frozen.

        The layers below the lowest one that is trained only predict: they are the stages of inference, without a
        backward pass, and the lowest trained layer need not compute dx.
        """
        trainable = tuple(part.trainable for part in self.network.parts())
        if trainable == self.trainable:
            return
        expect_trained(self.network)
        has_parameters, trained = ([bool(names) for names in kind] for kind in zip(
            *((stage.names, stage.trained) for stage in self.textbook), strict=True))  # fmt: skip
        lowest = trained.index(True) if True in trained else 0
        if any(has_parameters[:lowest]):
            below = for_inference(fuse(self.textbook[:lowest], self.network.shapes), CHUNK, few=False)
            self.training_stages = [*below, *fuse(self.textbook[lowest:], self.network.shapes[lowest:])]
        else:
            self.training_stages = self.stages
        self.trainable, self.buffers = trainable, Buffers()
        self.training_programs.clear()

    def augmented(self, augment, x, rng):
        """Chunk by chunk, on all threads; in a distributed run the own chunks only, and zeros for the others."""
        if augment is None or not len(x):
            return x
        parts, compiled = self.own_chunks(len(x)), is_compiled(augment, x)

        def work(chunk):
            images, own = x[parts[chunk.index]], rng.from_example(parts[chunk.index].start)
            changed = CompiledAugment(augment).changed(images, own) if compiled else augment(images, own)
            return changed, own.draws

        images, draws = zip(*shared_team().map(work, len(parts)), strict=True)
        rng.draws = draws[0]
        return amid_zeros(self.check_input(np.concatenate(images)), parts, len(x))

    def batch(self, x, rows):
        if shared_world().ranks == 1:
            return x[rows]
        parts = self.own_chunks(len(rows))
        return amid_zeros(x[rows[parts[0].start : parts[-1].stop]], parts, len(rows))

    def own_chunks(self, n: int) -> list[slice]:
        """The chunks of a batch of n that this process computes: neighbours; all, where there is one process."""
        parts = split_ranges(n, self.chunk_size(n))
        own = shared_world().computes(len(parts))
        return parts[own.start : own.stop]

    # prediction

    def logits(self, x):
        if not len(x):
            self.guard.check()
            return np.zeros((0, *self.network.shapes[-1]), np.float32)
        team = shared_team()
        idle, program = self.inference_program(x.dtype, len(x), team.threads)
        found = program.run(x, team)
        idle.append(program)  # not after an error: other threads may still be using its buffers
        return found

    def inference_program(self, dtype, n: int, threads: int) -> tuple[list[Any], Any]:
        """A program for n images of this type, for the caller alone; and the list to append it to after use."""
        few, divided = n <= FEW, n == 1 and threads > 1 and self.worth_dividing
        threads = threads if n >= WORTH_A_THREAD or divided else 1
        size = min(CHUNK, -(-n // threads))
        if len(self.inference_programs) >= KEPT:
            self.inference_programs.clear()
        idle = self.inference_programs.setdefault((dtype, size, threads, few, divided), [])
        program = idle.pop() if idle else None
        if program is None or not (program.guards.hold() and self.guard.same_formats()):
            self.guard.check()
            inference = InferenceProgram, (size, threads, few)
            made, how = (DividedProgram, (threads,)) if divided else inference
            program = made(self, dtype, *how)
        return idle, program

    @cached_property
    def worth_dividing(self) -> bool:
        """Whether one image is enough work for several threads, none of it in Python."""
        shapes = self.network.shapes
        adds = sum(
            layer.multiply_adds(*of) for layer, *of in zip(self.network.layers, shapes, shapes[1:], strict=False)
        )
        in_python = any(stage.op.calls_python for stage in self.stages) or not isinstance(replay, Kernel)
        return adds >= WORTH and not in_python

    def probabilities(self, x, batch_size):
        found = self.all_logits(x, batch_size)
        softmax(found.reshape(-1, found.shape[-1]))
        return found

    def all_logits(self, x, batch_size):
        return self.logits(x) if len(x) <= FEW else super().all_logits(x, batch_size)

    def map(self, x, batch_size, work):
        results, parts = [], split_ranges(len(x), batch_size)
        for some in split_ranges(len(parts), max(1, AT_ONCE // batch_size)):
            first = parts[some][0].start
            logits = self.logits(x[first : parts[some][-1].stop])
            results += [work(part, logits[part.start - first : part.stop - first]) for part in parts[some]]
        return results

    # compiling

    def prepare(self, run, verbose):
        self.guard.check(written=True)
        before = compiling.seconds
        if verbose:
            compiling.announce = lambda: print(COMPILING, flush=True)
        try:
            calls = self.calls_of_prediction(run.x)
            if run.kept is None:
                calls += self.calls_of_steps(run, run.x)
            else:
                calls += run.kept.below.calls_of_prediction(run.x)
                calls += run.kept.above.calls_of_steps(run, run.kept.outputs)
            compile_calls(calls)
        finally:
            compiling.announce = None
        return compiling.seconds - before

    def calls_of_steps(self, run, x) -> Calls:
        """What an epoch calls: the steps on whole batches of x, and on the last one."""
        calls: Calls = []
        for n in sorted({min(run.batch_size, len(x)), len(x) % run.batch_size} - {0}, reverse=True):
            images, labels, augment = x[:n], np.asarray(run.y[:n]), run.augment
            if not is_compiled(augment, x):
                images, augment = self.augmented(augment, images, ExampleRandom(0, 0)), None
            calls += self.training_program(run.loss, run.optimizer, images, labels, augment).program.calls()
        return calls

    def calls_of_prediction(self, x) -> Calls:
        """What the prediction of all these images calls."""
        idle, program = self.inference_program(x.dtype, len(x), shared_team().threads)
        idle.append(program)
        return program.calls()

    # frozen layers at the bottom

    def divided(self, n):
        k, (layers, names, shapes, dtype) = self.constant_layers(), self.network
        below = Network(layers[:k], names[:k], shapes[: k + 1], dtype)
        if n <= FEW or not below.arrays("params"):
            return None
        return CompiledEngine(below), CompiledEngine(Network(layers[k:], names[k:], shapes[k:], dtype))

    def constant_layers(self) -> int:
        """How many layers at the bottom compute the same in every step: none of them is trained, random or unknown."""

        def changes(part) -> bool:
            trained = part.trainable and (part.params or part.state)
            return bool(trained) or isinstance(part, Dropout) or type(part) not in LAYERS.values()

        changing = [any(changes(part) for _, part in layer.walk()) for layer in self.network.layers]
        return [*changing, True].index(True)

    def describe(self):
        found = {}
        for stage in self.stages:
            first, *others = stage.title.split()
            found[first] = stage.op.describe()
            found |= dict.fromkeys(others, "″")
        return found


def amid_zeros(examples: np.ndarray, parts: list[slice], n: int) -> np.ndarray:
    """A batch of n with the examples of these neighbouring chunks, and zeros for those of other processes."""
    first, last = parts[0].start, parts[-1].stop
    if last - first == n:
        return examples  # as many as an augmentation returned: the loss compares them with the labels
    batch = np.zeros((n, *examples.shape[1:]), examples.dtype)
    batch[first:last] = examples
    return batch


def align_arrays(layers) -> None:
    """Replace the arrays of newly built layers by aligned ones: kernels read some of them as they are."""
    for layer in layers:
        if type(layer) in LAYERS.values() and not layer.children():
            for name in (*layer.params, *layer.state):
                vars(layer)[name] = aligned(getattr(layer, name))
