"""The architecture in a Keras file as a chain of layers.

A Sequential model is a list. A functional model is a graph: each layer names those whose outputs it receives. It is
followed backwards from the output, and where two paths were added, to the layer at which they part (the nearest common
dominator): the sum of a branch and a shortcut is a residual block. Models within a model are put in their place.

What cannot be a chain is noted as a problem, and the reading continues, so that one error can name everything.
"""

from __future__ import annotations

import graphlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from scratchnet.saving.architecture import LAYER_LIMIT
from scratchnet.saving.container import ModelFileError, shown

MODELS = {"Sequential": "sequential", "Functional": "functional", "Model": "functional"}  # and their names in a file
# The names in a version 3 file of the classes that have arrays: Keras writes class names in snake case.
FILE_NAMES = {
    "Conv2D": "conv2d", "Convolution2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d",
    "SeparableConv2D": "separable_conv2d", "Dense": "dense", "BatchNormalization": "batch_normalization",
    "Normalization": "normalization", **MODELS,
}  # fmt: skip
OWN_MODULES = ("keras", "tensorflow", "tf_keras")


class Leaf(NamedTuple):
    """A layer that is not a model itself. top: the number of the top level's layer that it is, or is within."""

    place: str
    kind: str
    config: dict[str, Any]
    address: str
    top: int
    trainable: bool


class Join(NamedTuple):
    """The sum of two paths from one layer. An empty shortcut is the identity."""

    place: str
    branch: list[Any]
    shortcut: list[Any]


Step = Leaf | Join


class Structure:
    """All layers in the file's order (`leaves`), the model as a chain (`steps`), and what cannot be expressed."""

    def __init__(self, model: dict[str, Any]):
        self.leaves: list[Leaf] = []
        self.problems: list[str] = []
        if class_of(model) not in MODELS:
            raise ModelFileError(f"the model is a {shown(class_of(model))}, which is not one of {', '.join(MODELS)}")
        self.input_shape = input_shape(model)
        self.steps = self.read_model(model, "", "", None, True)

    def read_model(
        self, model: dict[str, Any], numbers: str, address: str, top: int | None, trainable: bool
    ) -> list[Step]:
        """The steps of a model. numbers: "2." within layer 2; address: where its arrays are."""
        layers, used, parts = layers_of(model), Counter[str](), dict[str, list[Step]]()
        for i, layer in enumerate(layers):
            kind, config, name = class_of(layer), layer.get("config"), name_of(layer, i)
            place = f"layer {numbers}{i}, {shown(name)} ({shown(kind)[1:-1]})"
            if name in parts:
                raise ModelFileError(f"{place}: the name stands twice")
            file_name = FILE_NAMES.get(kind, kind)
            k, used[file_name] = used[file_name], used[file_name] + 1
            own_address = f"{address}layers/{file_name}{f'_{k}' if k else ''}"
            own_top = i if top is None else top
            trained = trainable and not (isinstance(config, dict) and config.get("trainable") is False)
            if foreign(layer):
                self.problems.append(f"{place}: a layer of another package ({shown(foreign(layer))})")
            if kind in MODELS:
                parts[name] = self.read_model(layer, f"{numbers}{i}.", f"{own_address}/", own_top, trained)
            elif isinstance(config, dict):
                parts[name] = [Leaf(place, kind, config, own_address, own_top, trained)]
                self.leaves += parts[name]  # type: ignore[arg-type]
            else:
                raise ModelFileError(f"{place} has no configuration")
            if len(self.leaves) > LAYER_LIMIT:
                raise ModelFileError(f"more than {LAYER_LIMIT:,} layers")
        if class_of(model) == "Sequential":
            return [step for part in parts.values() for step in part]
        try:
            return Graph(model["config"], layers, parts).steps()
        except ValueError as error:
            self.problems.append(f"{f'the model in layer {numbers[:-1]}' if numbers else 'the model'}: {error}")
            return [step for part in parts.values() for step in part]


