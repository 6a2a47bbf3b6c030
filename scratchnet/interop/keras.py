"""Models of Keras, read without Keras.

    structure     the file's architecture as a chain of layers     keras_structure
    arrays        the arrays of each layer                         keras_weights
    layers        one layer of theirs, as layers of ours           keras_layers

The result is a description and arrays by name, as in a model file of our own, and goes the same way from there: every
argument has a type and a range, and all shapes are compared before anything is built.

One thing is not in the file: what the pixels were before they entered the model. Most models of images were trained
on pixels / 255, some on the bytes as they are, and nothing shows which. `rescale` says it.
"""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from scratchnet.interop.keras_arguments import l2_of, listed
from scratchnet.interop.keras_file import read_keras_file
from scratchnet.interop.keras_graph import Drawing, arrays_of
from scratchnet.interop.keras_layers import NEUTRAL, Made, translate
from scratchnet.interop.keras_structure import Join, Leaf, Step, Structure
from scratchnet.interop.keras_weights import read_arrays, read_rows
from scratchnet.keywords import explained
from scratchnet.layers import LAYERS
from scratchnet.layers.base import Shape
from scratchnet.layers.row import expect_size
from scratchnet.model import Sequential, from_config
from scratchnet.saving import architecture, as_model_file_error, fill
from scratchnet.saving.container import ModelFileError

Path = str | os.PathLike[str]
LISTED = 20  # problems that an error lists


class Converted(NamedTuple):
    """A Keras model in our terms.

    outputs: what they mean, see `losses`. scaled: whether it scales the pixels itself. notes: what was left out.
    """

    path: str
    input_shape: Shape
    layers: list[Made]
    outputs: str
    scaled: bool
    notes: list[str]

    def model(self, rescale: float | tuple[float, float] = 1 / 255, engine: str = "numba") -> Sequential:
        """The model, with a Rescale in front."""
        scale, offset = rescale if isinstance(rescale, tuple | list) else (rescale, 0.0)
        layers = self.layers
        if not self.scaled:
            layers = [Made({"class": "Rescale", "scale": scale, "offset": offset}, {}), *layers]
        elif layers[0].description["class"] != "Rescale":  # it makes numbers of bytes
            layers = [Made({"class": "Rescale", "scale": 1.0, "offset": 0.0}, {}), *layers]
        config = {
            "input_shape": list(self.input_shape), "seed": 0, "dtype": "float32", "class_names": None,
            "layers": [made.description for made in layers], "outputs": self.outputs,
        }  # fmt: skip
        with as_model_file_error(self.path):
            return from_config(config, engine, arrays=named_arrays(layers))


@explained
def load_keras(path: Path, rescale: float | tuple[float, float] | None = None, engine: str = "numba") -> Sequential:
    """Read a model that Keras saved, .keras or .h5, without Keras, and without running anything that is in it.

    rescale: what the pixels were multiplied by before they entered the Keras model: 1 / 255, or 1 for bytes as they
    are; or (scale, offset). The model carries it as its first layer. The file does not say it: without `rescale`,
    1 / 255 is taken, with a warning. A file that has a Rescaling layer needs none.
    A softmax or sigmoid at the end is left out: models here give logits, and `predict` what Keras' predict gives.
    Augmentation and regularizers other than L2, which act in training only, are left out with a warning. What has no
    form here is one ModelFileError that lists all of it.

    >>> save_keras(model, "digits.keras")
    >>> np.allclose(load_keras("digits.keras").predict(x), model.predict(x), atol=1e-6)
    True
    """
    converted = convert(path)
    if converted.scaled and rescale is not None:
        raise ValueError(f"{path}: it has a Rescaling layer of its own: leave out rescale={rescale!r}")
    model = converted.model(1 / 255 if rescale is None else rescale, engine)
    if rescale is None and not converted.scaled:
        converted.notes.append(
            "the file does not say how pixels were scaled; taking pixels / 255. If the training was on bytes as they "
            "are, pass rescale=1"
        )
    for note in converted.notes:
        warnings.warn(f"{path}: {note}", stacklevel=3)
    return model


