"""How a model runs: the engine of the textbook, and the protocol that the compiled engine implements.

An engine runs a network's layers. It has four methods:

    train_step     one optimizer step on a batch                 the loss before it
    gradients      the same without the step                     the loss, and the gradient of every parameter
    activations    layer by layer                                the output of every layer
    logits         prediction                                    (n, classes)

`Engine` is the textbook: plain NumPy, every layer as it is written, a batch in one piece. `CompiledEngine`
(`scratchnet.compiled`) does the same with compiled kernels, in chunks, on all processors.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from scratchnet.inputs import as_examples
from scratchnet.layers import Conv2D, Dense, DepthwiseConv2D, Rescale, row
from scratchnet.layers.base import Context, Layer, Shape
from scratchnet.losses import softmax
from scratchnet.team import split_ranges

Arrays = dict[str, np.ndarray]


class Network(NamedTuple):
    """Built layers in a row, and what an engine must know about them."""

    layers: tuple[Layer, ...]
    names: list[str]  # 0.rescale, 1.conv2d, ...
    shapes: list[Shape]  # of one example: before the first layer, and after each layer
    dtype: np.dtype

    def arrays(self, *kinds: str) -> Arrays:
        """The live arrays by full name ("1.conv2d.W"), layer by layer. kinds: "params", "state" or both."""
        return {
            f"{prefix}.{name}": array
            for layer, prefix in zip(self.layers, self.names, strict=True)
            for name, array in layer.arrays(*kinds).items()
        }

    def trained(self) -> Arrays:
        """The parameters of the layers that are not frozen."""
        trained = {f"{prefix}{name}" for prefix, part in self.leaves() if part.trainable for name in part.params}
        return {name: array for name, array in self.arrays("params").items() if name in trained}

    def lr_factors(self) -> dict[str, float]:
        """The factors on the learning rate that are not 1, by the names of the parameters."""
        changed = [(prefix, part) for prefix, part in self.leaves() if part.lr_factor != 1]
        return {f"{prefix}{name}": part.lr_factor for prefix, part in changed for name in part.params}

    def penalties(self) -> dict[str, float]:
        """Full name -> λ, of the arrays with an L2 penalty: λ Σ W² is minimised too, and 2 λ W is added to dW.

        The loss that is reported does not contain it, so that it can be compared with that of the validation.
        """
        return {
            f"{name}.{inner}W": part.l2
            for name, layer in zip(self.names, self.layers, strict=True)
            for inner, part in layer.walk() if isinstance(part, Conv2D | DepthwiseConv2D | Dense) and part.l2
        }  # fmt: skip

    def add_penalties(self, grads: Arrays) -> None:
        """Add 2 λ W to each dW with a penalty, in place. Frozen layers have no gradient."""
        params = self.arrays("params")
        for name, l2 in self.penalties().items():
            if name in grads:
                grads[name] += 2 * l2 * params[name]

    def leaves(self) -> list[tuple[str, Layer]]:
        """The layers that hold no others, each with what the names of its arrays begin with: "3.residual.0.conv2d."."""
        rows = zip(self.names, self.layers, strict=True)
        found = [(f"{name}.{inner}", part) for name, layer in rows for inner, part in layer.walk()]
        return [(prefix, part) for prefix, part in found if not part.children()]

    def parts(self) -> list[Layer]:
        """All layers, those within a Residual included."""
        return [part for layer in self.layers for _, part in layer.walk()]


class NonFiniteLossError(ArithmeticError):
    """The loss of a batch is NaN or infinite; nothing was changed."""

    def __init__(self, value: float):
        super().__init__(f"the loss is {value}")
        self.value = value


class Stage(NamedTuple):
    """A layer, or a compiled layer that computes several: something with forward and backward."""

    op: Any
    names: dict[str, str]  # of its parameters: "W" -> "1.conv2d.W"
    title: str  # the names of its layers
    output_shape: Shape  # of one example, as `build` returned it

    @property
    def trained(self) -> set[str]:
        """The names of the parameters that are not frozen, as in `names`."""
        layers = [self.op] if isinstance(self.op, Layer) else self.op.layers
        leaves = [(prefix, part) for layer in layers for prefix, part in layer.walk() if not part.children()]
        return {f"{prefix}{name}" for prefix, part in leaves if part.trainable for name in part.params}

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Any]:
        """x -> y, and the cache for `backward`. The next kernel relies on y's shape, so it is checked."""
        y, cache = self.op.forward(x, ctx)
        self.expect("forward's result, as build promised it,", y, (len(x), *self.output_shape))
        return y, (cache, x.shape, y.shape)

    def backward(self, dy: np.ndarray, memory: Any) -> tuple[Any, Arrays]:
        """dL/dy -> dL/dx, and the gradient of each parameter that is not frozen, by its full name."""
        cache, x_shape, y_shape = memory
        self.expect("dy", dy, y_shape)
        dx, grads = self.op.backward(dy, cache)
        if not self.trained <= grads.keys() <= self.names.keys():
            raise ValueError(
                f"layer {self.title}: backward must return gradients of {list(self.names)}, got {list(grads)}"
            )
        grads = {name: g for name, g in grads.items() if name in self.trained}
        if isinstance(self.op, Layer):
            arrays = self.op.arrays("params")
            grads = {name: self.gradient(name, g, arrays[name]) for name, g in grads.items()}
            self.expect("backward's dx", dx, x_shape)
        return dx, {self.names[name]: g for name, g in grads.items()}

    def gradient(self, name: str, g: Any, p: np.ndarray) -> np.ndarray:
        """A copy of a layer's gradient, in the parameter's dtype: the optimizer sums chunks in place."""
        self.expect(f"backward's d{name}", g, p.shape)
        return np.array(g, p.dtype, order="C")

    def expect(self, what: str, array: Any, shape: Shape) -> None:
        """Raise ValueError if this is not an array of this shape."""
        if np.shape(array) != shape:
            raise ValueError(f"layer {self.title}: {what} must have shape {shape}, got {np.shape(array)}")


