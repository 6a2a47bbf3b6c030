"""A plan says how a model's layers are run: which step does the work of which layers, on what, by whom.

This one is the textbook's. Every layer is a step of its own, a batch is one chunk, and it is worked on in
the caller's thread. The compiled engine's plan (`scratchnet.compiled.plan`) puts a compiled twin in the
place of one or several layers and cuts a batch into chunks for a team of threads. The training loop knows
neither: it asks the plan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from scratchnet.layers.base import Context, Layer, Shape
from scratchnet.team import Team, cut, ordered_sum

Arrays = dict[str, np.ndarray]


class Step(NamedTuple):
    """Something with a layer's forward and backward, and the full names of its parameters."""

    run: Any
    names: dict[str, str]  # "W" -> "1.conv2d.W"
    layers: str  # which layers it stands for, for people
    output_shape: Shape  # of one example, as `build` worked it out

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Any]:
        """x -> y, and the cache for `backward`. The next kernel relies on y's shape, so it is checked."""
        y, cache = self.run.forward(x, ctx)
        self.expect("forward's result, as build promised it,", y, (len(x), *self.output_shape))
        return y, (cache, x.shape, y.shape)

    def backward(self, dy: np.ndarray, memory: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """dL/dy -> dL/dx, and the gradient of each parameter by its full name."""
        cache, x_shape, y_shape = memory
        self.expect("dy", dy, y_shape)
        dx, grads = self.run.backward(dy, cache)
        if grads.keys() != self.names.keys():
            raise ValueError(
                f"layer {self.layers}: backward must return gradients of {list(self.names)}, got {list(grads)}"
            )
        if isinstance(self.run, Layer):
            grads = {name: self.gradient(name, g) for name, g in grads.items()}
            self.expect("backward's dx", dx, x_shape)
        return dx, {self.names[name]: g for name, g in grads.items()}

    def gradient(self, name: str, g: Any) -> np.ndarray:
        """A copy of a layer's gradient, in the parameter's dtype: the optimizer sums chunks in place."""
        p = getattr(self.run, name)
        self.expect(f"backward's d{name}", g, p.shape)
        return np.array(g, p.dtype, order="C")

    def expect(self, what: str, array: Any, shape: Shape) -> None:
        """Raise ValueError if this is not an array of this shape."""
        if np.shape(array) != shape:
            raise ValueError(f"layer {self.layers}: {what} must have shape {shape}, got {np.shape(array)}")


class Plan:
    """The textbook: the layers as they are, the batch in one piece."""

    def __init__(self, model):
        self.steps = [
            Step(layer, {name: f"{prefix}.{name}" for name in layer.params}, prefix, shape)
            for layer, prefix, shape in zip(model.layers, model.names, model.shapes[1:], strict=True)
        ]
        self.prediction = self.steps  # the same for those who will not ask for gradients: may take short cuts
        self.training = threading.Lock()  # held during a training step

    def team(self) -> Team:
        """Who works on the chunks: the caller alone (NumPy's matrix product has threads of its own)."""
        return Team(1)

    def chunk_size(self, n: int) -> int:
        """How many examples of a batch of n go into a chunk. It depends on nothing but n."""
        return n

    def parts(self, n: int) -> list[slice]:
        """How a batch of n examples is cut into chunks."""
        return cut(n, self.chunk_size(n))

    def replay(self, model, loss, optimizer, x, labels, augment) -> float | None:
        """The whole step from a recording: the loss before it. None if there is no recording: do it step by step."""
        return None

    def map(self, model, x: np.ndarray, batch_size: int, work: Callable[[slice, np.ndarray], Any]) -> list[Any]:
        """work(part, logits) for every part of x, a slice of at most `batch_size` examples; the results in order."""
        batch = self.begin(prediction=True, reuse=True)
        parts = cut(len(x), min(batch_size, self.chunk_size(batch_size)))

        def on_chunk(chunk):
            part = parts[chunk.index]
            return work(part, model.logits(x[part], batch.context(chunk=chunk)))

        return self.team().map(on_chunk, len(parts))

    def rehearse(self, step: Callable[[], None], verbose: bool) -> float:
        """Run `step` once if there is something to compile; the seconds that took. The textbook has nothing."""
        return 0.0

    def begin(self, parts: list[slice] | None = None, reuse: bool = False, prediction: bool = False) -> Batch:
        """To be called before every batch: the parameters may have changed since the last one.

        parts: in a training step, how the batch is cut into chunks. prediction: for `prediction`, not for `steps`.
        reuse: nobody will look at a chunk's arrays once the next chunk is begun, so that one may have their memory.
        """
        return Batch()

    def loss(self, loss) -> Callable[[np.ndarray, np.ndarray, float], tuple[float, np.ndarray]]:
        """The loss of a chunk that is a `share` of its batch: (logits, labels, share) -> (value, dlogits)."""

        def share_of_loss(logits, labels, share):
            value, dlogits = loss(logits, labels)
            return value * share, dlogits * logits.dtype.type(share)

        return share_of_loss

    def augment(self, augment) -> Callable[[np.ndarray, Any], np.ndarray] | None:
        """What changes the images of a chunk before they are learned from: (images, rng) -> images, or None."""
        return augment

    def update(self, optimizer, params: Arrays, grads: list[Arrays]) -> None:
        """Add up the chunks' gradients, in their order, and let the optimizer step."""
        optimizer.step(params, {name: ordered_sum([g[name] for g in grads]) for name in params})


class Batch:
    """What the chunks of one batch share. Those of the textbook share nothing."""

    def context(self, training: bool = False, rng: Any = None, chunk: Any = None) -> Context:
        """The context of one chunk."""
        return Context(training, rng, chunk)