def convert(path: Path) -> Converted:
    """The model in a file, in our terms. Raises ModelFileError, FileNotFoundError."""
    with as_model_file_error(path):
        file = read_keras_file(path)
        if file.config is None:
            raise ModelFileError("weights alone. Make the model here, then sn.load_keras_weights(model, path)")
        structure = Structure(file.config)
        Chain(structure, None).expressed()  # all that has no form here, before any array is looked for
        addresses = [leaf.address for leaf in structure.leaves]
        chain = Chain(structure, dict(zip(addresses, read_arrays(file.weights, structure.leaves), strict=True)))
        layers = chain.expressed()
        if file.weights.attribute("backend") == "theano":
            raise ModelFileError("written with the backend Theano, whose convolutions turn their kernels round")
        outputs = "linear" if chain.shape == (1,) else "softmax"
        if layers and (last := layers[-1].description["class"]) in ("Softmax", "Sigmoid"):
            layers.pop()
            outputs = last.lower()
        if not layers:
            raise ModelFileError("a model without a layer that computes something")
        return Converted(str(path), chain.input_shape, layers, outputs, begins_with_scale(layers), chain.notes())


@explained
def load_keras_weights(model: Sequential, path: Path) -> None:
    """Copy the weights in a Keras file, of which .weights.h5 has no architecture, into a model of the same layers.

    They are matched by class and order: the second Conv2D of the file is the second Conv2D of the model. All shapes are
    compared before the first array changes. For a Residual whose shortcut has weights the order is not determined by
    the model: read the whole model with `load_keras`.

    Raises ModelFileError if the arrays do not fit the model; nothing is copied then.

    >>> save_keras(model, "digits.keras")
    >>> load_keras_weights(model, "digits.keras")
    """
    drawing = Drawing(model)
    with as_model_file_error(path):
        if any(".shortcut." in name for node in drawing.nodes for name in node.arrays):
            raise ModelFileError("a shortcut has weights, whose place in the file is not known. Use load_keras(path)")
        if drawing.problems:
            raise ModelFileError(in_one_sentence(drawing.problems))
        weights, nodes = read_keras_file(path).weights, [node for node in drawing.nodes if node.arrays]
        stored = read_rows(weights, [node.address for node in nodes])
        problems = [
            f"layer {node.name} has {len(arrays)} arrays in the file, and {len(node.arrays)} in the model"
            for node, arrays in zip(nodes, stored, strict=True)
            if len(arrays) != len(node.arrays)
        ]
        if problems:
            raise ModelFileError("; ".join(problems[:LISTED]))
        names = [name for node in nodes for name in node.arrays]
        found = [array.astype(model.dtype, copy=False) for arrays in stored for array in arrays]
        fill(arrays_of(model), dict(zip(names, found, strict=True)))


def in_one_sentence(problems: list[str]) -> str:
    """All that has no form here."""
    more = f"; and {len(problems) - LISTED} more" if problems[LISTED:] else ""
    return f"not everything in this model can be expressed here: {'; '.join(problems[:LISTED])}{more}"


