"""Prediction from a tape: thousands of images without a line of Python in between.

    images -> [here] -> kernels -> [found] -> logits            in every thread, until there is no image left

Each thread has memory for CHUNK images. It takes the next ones, in one indivisible addition, copies them to where its
tape expects them, plays it, and copies what came of them to their place in the result.

A dozen calls from Python for each chunk are little beside the kernels if chunks are large, but then what one kernel
leaves is out of the cache before the next one reads it. On a tape chunks may be small: with 32 or 48 images vgg-bn
takes 8 and 16 % longer than with 16, two-conv and chollet the same. 10,000 images, from Python in chunks of 16 and
from a tape: vgg-bn 0.37 and 0.33 s, chollet 0.13 and 0.11, two-conv 0.16 and 0.11 (AMD Zen 4, two threads).
"""

from __future__ import annotations

import numpy as np

from scratchnet.compiled.batchnorm import BatchNormTwin
from scratchnet.compiled.context import CompiledBatch, RecordingContext
from scratchnet.compiled.cropping import CroppingTwin
from scratchnet.compiled.dense import DenseTwin
from scratchnet.compiled.dropout import DropoutTwin
from scratchnet.compiled.jit import Kernel, jit
from scratchnet.compiled.jobs import TAKEN, count_up, new_counts
from scratchnet.compiled.memory import aligned_zeros
from scratchnet.compiled.prediction import ConvPredictor
from scratchnet.compiled.rescale import RescaleTwin
from scratchnet.compiled.tape import Tape, play
from scratchnet.compiled.twin import contiguous
from scratchnet.compiled.watched import Watched
from scratchnet.layers import Flatten

KNOWN = (RescaleTwin, CroppingTwin, ConvPredictor, BatchNormTwin, DenseTwin, DropoutTwin, Flatten)
CHUNK = 16  # images; for fewer the tape is not worth while


def recordable(model, x) -> bool:
    """Whether nothing but kernels touches the images, and there are enough of them."""
    kernels_only = all(type(step.run) in KNOWN for step in model.plan.prediction) and x.dtype in (np.uint8, np.float32)
    return len(x) >= CHUNK and kernels_only and isinstance(predict_images, Kernel)


class RecordedPrediction:
    """What a model says of images of one type, for one caller at a time."""

    def __init__(self, model, dtype, threads: int):
        self.model, self.threads = model, threads
        self.batch = CompiledBatch(model.plan.predictors, None, None)
        self.pack()
        self.tape = Tape()
        self.of_thread = [self.recorded(dtype) for _ in range(threads)]
        self.calls = self.tape.calls()
        self.watched = Watched(model.layers)

    def pack(self) -> None:
        """Bring the weights to where the kernels read them. They may have changed since the last time."""
        for twin in self.model.plan.predictors:
            self.batch.pack(twin, False)

    def recorded(self, dtype):
        """Memory for a chunk's images; its stretch of the tape; where its logits will be."""
        here, start = aligned_zeros((CHUNK, *self.model.input_shape), dtype), len(self.tape)
        with self.tape.recording():
            logits = contiguous(self.model.logits(here, RecordingContext(False, None, None, self.batch, {})))
        return here.reshape(-1), start, len(self.tape), logits.reshape(-1)

    def run(self, x: np.ndarray, team) -> np.ndarray:
        """The logits of all images."""
        images, counts = contiguous(x, x.dtype).reshape(-1), new_counts()
        logits = np.empty((len(x), *self.model.shapes[-1]), np.float32)

        def work(chunk):
            here, start, stop, found = self.of_thread[chunk.index]
            predict_images(images, here, self.calls, start, stop, found, logits.reshape(-1), len(x), counts)

        team.map(work, self.threads)
        return logits


@jit
def predict_images(images, here, calls, start, stop, found, logits, n, counts):
    """Take the next images until all n are taken: copy them here, make the calls, copy what was found to the logits."""
    size, classes = here.size // CHUNK, found.size // CHUNK
    first = count_up(counts, TAKEN) * CHUNK
    while first < n:
        count = min(CHUNK, n - first)
        for i in range(count * size):
            here[i] = images[first * size + i]
        play(calls, start, stop)
        for i in range(count * classes):
            logits[first * classes + i] = found[i]
        first = count_up(counts, TAKEN) * CHUNK
