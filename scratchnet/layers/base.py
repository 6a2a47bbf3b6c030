"""A layer is a function with parameters, and the derivative of that function.

    y = f(x; W)          forward
    dx = dL/dx, dW = dL/dW, given dy = dL/dy          backward

That is the whole protocol: `build` makes the parameters once the input's shape is known, `forward`
computes y, and `backward` applies the chain rule. What forward must remember for backward (its input,
say, or which entry of a window was the largest) is not kept in the layer: forward returns it as a
*cache*, backward receives it. A layer therefore holds its parameters and nothing else; any number of
threads may run the same layer on different examples at once, and nothing has to be reset in between.

Arrays are NHWC: examples, height, width, channels. The name `d<name>` always means dL/d<name>.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.layers.assignment import TRAINING, assigned

Shape = tuple[int, ...]
Size = int | tuple[int, int]  # the same in both directions, or (height, width)


class Context:
    """What a layer may know of the step it takes part in.

    training: whether parameters are being trained (Dropout and BatchNorm behave differently then).
    rng: the step's random generator; it has `random(shape)`, uniform in [0, 1), as NumPy's generators do.
    chunk: this chunk's place among the others when a batch is cut into chunks that run side by side
    (`scratchnet.team`); None for a batch in one piece.

    A layer that needs random numbers raises ValueError if rng is None.

    >>> y, cache = Dropout(0.5).forward(x, Context(training=True, rng=np.random.default_rng(0)))
    """

    def __init__(self, training: bool = False, rng: Any = None, chunk: Any = None):
        self.training, self.rng, self.chunk = training, rng, chunk

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of `array` over all chunks of the batch. A batch in one piece: the array itself."""
        return array if self.chunk is None else self.chunk.sum(array)

    def update(self, state: np.ndarray, value: np.ndarray) -> None:
        """Set a state array in place, once per batch however many chunks ask for it."""
        if self.chunk is None or self.chunk.index == 0:
            state[...] = value


class Layer:
    """The protocol. A layer of your own is these three methods (and `params`, if it has any):

    >>> class Scale(Layer):
    ...     params = ("s",)
    ...     def build(self, input_shape, rng):
    ...         self.s = np.ones(input_shape[-1], self.dtype)
    ...         return input_shape
    ...     def forward(self, x, ctx):
    ...         return x * self.s, x
    ...     def backward(self, dy, x):
    ...         return dy * self.s, {"s": (dy * x).sum(axis=tuple(range(x.ndim - 1)))}
    >>> worst = gradcheck(Scale(), np.random.default_rng(0).normal(size=(2, 3, 3, 4)))
    gradcheck Scale: worst error ... at ...: backward ..., difference ...
    """

    params: tuple[str, ...] = ()  # names of the arrays that are trained
    state: tuple[str, ...] = ()  # names of the arrays that are saved but not trained
    dtype: np.dtype = np.dtype("float32")  # the model sets its own before it calls build
    in_model: bool = False  # whether it is part of a model
    trainable: bool = True  # False: frozen, training leaves its arrays as they are
    lr_factor: float = 1.0  # the layer's learning rate, relative to the optimizer's
    added: tuple[str, ...] = ()  # arguments that a file lacks where they have their default: older files have none

    def __setattr__(self, name: str, value: Any) -> None:
        """An ordinary attribute, until the layer is part of a model: see `scratchnet.layers.assignment`."""
        checked = self.in_model or name in TRAINING
        object.__setattr__(self, name, assigned(self, name, value) if checked else value)

    def build(self, input_shape: Shape, rng: np.random.Generator) -> Shape:
        """Make the parameters for inputs of this shape (without n); return the output's shape."""
        return input_shape

    def compute_shapes(self, input_shape: Shape) -> tuple[Shape, dict[str, Shape]]:
        """What `build` would make, as shapes: the output's, and each array's by name.

        From it a model file is compared with its arrays before anything is made. It is worked out by building
        a copy; a layer whose arrays can be large says it by arithmetic alone.

        >>> Dense(10).compute_shapes((128,))
        ((10,), {'W': (128, 10), 'b': (10,)})
        """
        layer = copy.copy(self)
        layer.in_model = False
        output_shape = layer.build(input_shape, np.random.default_rng(0))
        return output_shape, {name: array.shape for name, array in layer.arrays("params", "state").items()}

    def forward(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, Any]:
        """x -> y, cache."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x, ctx)")

    def backward(self, dy: np.ndarray, cache: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """dL/dy and forward's cache -> dL/dx and a gradient for each name in `params`."""
        raise NotImplementedError(f"{type(self).__name__} has no backward(dy, cache)")

    # a layer may contain others: see Residual

    def children(self) -> dict[str, Layer]:
        """The layers in this one, by what the names of their arrays begin with. A layer with children has only their
        arrays.
        """
        return {}

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer and all in it, each with its prefix: an array of it is called prefix + name."""
        yield prefix, self
        for name, child in self.children().items():
            yield from child.walk(f"{prefix}{name}.")

    def arrays(self, *kinds: str) -> dict[str, np.ndarray]:
        """The live arrays by name, as in `params` and `state`. kinds: "params", "state", or both."""
        return {
            f"{prefix}{name}": getattr(layer, name)
            for prefix, layer in self.walk() if not layer.children()
            for kind in kinds for name in getattr(layer, kind)
        }  # fmt: skip

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, from which an equal, unbuilt layer can be made: Layer(**config)."""
        parameters = inspect.signature(type(self)).parameters
        names = [n for n, a in parameters.items() if n not in self.added or getattr(self, n) != a.default]
        if missing := [name for name in names if not hasattr(self, name)]:
            raise AttributeError(
                f"{type(self).__name__} must keep its argument {missing[0]!r} under that name, "
                f"self.{missing[0]} = {missing[0]}: from it the layer is made again when a model is loaded"
            )
        return {name: getattr(self, name) for name in names}

    def multiply_adds(self, input_shape: Shape, output_shape: Shape) -> int:
        """Multiplications followed by an addition, for one example's forward pass."""
        return 0

    def __repr__(self) -> str:
        arguments = inspect.signature(type(self)).parameters.values()
        values = [(a.name, getattr(self, a.name, a.default), a.default) for a in arguments]
        shown = [f"{name}={short(value)!r}" for name, value, default in values if short(value) != default]
        return f"{type(self).__name__}({', '.join(shown)})"