class Chain:
    """Our layers in place of theirs, the shape between them, and what was met on the way."""

    def __init__(self, structure: Structure, arrays: dict[str, list[np.ndarray]] | None):
        self.steps, self.arrays, self.problems = structure.steps, arrays, list(structure.problems)
        given = structure.input_shape
        self.input_shape: Shape = (*given, 1) if len(given) == 2 else given
        self.shape: Shape | None = self.input_shape
        self.left_out: dict[str, None] = {}
        self.regularized: list[str] = []
        self.begun = self.reshaped = False

    def expressed(self) -> list[Made]:
        """The layers of the whole model, or one ModelFileError with everything that has no form here."""
        made = self.follow(self.steps)
        if self.problems:
            raise ModelFileError(in_one_sentence(self.problems))
        return made

    def follow(self, steps: Sequence[Step]) -> list[Made]:
        """The layers of a chain of steps."""
        found: list[Made] = []
        for step in steps:
            if isinstance(step, Join):
                found += self.checked(step.place, self.join(step))
            elif not self.begins_with_reshape(step):
                found += self.checked(step.place, self.leaf(step))
        return found

    def leaf(self, leaf: Leaf) -> list[Made]:
        """The layers of one layer; none if it has no form here."""
        if leaf.kind in NEUTRAL:
            self.left_out[leaf.kind] = None
        if any(acts_in_training(name, value) for name, value in leaf.config.items()):
            self.regularized.append(leaf.place)
        try:
            arrays = None if self.arrays is None else self.arrays[leaf.address]
            return translate(leaf.kind, leaf.config, arrays, self.shape)
        except ModelFileError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            self.problem(leaf.place, error)
            return []

    def join(self, join: Join) -> list[Made]:
        """A residual block: the sum of a branch and a shortcut."""
        self.begun, shape = True, self.shape
        shortcut = self.follow(join.shortcut)
        self.shape = shape
        branch = self.follow(join.branch)
        self.shape = shape
        description: dict[str, Any] = {"class": "Residual", "layers": [made.description for made in branch]}
        arrays = named_arrays(branch)
        if shortcut:
            description["shortcut"] = [made.description for made in shortcut]
            arrays |= {f"shortcut.{name}": array for name, array in named_arrays(shortcut).items()}
        return [Made(description, arrays)]

    def checked(self, place: str, made: list[Made]) -> list[Made]:
        """The layers, if all of them exist, and take the shape that is there and give the arrays that they have."""
        for description, arrays in made:
            self.begun |= description["class"] != "Rescale"
            cls = LAYERS.get(description["class"])
            if cls is None:
                self.problem(place, f"there is no {description['class']} here")
                continue
            if unknown := description.keys() - {"class"} - inspect.signature(cls).parameters.keys():
                self.problem(place, f"{description['class']} has no {', '.join(sorted(unknown))} here")
                continue
            try:
                layer = architecture.make_layer(LAYERS, description, 0)
                if self.shape is not None:
                    self.shape, sizes = layer.compute_shapes(self.shape)
                    expect_size(self.shape)
            except ValueError as error:
                self.problem(place, str(error).removeprefix(f"layer 0 ({description['class']}): "))
                continue
            wrong = [name for name, array in arrays.items() if self.shape and array.shape != sizes.get(name)]
            if wrong:
                got, expected = arrays[wrong[0]].shape, sizes.get(wrong[0])
                raise ModelFileError(f"{place}: {wrong[0]} has the shape {got} in the file, expected {expected}")
        return made

    def problem(self, place: str, what: Any) -> None:
        """Note what has no form here. From here on the shapes are not known."""
        self.problems.append(f"{place}: {what}")
        self.shape = None

    def begins_with_reshape(self, leaf: Leaf) -> bool:
        """Whether this is a Reshape of the input, which then has that shape to begin with."""
        if leaf.kind != "Reshape" or self.shape is None or self.begun:
            return False
        target = listed(leaf.config.get("target_shape"))
        sizes = len(target) <= 8 and all(type(size) is int and size > 0 for size in target)
        if not sizes or math.prod(target) != math.prod(self.shape):
            return False
        self.reshaped |= tuple(target) != self.shape
        self.shape = self.input_shape = tuple(target)
        return True

    def notes(self) -> list[str]:
        """What was left out or is different, in sentences."""
        notes = []
        if self.left_out:
            notes.append(f"left out, as they do nothing in a prediction: {', '.join(self.left_out)}")
        if self.regularized:
            what = "regularizers (other than L2 of a kernel) and constraints act in training only, and are left out"
            notes.append(f"{self.regularized[0]}{' and others' if self.regularized[1:] else ''}: {what}")
        if self.reshaped:
            notes.append(f"its Reshape is left out: the model takes {self.input_shape} where Keras' took other shapes")
        return notes


def acts_in_training(name: str, value: Any) -> bool:
    """Whether an entry is a regularizer or a constraint without a form here."""
    if not value or not name.endswith(("_regularizer", "_constraint")):
        return False
    return not (name.split("_")[0] in ("kernel", "depthwise", "pointwise") and l2_of(value))


def begins_with_scale(layers: list[Made]) -> bool:
    """Whether pixels are scaled before the first layer that has arrays."""
    for made in layers:
        if made.description["class"] == "Rescale":
            return True
        if made.arrays or "layers" in made.description:
            return False
    return False


def named_arrays(layers: list[Made]) -> dict[str, np.ndarray]:
    """All arrays, by the names that our model has for them."""
    return {
        f"{i}.{made.description['class'].lower()}.{name}": array
        for i, made in enumerate(layers)
        for name, array in made.arrays.items()
    }
