"""Sequential: layers in a row.

Shapes are computed and checked when the model is built, so that a mistake is found before training, with
its place. The engine runs the layers (`scratchnet.engine`): `engine="numpy"` runs the textbook
layers as they are, `engine="numba"` compiled layers (`scratchnet.compiled`); the results agree to rounding.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scratchnet import building, inputs, saving, summary, training, transfer
from scratchnet.callbacks import Callback
from scratchnet.engine import Network
from scratchnet.engines import make_engine
from scratchnet.keywords import Absent, explained
from scratchnet.layers import Context, Layer, row
from scratchnet.layers.base import Shape, integer
from scratchnet.losses import PREDICTIONS, Loss, as_loss
from scratchnet.optimizers import Optimizer
from scratchnet.randomness import ExampleRandom
from scratchnet.run import History
from scratchnet.saving import architecture
from scratchnet.saving.weights import copy_weights, own_arrays

Path = str | os.PathLike[str]
ENGINES = ("numba", "numpy")
FIXED = ("layers", "input_shape", "dtype", "engine", "shapes", "names")  # what the engine was made from


class Sequential:
    """A model: layers, each fed by the one before.

    layers: unbuilt layers. input_shape: one example's shape, (28, 28, 1) for a grey image of 28×28.
    seed: decides the initial weights, the order of the examples and the dropout masks.
    engine: "numba" (compiled, float32) or "numpy" (the textbook, any floating dtype).
    class_names: what the outputs mean; kept in the model file.
    Raises ValueError for a layer that does not fit the one before it; the message says what to do.

    A deep copy (copy.deepcopy) shares no array with its original. Pickling takes a model to another process, as
    multiprocessing and joblib do; a file is written by `save`, and read by `load_model` without running code.

    >>> model = Sequential([Rescale(), Flatten(), Dense(10)], input_shape=(28, 28, 1))
    >>> model(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 10)
    """

    @explained
    def __init__(
        self, layers: Iterable[Layer], input_shape: Iterable[int], seed: int = 0, engine: str = "numba",
        dtype: Any = "float32", class_names: Iterable[Any] | None = None,
    ):  # fmt: skip
        if engine not in ENGINES:
            raise ValueError(f'engine must be "numba" or "numpy", got {engine!r}')
        self.layers: tuple[Layer, ...] = row.as_layers(layers)
        self.input_shape: Shape = inputs.as_input_shape(input_shape)
        self.seed, self.dtype = integer(seed, "seed", 0), inputs.as_dtype(dtype)
        self.names = row.prefixes(self.layers)
        self.shapes = building.build(self.layers, self.input_shape, self.seed, self.dtype)
        self.class_names = architecture.check_class_names(class_names, self.shapes[-1][-1])
        self.outputs = row.usual_outputs(self.layers)  # what they mean: `predict` depends on it, `fit` sets it
        self.connect(engine)

    def connect(self, engine: str) -> None:
        """Make the engine that runs the built layers."""
        self.network = Network(self.layers, self.names, self.shapes, self.dtype)
        self.engine, self.backend = make_engine(self.network, engine if self.dtype == np.float32 else "numpy")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "backend" in vars(self):
            raise AttributeError(
                f"a model's {name} cannot be set once it is made. Make a new model: Sequential(..., {name}=...)"
                + (", or load_model(path, engine=...)" if name == "engine" else "")
            )
        object.__setattr__(self, name, value)

    __repr__, _repr_html_ = summary.constructor_call, summary.html_table

    add, pop, compile, train, eval, to, cuda = (Absent() for _ in range(7))
    state_dict, load_state_dict, load_weights, save_weights = (Absent() for _ in range(4))

    # copying: the engine holds locks and machine code, and is made again

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("network", "backend")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        own_arrays(self.layers)
        self.connect(self.engine)

    def __copy__(self) -> Sequential:
        """A deep copy: two models must not share arrays."""
        return copy.deepcopy(self)

    # arrays

    def parameters(self) -> dict[str, np.ndarray]:
        """Name -> array, in order: the arrays that are trained. They are the model's own, not copies."""
        return self.network.arrays("params")

    def trainable_parameters(self) -> dict[str, np.ndarray]:
        """Those of the layers that are not frozen."""
        return self.network.trained()

    def state(self) -> dict[str, np.ndarray]:
        """Name -> array: what is saved but not trained, such as BatchNorm's running averages; not copies."""
        return self.network.arrays("state")

    def count_params(self) -> int:
        """How many numbers the model holds, trained or not."""
        return sum(array.size for array in self.get_weights())

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all arrays, layer by layer: a layer's parameters, then its state."""
        return [array.copy() for array in self.network.arrays("params", "state").values()]

    def set_weights(self, arrays: Iterable[np.ndarray]) -> None:
        """Copy into the model what `get_weights` of an equal model gave.

        >>> model.set_weights(model.get_weights())
        """
        copy_weights(arrays, self.network.arrays("params", "state"))

    # running

    def __call__(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Logits, (n, classes): the same as `forward`. For probabilities use `predict`."""
        return self.forward(x, training)

    def forward_cached(self, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, list[Any]]:
        """x -> logits, and the caches for `backward`. ctx: from `context`."""
        return self.backend.forward(self.check_input(x), ctx)

    def backward(self, dy: np.ndarray, caches: list[Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """dL/dlogits -> dL/dx, and dL/dp by name for every parameter p that is not frozen."""
        return self.backend.backward(inputs.as_numbers(dy, self.dtype, "dL/dlogits"), caches)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Logits, (n, classes). With training=True as in a training step: dropout on, batch statistics."""
        if training:
            return self.forward_cached(x, self.context(True, ExampleRandom(self.seed, step=0)))[0]
        return self.backend.logits(self.check_input(x))

    def context(self, training: bool = False, rng: Any = None) -> Context:
        """The context for a batch in one piece: what forward_cached needs beside x."""
        return self.backend.context(training, rng)

    def map(self, x: np.ndarray, batch_size: int, work: Callable[[slice, np.ndarray], Any]) -> list[Any]:
        """work(part, logits) for every part of x, a slice of at most `batch_size` examples; the results in order.

        The logits are to be used at once: the next part may overwrite them. Parts may be worked on side by side.
        """
        return self.backend.map(self.check_input(x), batch_size, work)

    @explained
    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Class probabilities, (n, classes), `batch_size` examples at a time; with other losses what `outputs` says."""
        x, batch_size = self.check_input(x), inputs.count(batch_size, "batch_size")
        inputs.check_pixels(x, self.layers)
        if self.outputs == "softmax":
            return self.backend.probabilities(x, batch_size)
        return PREDICTIONS[self.outputs](self.backend.all_logits(x, batch_size))

    def check_input(self, x: np.ndarray) -> np.ndarray:
        """x as (n, *input_shape) in the model's dtype (integers are left to Rescale), or an error."""
        return self.backend.check_input(x)

    # some layers keep what they have learned: see scratchnet.transfer

    def freeze(self, *layers: Any) -> list[str]:
        """Freeze layers (layer.trainable = False): their arrays keep their values. The names of those with parameters.
        layers: names ("1.conv2d"), ranges of them ("0.rescale..5.maxpool2d", "..5"), beginnings of the names of classes
        ("conv"), classes, numbers; without any all layers.
        """
        return transfer.set_trainable(self, layers, False)

    def unfreeze(self, *layers: Any) -> list[str]:
        """Train these layers again; without any, all. layers: as for `freeze`."""
        return transfer.set_trainable(self, layers, True)

    def with_head(self, classes: int, class_names: Iterable[Any] | None = None, seed: int | None = None) -> Sequential:
        """A new model for other classes: this one with a new last Dense, and copies of all other arrays.
        seed: by default this model's. Layers that are frozen here are frozen there, except the new one.
        """
        return transfer.with_head(self, classes, class_names, seed)

    # training and evaluating: see scratchnet.training

    @explained
    def fit(
        self, x: Any, y: Any, *, epochs: int = 1, batch_size: int = 128,
        optimizer: Optimizer | str | None = None, loss: Loss | str | None = None,
        validation_data: tuple[Any, Any] | None = None, validation_split: float = 0.0,
        shuffle: bool = True, initial_epoch: int = 0,
        class_weight: dict[int, float] | None = None, sample_weight: Any = None,
        callbacks: Sequence[Callback] | Callback | None = (), augment: Any = None, resume: Any = None,
        verbose: bool | int = True,
    ) -> History:  # fmt: skip
        """Train for `epochs` epochs; return the History.

        x: (n, ...) images, uint8 or floating; y: class numbers (n,) or one-hot (n, classes).
        optimizer: by default Adam(1e-3); a name such as "adam" is that optimizer with its default rate. An optimizer
        that is passed again continues with its moments.
        loss: by default SoftmaxCrossEntropy(); also "binary_crossentropy", "mse", or a function (outputs, labels) ->
        (value, doutputs). validation_data: (x, y), evaluated after every epoch.
        validation_split: instead, the share of the examples that is held out: the last ones of x, before shuffling, as
        in Keras. For the same share of each class see `train_val_split`.
        shuffle: a new order of the examples in every epoch, a function of the model's seed and the epoch alone.
        initial_epoch: the number of epochs that are done already; `epochs` includes them.
        class_weight: class -> weight of its examples in the loss; 1 for the others. sample_weight: (n,), one of each
        example. Only the value that is minimised is weighted, "training_loss".
        callbacks: a Callback, or several. augment: a function (images, rng) -> images, called on every chunk of a
        batch; see `Augment`.
        resume: a file that `Checkpoint` wrote, or its folder: continue there, to the same bits. verbose: show progress.

        Ctrl-C ends the training after the batch, with a checkpoint if there is a Checkpoint, as KeyboardInterrupt.
        Raises TrainingDivergedError when the loss or a parameter is no longer a finite number.
        """
        arguments = {name: value for name, value in locals().items() if name != "self"}
        return training.fit(self, **arguments)

    @explained
    def evaluate(self, x: Any, y: Any, batch_size: int = 256, loss: Loss | str | None = None) -> dict[str, float]:
        """{"loss": mean loss, "accuracy": share of right answers}; no accuracy where the labels are not classes.

        loss: by default the one that belongs to `outputs`, cross-entropy for classes.
        """
        inputs.check_pixels(x := self.check_input(x), self.layers)
        return training.evaluate(self, x, y, batch_size, None if loss is None else as_loss(loss))

    def summary(self) -> None:
        """Print a table of layers: output shape, parameters, multiply-adds, memory."""
        summary.print_summary(self)

    # saving

    @classmethod
    def load(cls, path: Path, engine: str = "numba", layers: Iterable[type[Layer]] = ()) -> Sequential:
        """The same as `load_model`."""
        return load_model(path, engine, layers)

    def config(self) -> dict[str, Any]:
        """All that is needed to build this model again, as plain data."""
        return {
            "input_shape": list(self.input_shape), "seed": self.seed, "dtype": self.dtype.name,
            "class_names": self.class_names, "layers": row.described(self.layers),
            **architecture.training_settings(self.layers),
            **({"outputs": self.outputs} if self.outputs != row.usual_outputs(self.layers) else {}),
        }  # fmt: skip

    def untrained_copy(self, engine: str | None = None, dtype: Any = None) -> Sequential:
        """The same architecture with parameters as at the start. engine, dtype: by default those of this model."""
        options = self.seed, engine or self.engine, dtype or self.dtype, self.class_names
        copied = Sequential(transfer.unbuilt(self.layers), self.input_shape, *options)
        copied.outputs = self.outputs
        return copied

    def save(self, path: Path) -> None:
        """Write architecture, class names and all arrays into one safetensors file. A missing folder is made."""
        saving.write_file(path, {**self.parameters(), **self.state()}, {"model": self.config()})


def from_config(config: dict[str, Any], engine: str = "numba", layers: Any = (), arrays: Any = None) -> Sequential:
    """A model from what `Sequential.config` gave: freshly initialised, or with these arrays.

    layers: classes of your own. Arrays that do not fit are an error before any memory is asked for.
    """
    made = architecture.make_layers(config, layers)
    options = config["input_shape"], config["seed"], engine, config["dtype"], config["class_names"]
    if arrays is None:
        model = Sequential(made, *options)
    else:
        saving.compare(architecture.expected_arrays(made, config), arrays)
        with architecture.nothing_drawn(made):
            model = Sequential(made, *options)
        saving.fill({**model.parameters(), **model.state()}, arrays)
    model.outputs = config.get("outputs", model.outputs)
    return model


@explained
def load_model(path: Path, engine: str = "numba", layers: Iterable[type[Layer]] = ()) -> Sequential:
    """Read a model file. layers: your own layer classes, if the model has any; files name, never bring, code.
    Raises ModelFileError for a file that is damaged or no model, FileNotFoundError without a file.

    >>> model.save("digits.safetensors")
    >>> np.allclose(load_model("digits.safetensors").predict(x), model.predict(x))
    True
    """
    arrays, meta = saving.read_file(path)
    with saving.as_model_file_error(path):
        if "model" not in meta:
            raise ValueError("no model. If it is a checkpoint, resume the training from it: fit(resume=path).")
        return from_config(meta["model"], engine, layers, arrays)