class Graph:
    """A functional model: for each layer the names of those before it."""

    def __init__(self, config: dict[str, Any], layers: list[dict[str, Any]], parts: dict[str, list[Step]]):
        self.parts, self.before = parts, dict[str, list[str]]()
        self.kinds = dict(zip(parts, map(class_of, layers), strict=True))
        for name, layer in zip(parts, layers, strict=True):
            calls = layer.get("inbound_nodes") or []
            if len(calls) != (self.kinds[name] != "InputLayer"):
                raise ValueError(f"{shown(name)} is used {len(calls)} times, expected once")
            self.before[name] = [before for call in calls for before in inbound(call)]
            if unknown := [before for before in self.before[name] if before not in parts]:
                raise ValueError(f"{shown(name)} receives the output of {shown(unknown[0])}, which is not there")
        self.start, self.end = (end_of(config.get(key), key) for key in ("input_layers", "output_layers"))
        if not {self.start, self.end} <= parts.keys():
            raise ValueError("its input or output is not one of its layers")
        self.dominator, self.level = dict[str, str](), {"": 0}
        for name in graphlib.TopologicalSorter(self.before).static_order():
            sources = self.before[name] or [""]
            meeting = sources[0]
            for other in sources[1:]:
                meeting = self.meet(meeting, other)
            self.dominator[name], self.level[name] = meeting, self.level[meeting] + 1

    def meet(self, one: str, other: str) -> str:
        """The nearest layer that is on all paths to both."""
        while one != other:
            if self.level[one] < self.level[other]:
                one, other = other, one
            one = self.dominator[one]
        return one

    def steps(self) -> list[Step]:
        """The whole model as a chain."""
        self.visited: set[str] = set()
        return [*self.parts[self.start], *self.between(self.start, self.end)]

    def between(self, start: str, end: str) -> list[Step]:
        """The steps behind `start` up to `end`."""
        steps: list[Step] = []
        while end != start:
            if end in self.visited:
                raise ValueError(f"the output of {shown(end)} is used in several places that are not added")
            self.visited.add(end)
            before = self.before[end]
            if len(before) == 1:
                steps += reversed(self.parts[end])
                end = before[0]
            elif len(before) == 2 and self.kinds[end] == "Add":
                fork = self.meet(*before)
                if not fork:
                    raise ValueError(f"{shown(end)} adds two inputs of the model")
                paths = sorted((self.between(fork, name) for name in before), key=len)
                steps.append(Join(self.parts[end][0].place, paths[1], paths[0]))
                end = fork
            else:
                what = f"{self.kinds[end]} of {len(before)} outputs" if before else "a second input"
                raise ValueError(
                    f"{shown(end)}: {what}. Only the sum (Add) of two paths from one layer has a form here"
                )
        return steps[::-1]


def class_of(layer: Any) -> str:
    """The class name in a description."""
    kind = layer.get("class_name") if isinstance(layer, dict) else None
    if not isinstance(kind, str):
        raise ModelFileError(f"a description of a layer must have a class_name, got {shown(layer)}")
    return kind


def layers_of(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The descriptions of a model's layers. Up to Keras 2.2, the configuration of a Sequential was the list itself."""
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list) or not layers or not all(isinstance(layer, dict) for layer in layers):
        raise ModelFileError(f"a {class_of(model)} model without a list of layers")
    return layers


def name_of(layer: dict[str, Any], number: int) -> str:
    """A layer's name in its model."""
    config = layer.get("config")
    name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return name if isinstance(name, str) else f"layer {number}"


def foreign(layer: dict[str, Any]) -> str:
    """The package or registered name of a layer that does not come from Keras; empty for one that does."""
    module, registered = layer.get("module"), layer.get("registered_name")
    if module is not None and str(module).split(".")[0] not in OWN_MODULES:
        return str(module)
    return "" if registered in (None, class_of(layer)) else str(registered)


def inbound(call: Any) -> Iterator[str]:
    """The names of the layers whose outputs one call of a layer receives, in the form of Keras 3 or the older one."""
    if isinstance(call, dict):
        yield from histories(call.get("args"))
        if any(True for _ in histories(call.get("kwargs"))):
            raise ValueError("a layer receives an output as a keyword argument")
        return
    for source in call if isinstance(call, list) else []:
        yield first_output(source)


def histories(value: Any) -> Iterator[str]:
    """The layers that made the tensors in the arguments of a call, in order."""
    if isinstance(value, list):
        for part in value:
            yield from histories(part)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield first_output(value["config"]["keras_history"])
    elif isinstance(value, dict):
        yield from histories(list(value.values()))


def first_output(history: Any) -> str:
    """The name in [name, number of the call, number of the output, ...]."""
    if not isinstance(history, list) or len(history) < 3 or not isinstance(history[0], str) or history[2] != 0:
        raise ValueError(f"expected [layer, call, output], got {shown(history)}")
    return history[0]


def end_of(value: Any, what: str) -> str:
    """The name of the only input or output."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        raise ValueError(f"several {what.replace('_', ' ')}: {shown(value)}")
    return value[0]


def input_shape(model: dict[str, Any]) -> tuple[int, ...]:
    """The shape of one example: an InputLayer's, the first layer's, or that for which the model was built."""
    layers, config = layers_of(model), model.get("config")
    first = next((layer for layer in layers if class_of(layer) == "InputLayer"), layers[0])
    if class_of(first) in MODELS:
        return input_shape(first)
    configs = (first.get("config"), config, model.get("build_config"))
    own, built, built_too = (part if isinstance(part, dict) else {} for part in configs)
    shapes = [own.get("batch_shape"), own.get("batch_input_shape"), built.get("build_input_shape")]
    shapes += [built_too.get("input_shape"), [None, own["input_dim"]] if own.get("input_dim") else None]
    shape = next((shape for shape in shapes if shape), None)
    if isinstance(shape, dict):  # a tuple, as older versions wrote it
        shape = shape.get("items")
    if not isinstance(shape, list) or not 2 <= len(shape) <= 9:
        raise ModelFileError("the file does not say the shape of the input. Build the model, then save it again")
    if not all(type(size) is int and size > 0 for size in shape[1:]):
        raise ModelFileError(
            f"the input has no fixed size: {shown(shape)}. Save it with Input((28, 28, 1)), for example"
        )
    return tuple(shape[1:])