def stages_of(layers: Sequence[Layer], names: Sequence[str], shapes: Sequence[Shape]) -> list[Stage]:
    """A stage for each layer of a row. shapes: before the first layer, and after each layer."""
    return [
        Stage(layer, {name: f"{prefix}.{name}" for name in layer.params}, prefix, shape)
        for layer, prefix, shape in zip(layers, names, shapes[1:], strict=True)
    ]


class Engine:
    """The textbook: the layers as they are, the batch in one piece, in the caller's thread."""

    def __init__(self, network: Network):
        self.network = network
        self.stages = stages_of(network.layers, network.names, network.shapes)
        self.training = threading.Lock()  # held during a training step

    def check_input(self, x: Any) -> np.ndarray:
        """x as an array (n, *input_shape) that the first layer can take, or an error."""
        first = self.network.layers[0]
        return as_examples(x, self.network.shapes[0], self.network.dtype, keeps_integers=isinstance(first, Rescale))

    def train_step(self, loss: Any, optimizer: Any, x: np.ndarray, labels: Any, rng: Any, augment: Any = None) -> float:
        """Forward, loss, backward, update. Returns the mean loss of the batch before the update.

        rng: the step's random generator. augment: a function (images, rng) -> images.
        Raises NonFiniteLossError if the loss is NaN or infinite; no array is changed then.
        """
        expect_trained(self.network)
        with restored_on_error(self.network.arrays("state")):
            images = self.augmented(augment, x, rng)
            logits, caches = self.forward(images, self.context(training=True, rng=rng))
            value, dlogits = loss(logits, labels)
            expect_finite(value)
            _, grads = self.backward(dlogits, caches, needs_dx=False)
        self.network.add_penalties(grads)
        update(optimizer, self.network, grads)
        return float(value)

    def gradients(self, loss: Any, x: np.ndarray, labels: Any, rng: Any) -> tuple[float, Arrays]:
        """The loss of a batch and dL/dp for every p that is trained, as in a training step; nothing is changed."""
        with restored(self.network.arrays("state")):
            logits, caches = self.forward(x, self.context(training=True, rng=rng))
            value, dlogits = loss(logits, labels)
            expect_finite(value)
            _, grads = self.backward(dlogits, caches, needs_dx=False)
            self.network.add_penalties(grads)
            return float(value), grads

    def batch(self, x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The examples of a batch; those that another process computes may be missing: zeros."""
        return x[rows]

    def augmented(self, augment: Any, x: np.ndarray, rng: Any) -> np.ndarray:
        """augment(images, rng), checked as any input; the images as they are for augment=None."""
        return x if augment is None else self.check_input(augment(x, rng))

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, list[Any]]:
        """x -> logits, and every stage's cache for `backward`."""
        return row.forward(self.stages, x, ctx)

    def backward(self, dy: np.ndarray, caches: list[Any], needs_dx: bool = True) -> tuple[np.ndarray, Arrays]:
        """dL/dlogits -> dL/dx, and dL/dp by name for every parameter p that is not frozen.

        needs_dx: False if dL/dx is not needed; backward then ends at the lowest layer that is trained.
        """
        return run_backward(self.stages, dy, caches, needs_dx)

    def activations(self, x: np.ndarray, ctx: Context) -> Iterator[tuple[str, Layer, np.ndarray]]:
        """(name, layer, output) of each layer in turn, computed by the textbook's layers on every engine."""
        for name, layer in zip(self.network.names, self.network.layers, strict=True):
            x, _ = layer.forward(x, ctx)
            yield name, layer, x

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x -> logits, in evaluation mode."""
        return self.forward(x, self.context())[0]

    def probabilities(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """x -> the probability of each class, (n, classes), computed `batch_size` examples at a time."""
        return softmax(self.all_logits(x, batch_size))

    def all_logits(self, x: np.ndarray, batch_size: int) -> np.ndarray:
        """The logits of all examples in one array, of its own."""
        parts = self.map(x, batch_size, lambda part, logits: logits.copy())
        return np.concatenate([np.zeros((0, *self.network.shapes[-1]), self.network.dtype), *parts])

    def map(self, x: np.ndarray, batch_size: int, work: Callable[[slice, np.ndarray], Any]) -> list[Any]:
        """work(part, logits) for every part of x, a slice of at most `batch_size` examples; the results in order."""
        return [work(part, self.logits(x[part])) for part in split_ranges(len(x), batch_size)]

    def context(self, training: bool = False, rng: Any = None) -> Context:
        """The context for a batch in one piece: what `forward` needs beside x."""
        return Context(training, rng)

    def prepare(self, run: Any, verbose: bool) -> float:
        """Compile whatever a training run needs; the seconds it took. The textbook compiles nothing."""
        return 0.0

    def divided(self, n: int) -> tuple[Engine, Engine] | None:
        """Engines for the layers whose outputs of n images no step changes, and for those above them; None without."""
        return None

    def describe(self) -> dict[str, str]:
        """Layer name -> how it is computed, for the summary; ″ for layers computed with the one above."""
        return dict.fromkeys(self.network.names, "textbook")


def run_backward(stages: list[Stage], dy: Any, caches: list[Any], needs_dx: bool) -> tuple[Any, Arrays]:
    """dL/dy -> dL/dx, and dL/dp by name for every p that is trained. Without `needs_dx`, down to the lowest of them."""
    lowest = 0 if needs_dx else next((i for i, stage in enumerate(stages) if stage.trained), len(stages))
    grads: Arrays = {}
    for stage, cache in zip(reversed(stages[lowest:]), reversed(caches[lowest:]), strict=True):
        dy, stage_grads = stage.backward(dy, cache)
        grads |= stage_grads
    return dy, grads


def update(optimizer: Any, network: Network, grads: Arrays) -> None:
    """The optimizer's step on the parameters that have a gradient, with the factors of their layers."""
    factors = network.lr_factors()
    optimizer.step(network.arrays("params"), grads, **({"lr_factors": factors} if factors else {}))


def expect_trained(network: Network) -> None:
    """Raise ValueError if there are parameters, and all are frozen."""
    if network.arrays("params") and not network.trained():
        raise ValueError("every layer with parameters is frozen: there is nothing to train. Call model.unfreeze(...)")


def expect_finite(value: float) -> None:
    """Raise NonFiniteLossError for NaN and infinity."""
    if not math.isfinite(value):
        raise NonFiniteLossError(value)


@contextmanager
def restored(arrays: Arrays) -> Iterator[None]:
    """Undo every change of the arrays at the end of the block."""
    before = {name: array.copy() for name, array in arrays.items()}
    try:
        yield
    finally:
        for name, array in arrays.items():
            array[...] = before[name]


@contextmanager
def restored_on_error(arrays: Arrays) -> Iterator[None]:
    """Undo every change of the arrays if the block ends with an error or Ctrl-C."""
    before = {name: array.copy() for name, array in arrays.items()}
    try:
        yield
    except BaseException:
        for name, array in arrays.items():
            array[...] = before[name]
        raise
