"""Sequential: layers in a row.

Shapes are computed and checked when the model is built, so that a mistake is found before the training and says
where it is. How the layers are run is the engine's business (`scratchnet.engine`): `engine="numpy"` runs the textbook
layers as they are, `engine="numba"` compiled layers (`scratchnet.compiled`); the results agree to rounding.
"""

from __future__ import annotations

import copy
import warnings
import zlib
from typing import Any

import numpy as np

from scratchnet import architecture, inputs, saving, training
from scratchnet.engine import Engine, Network
from scratchnet.layers import Context, Dense, Layer
from scratchnet.layers.base import Shape, integer
from scratchnet.losses import softmax
from scratchnet.randomness import ExampleRandom

ENGINES = ("numba", "numpy")
FIXED = ("layers", "input_shape", "dtype", "engine", "shapes", "names")  # what the engine was made from


class Sequential:
    """A model: layers, each fed by the one before.

    layers: unbuilt layers. input_shape: one example's shape, (28, 28, 1) for a grey image of 28×28.
    seed: decides the initial weights, the order of the examples and the dropout masks.
    engine: "numba" (compiled, float32) or "numpy" (the textbook, any floating dtype).
    class_names: what the outputs mean; kept in the model file.

    >>> model = Sequential([Rescale(), Flatten(), Dense(10)], input_shape=(28, 28, 1))
    >>> model.forward(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 10)
    """

    def __init__(
        self, layers, input_shape, seed: int = 0, engine: str = "numba", dtype="float32", class_names=None
    ):
        if engine not in ENGINES:
            raise ValueError(f'engine must be "numba" or "numpy", got {engine!r}')
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.input_shape: Shape = tuple(integer(size, "each size in input_shape", 1) for size in input_shape)
        self.seed, self.dtype = integer(seed, "seed", 0), np.dtype(dtype)
        if self.dtype.kind != "f":
            raise ValueError(f"dtype must be a floating type, got {self.dtype}")
        self.names = architecture.prefixes(self.layers)
        self.shapes = self.build()
        self.class_names = architecture.check_class_names(class_names, self.shapes[-1][-1])
        self.network = Network(self.layers, self.names, self.shapes, self.dtype)
        self.engine, self.backend = make_engine(self.network, engine if self.dtype == np.float32 else "numpy")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "backend" in vars(self):
            raise AttributeError(
                f"a model's {name} cannot be set once it is made. Make a new model: Sequential(..., {name}=...)"
                + (", or load_model(path, engine=...)" if name == "engine" else "")
            )
        object.__setattr__(self, name, value)

    # building

    def build(self) -> list[Shape]:
        """Build every layer for the shape that the one before it gives; return all shapes."""
        if not self.layers:
            raise ValueError("a model needs at least one layer")
        shapes: list[Shape] = [self.input_shape]
        kinds: dict[str, int] = {}
        for i, layer in enumerate(self.layers):
            kind = type(layer).__name__
            if not isinstance(layer, Layer):
                hint = f" Write {layer.__name__}() with parentheses." if isinstance(layer, type) else ""
                raise TypeError(f"layer {i} must be a Layer, got {layer!r}.{hint}")
            if any(layer is other for other in self.layers[:i]):
                raise ValueError(f"layer {i} ({kind}) stands in the model twice. Make a second one.")
            if layer.taken:
                raise ValueError(f"layer {i} ({kind}) belongs to another model. Make new layers for each model.")
            kinds[kind] = number = kinds.get(kind, 0) + 1
            layer.dtype = self.dtype
            # Seeded by its kind and its number among its kind: other layers may come and go.
            rng = np.random.default_rng([self.seed, zlib.crc32(kind.encode()), number])
            with architecture.at_layer(i, kind):
                shapes.append(layer.build(shapes[-1], rng))
        if isinstance(self.layers[-1], Dense):  # start undecided: small logits, a loss of about ln(classes)
            self.layers[-1].W *= 0.1
        for layer in self.layers:
            layer.taken = True
        return shapes

    def parameters(self) -> dict[str, np.ndarray]:
        """Name -> array, in order: the arrays that are trained. They are live: change one, change the model."""
        return self.network.arrays("params")

    def state(self) -> dict[str, np.ndarray]:
        """Name -> array: what is saved but not trained, such as BatchNorm's running averages. Live too."""
        return self.network.arrays("state")

    # running

    def forward_cached(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, list[Any]]:
        """x -> logits, and the caches for `backward`. ctx: from `context`."""
        return self.backend.forward(self.check_input(x), ctx)

    def backward(self, dy: np.ndarray, caches: list[Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """dL/dlogits -> dL/dx, and dL/dp for every parameter p by name."""
        return self.backend.backward(inputs.as_numbers(dy, self.dtype, "dL/dlogits"), caches)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Logits, (n, classes). With training=True as in a training step: dropout on, batch statistics."""
        if training:
            return self.forward_cached(x, self.context(True, ExampleRandom(self.seed, step=0)))[0]
        return self.backend.logits(self.check_input(x))

    def context(self, training: bool = False, rng: Any = None) -> Context:
        """The context for a batch in one piece: what forward_cached needs beside x."""
        return self.backend.context(training, rng)

    def map(self, x: np.ndarray, batch_size: int, work) -> list[Any]:
        """work(part, logits) for every part of x, a slice of at most `batch_size` examples; the results in order.

        The logits are to be used at once: the next part may overwrite them. Parts may be worked on side by side.
        """
        return self.backend.map(self.check_input(x), batch_size, work)

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Class probabilities, (n, classes), computed `batch_size` examples at a time."""
        x, batch_size = self.check_input(x), inputs.count(batch_size, "batch_size")
        inputs.check_pixels(x, self.layers)
        parts = self.map(x, batch_size, lambda part, logits: logits.copy())
        return softmax(np.concatenate([np.zeros((0, *self.shapes[-1]), self.dtype), *parts]))

    def check_input(self, x: np.ndarray) -> np.ndarray:
        """x as (n, *input_shape) in the model's dtype (integers are left to Rescale), or an error."""
        return self.backend.check_input(x)

    # training and evaluating: see scratchnet.training

    def fit(self, x, y, *, epochs: int = 1, batch_size: int = 128, optimizer=None, loss=None,
            validation_data=None, callbacks=(), augment=None, resume=None, verbose=True):  # fmt: skip
        """Train; return the History. See `scratchnet.training.fit`, which does it."""
        return training.fit(
            self, x, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, loss=loss,
            validation_data=validation_data, callbacks=callbacks, augment=augment, resume=resume,
            verbose=verbose,
        )  # fmt: skip

    def evaluate(self, x, y, batch_size: int = 256) -> dict[str, float]:
        """{"loss": mean cross-entropy, "accuracy": share of right answers}."""
        x = self.check_input(x)
        inputs.check_pixels(x, self.layers)
        return training.evaluate(self, x, y, batch_size=batch_size)

    def summary(self) -> None:
        """Print a table of layers: output shape, parameters, multiply-adds, memory."""
        from scratchnet.summary import print_summary

        print_summary(self)

    # saving

    def config(self) -> dict[str, Any]:
        """All that is needed to build this model again, as plain data."""
        layers = [{"class": type(layer).__name__, **layer.config()} for layer in self.layers]
        return {
            "input_shape": list(self.input_shape), "seed": self.seed, "dtype": self.dtype.name,
            "class_names": self.class_names, "layers": layers,
        }  # fmt: skip

    def untrained_copy(self, engine: str | None = None, dtype: Any = None) -> Sequential:
        """A model of the same architecture with parameters of its own, as they were at the start.

        engine, dtype: by default those of this model.
        """
        layers = copy.deepcopy(self.layers)
        for layer in layers:
            layer.taken = False
        return Sequential(
            layers, self.input_shape, self.seed, engine or self.engine, dtype or self.dtype, self.class_names
        )

    def save(self, path) -> None:
        """Write architecture, preprocessing, class names and all arrays into one safetensors file."""
        saving.write_file(path, {**self.parameters(), **self.state()}, {"model": self.config()})


def make_engine(network: Network, name: str) -> tuple[str, Engine]:
    """The engine, and its name: where Numba is not available, the textbook's, with a warning."""
    if name == "numba":
        try:
            from scratchnet.compiled.execution.engine import CompiledEngine

            return name, CompiledEngine(network)
        except ImportError as error:
            warnings.warn(f'engine="numba" is not available ({error}); using engine="numpy"', stacklevel=3)
    return "numpy", Engine(network)


def from_config(config: dict[str, Any], engine: str = "numba", layers=(), arrays=None) -> Sequential:
    """A model from what `Sequential.config` gave: freshly initialised, or with these arrays.

    layers: classes of your own. Arrays that do not fit are an error before any memory is asked for.
    """
    made = architecture.make_layers(config, layers)
    seed, dtype, class_names = config["seed"], config["dtype"], config["class_names"]
    if arrays is None:
        return Sequential(made, config["input_shape"], seed, engine, dtype, class_names)
    saving.compare(architecture.expected_arrays(made, config), arrays)
    with architecture.nothing_drawn(made):
        model = Sequential(made, config["input_shape"], seed, engine, dtype, class_names)
    saving.fill({**model.parameters(), **model.state()}, arrays)
    return model


def load_model(path, engine: str = "numba", layers=()) -> Sequential:
    """Read a model file. layers: your own layer classes, if the model has any; files name, never bring, code.

    >>> model.save("digits.safetensors")
    >>> bool((load_model("digits.safetensors").predict(x) == model.predict(x)).all())
    True
    """
    arrays, meta = saving.read_file(path)
    with saving.explaining(path):
        if "model" not in meta:
            raise ValueError("no model. If it is a checkpoint, go on from it with fit(resume=path).")
        return from_config(meta["model"], engine, layers, arrays)