def short(value: Any) -> Any:
    """(3, 3) -> 3: a size as it may be written; other values as they are."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1] else value


def integer(value: Any, name: str, least: int) -> int:
    """`value` as an int of at least `least`, or an error that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def at_least_zero(value: Any, name: str) -> float:
    """`value` as a finite float of 0 or more, or an error that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number of 0 or more, got {value!r}")
    return float(value)


def flag(value: Any, name: str) -> bool:
    """`value` as True or False. A number is an error: the second argument of other libraries' Dense is a size."""
    if not isinstance(value, bool | np.bool_):
        inputs = "The number of inputs is found when the model is built: Dense(units), Conv2D(filters, kernel_size)."
        activation = "An activation is given by name: Dense(units, activation={!r})."
        advice = activation.format(value) if isinstance(value, str) else inputs
        raise TypeError(f"{name} must be True or False, got {value!r}. {advice}")
    return bool(value)


def pair(value: Any, name: str) -> tuple[int, int]:
    """3 -> (3, 3) and (3, 5) -> (3, 5): a size that may differ in height and width."""
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be one integer or two (height, width), got {value!r}")
    return integer(values[0], name, 1), integer(values[1], name, 1)


def expect_images(input_shape: Shape, layer: str) -> tuple[int, int, int]:
    """(h, w, c), or an error that says what came instead."""
    if len(input_shape) != 3:
        did_you_mean = f" Did you mean input_shape={(*input_shape, 1)}?" if len(input_shape) == 2 else ""
        raise ValueError(
            f"{layer}: expects images (n, height, width, channels), got {show_shape(input_shape)}. "
            f"Put it before Flatten() and Dense(), or give the model an input_shape of three numbers.{did_you_mean}"
        )
    return input_shape[0], input_shape[1], input_shape[2]


def show_shape(shape: Shape) -> str:
    """A shape as the errors write it, with n for the number of examples."""
    return "(n" + "".join(f", {size}" for size in shape) + ")"
