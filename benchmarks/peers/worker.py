"""The conversation between the driver and one framework: one JSON object a line, each way.

A framework lives in a process of its own, so that its thread pool, its allocator and its import time are its
own too, and in an interpreter of its own, so that it need not share an environment with the others. This file
needs nothing but NumPy. A job is `{"do": "train", "steps": 60}`; the answer is whatever the method `train`
returns, or `{"error": ...}`. The worker takes its own times: the driver's pipe is in none of them.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from stopwatch import stopwatch

ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}  # the same for everyone
BATCHNORM = {"momentum": 0.99, "epsilon": 1e-3}  # Keras's meaning of momentum


class Peer:
    """What every framework is asked. A peer writes the first three methods, and `train` anew if it must."""

    modules: tuple[str, ...] = ("numpy",)  # whose versions go on record
    x: np.ndarray  # the images, as the peer likes them best: made by `build`
    options: dict[str, str]  # what makes a variant of it: see `driver.VARIANTS`

    def build(self, net, images, labels, initial, threads, dtype) -> None:
        """Make the network with these weights; keep images and labels in memory, outside every time."""
        raise NotImplementedError

    def one_step(self, rows: np.ndarray):
        """One step of training on the images of these rows; returns the loss."""
        raise NotImplementedError(f"{type(self).__name__} has no training; driver.VARIANTS says which peers have")

    def probabilities(self, x, batch: int) -> np.ndarray:
        """Class probabilities (n, classes) of prepared images, `batch` at a time."""
        raise NotImplementedError

    def start(
        self,
        net: list,
        batch: int,
        threads: int,
        data: str,
        weights: str,
        dtype: str = "float32",
        lr: float = 1e-3,
        betas=(ADAM["beta1"], ADAM["beta2"]),
        label_smoothing: float = 0.0,
        scale: float = 1 / 255,
        offset: float = 0.0,
        **options: str,
    ) -> None:
        """Build the network with the given weights (an .npz, in order) over the given data (x, y, order).

        betas, label_smoothing, scale and offset (of the images' bytes): see `time_to_accuracy`. Keras is never asked
        for others than these.
        """
        with np.load(data) as arrays:
            images, labels, self.order = arrays["x"], arrays["y"], arrays["order"]
        with np.load(weights) as arrays:
            initial = [arrays[name].astype(dtype) for name in arrays.files]
        self.batch, self.at, self.lr, self.options = batch, 0, lr, options
        self.betas, self.label_smoothing, self.scale, self.offset = tuple(betas), label_smoothing, scale, offset
        self.build([tuple(layer) for layer in net], images, labels, initial, threads, dtype)

    def rows(self, steps: int) -> Iterator[np.ndarray]:
        """The indices of the next batches, in the order that the driver fixed; over again at its end."""
        for _ in range(steps):
            if self.at + self.batch > len(self.order):
                self.at = 0
            yield self.order[self.at : self.at + self.batch]
            self.at += self.batch

    def losses(self, steps: int) -> dict:
        """The loss of each of the next steps."""
        return {"losses": [float(self.one_step(rows)) for rows in self.rows(steps)]}

    def train(self, steps: int, warm: int = 0) -> dict:
        """Seconds for `steps` steps (batch gathered, forward, backward, update), after `warm` that nobody times.

        A number of steps, not of seconds: so all frameworks are timed on the same batches, equally far trained.
        """
        for rows in self.rows(warm):
            self.one_step(rows)
        return {"seconds": stopwatch(lambda: [self.one_step(rows) for rows in self.rows(steps)])}

    def learn(self, rates: list[float]) -> dict:
        """Seconds for a whole training: a step at each of these learning rates.

        Before it comes one at rate 0 that nobody times. What happens once (kernels are read from their cache or
        chosen, memory is touched) happens in it; the weights stay what they are.
        """

        def steps(rates: list[float]) -> None:
            for rows, rate in zip(self.rows(len(rates)), rates, strict=True):
                self.set_rate(rate)
                self.one_step(rows)

        steps([0.0])
        self.at = 0
        return {"seconds": stopwatch(lambda: steps(rates))}

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next step."""
        raise NotImplementedError

    def prepared(self, images: np.ndarray):
        """Images (n, h, w) of bytes as `x` has them."""
        raise NotImplementedError

    def accuracy(self, test: str) -> dict:
        """The share of right answers on the test images of this .npz (x, y)."""
        with np.load(test) as arrays:
            images, labels = arrays["x"], arrays["y"]
        answers = self.probabilities(self.prepared(images), 1000).argmax(axis=1)
        return {"accuracy": float((answers == labels).mean())}

    def predict(self, images: int, batch: int, warm: float = 0) -> dict:
        """Seconds until the class probabilities of the first `images` images lie in a NumPy array."""
        return {"seconds": stopwatch(lambda: self.probabilities(self.x[:images], batch), warm)}

    def call(self, images: int, times: int, warm: float = 0) -> dict:
        """Seconds for `times` calls that classify `images` images each, the next ones in each call."""
        parts = [self.x[i : i + images] for i in starts(len(self.x), images, times)]
        return {"seconds": stopwatch(lambda: [self.probabilities(part, images) for part in parts], warm)}

    def answers(self, images: int, batch: int) -> dict:
        """The class probabilities of the first `images` images, `batch` at a time."""
        return {"probabilities": self.probabilities(self.x[:images], batch).tolist()}

    def versions(self) -> dict:
        """Name -> version of the modules that are in use, without the build that some add."""
        return {name: sys.modules[name].__version__.partition("-")[0] for name in self.modules if name in sys.modules}

    def memory(self) -> dict:
        """Resident memory now and at its peak, in MiB."""
        return resident()


class Predictor(Peer):
    """A peer that only predicts. It reads floats, channels first."""

    def prepared(self, images):
        return images[:, None] * np.float32(self.scale) + np.float32(self.offset)  # (n, 1, h, w)


def starts(images: int, size: int, times: int) -> list[int]:
    """Where the first `times` runs of `size` images begin; over again at their end.

    >>> starts(images=5, size=2, times=3)
    [0, 2, 0]
    """
    return [i % (images // size) * size for i in range(times)]


def resident() -> dict[str, float]:
    """{"now":, "peak":} MiB of this process.

    Linux tells both in /proc; elsewhere only the peak is known. (On Linux, `ru_maxrss` would not do: it starts
    with what the *parent* had when it launched us.)
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return {"now": int(fields["VmRSS"].split()[0]) / 1024, "peak": int(fields["VmHWM"].split()[0]) / 1024}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"now": peak, "peak": peak}


def serve(peer: Peer) -> None:
    """Answer jobs from stdin until it closes. What the framework itself prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = getattr(peer, job.pop("do"))(**job) or {}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)
