"""From the description in an untrusted file to unbuilt layers.

    {"input_shape": [28, 28, 1], "seed": 0, "dtype": "float32", "class_names": null,
     "layers": [{"class": "Conv2D", "filters": 32, "kernel_size": [3, 3], ...}, ...]}

A description can name only the layer classes of this package (and those that the caller hands in), and say
only what ARGUMENTS lists: each argument has a type and a range. That bounds every number by itself. Their
products are bounded by the arrays: before a layer is built, the shapes that it would make are computed
(`Layer.compute_shapes`) and compared with those in the file, so that three forged digits cannot request
a terabyte. A Residual holds descriptions of layers in turn; all of them together are counted, and their depth is
bounded, before the first is made. Nothing in a description is imported, looked up by name, or run.
"""

from __future__ import annotations

import inspect
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from scratchnet.initializers import INITIALIZERS, zeros
from scratchnet.layers import LAYERS, Conv2D, Dense, DepthwiseConv2D, Layer, Residual
from scratchnet.layers.base import Shape
from scratchnet.layers.residual import DEPTH_LIMIT
from scratchnet.layers.row import at_layer, named_parts, names_of, prefixes, shapes_of
from scratchnet.saving.container import ModelFileError, shown

LAYER_LIMIT = 1000  # in the whole model
CLASS_NAME_LIMIT = 200  # characters
DTYPES = ("float32", "float64")


class Rule(NamedTuple):
    """What a value must be: in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


def whole(low: int, high: int) -> Rule:
    """An integer from low to high; True is not 1 here."""
    return Rule(f"an integer from {low} to {high:,}", lambda value: type(value) is int and low <= value <= high)


def listed(rule: Rule, least: int, most: int) -> Rule:
    """A list of least to most values, each of which obeys the rule."""
    return Rule(
        f"{least} to {most:,} times {rule.words}" if least < most else f"{least} times {rule.words}",
        lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(rule.holds, value)),
    )


def either(*rules: Rule) -> Rule:
    """A value that one of the rules allows."""
    return Rule(" or ".join(rule.words for rule in rules), lambda value: any(rule.holds(value) for rule in rules))


def one_of(*values: Any) -> Rule:
    """One of these texts or constants."""
    words = ", ".join("null" if value is None else str(value) for value in values)
    return Rule(words, lambda value: any(type(value) is type(known) and value == known for known in values))


def controls(text: str) -> bool:
    """Whether there are control characters in it (escape, newline ...), or halves of characters."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


ANYTHING = Rule("anything", lambda value: True)
NUMBER = Rule(
    "a finite number",
    lambda value: math.isfinite(value) if type(value) is float else type(value) is int and abs(value) <= 1 << 53,
)
FRACTION = Rule("a number in [0, 1)", lambda value: NUMBER.holds(value) and 0 <= value < 1)
ROW = listed(Rule("a description of a layer", lambda value: isinstance(value, dict)), 1, LAYER_LIMIT)
FLAG = Rule("true or false", lambda value: isinstance(value, bool))
SIZE = whole(1, 1 << 20)
BORDER = whole(0, 1 << 20)
SIZES = either(SIZE, listed(SIZE, 2, 2))
TEXT = Rule(
    f"a text of at most {CLASS_NAME_LIMIT} characters, none of which controls a terminal",
    lambda value: isinstance(value, str) and len(value) <= CLASS_NAME_LIMIT and not controls(value),
)

ARGUMENTS = {
    "filters": SIZE, "units": SIZE, "kernel_size": SIZES, "pool_size": SIZES, "stride": SIZES,
    "border": SIZES,
    "padding": either(one_of("valid", "same"), BORDER, listed(BORDER, 2, 2), listed(listed(BORDER, 2, 2), 2, 2)),
    "depth_multiplier": SIZE,
    "use_bias": FLAG, "initializer": one_of(*INITIALIZERS),
    "rate": FRACTION, "momentum": FRACTION, "epsilon": NUMBER, "scale": NUMBER, "offset": NUMBER,
    "slope": NUMBER, "alpha": NUMBER, "l2": NUMBER,
    "activation": one_of(None),  # in a file it is a layer of its own
    "layers": ROW, "shortcut": either(one_of(None), ROW),
}  # fmt: skip

ENTRIES = {
    "input_shape": listed(SIZE, 1, 8),
    "seed": whole(0, (1 << 128) - 1),
    "dtype": one_of(*DTYPES),
    "class_names": either(one_of(None), listed(TEXT, 1, 1 << 20)),
    "layers": ROW,
}
ROWS = ("layers", "shortcut")  # the arguments of a Residual that are descriptions

POSITIVE = Rule("a positive number", lambda value: NUMBER.holds(value) and value > 0)
OF_LAYERS = {
    "frozen": listed(TEXT, 0, LAYER_LIMIT),
    "lr_factors": Rule(
        f"an object with {POSITIVE.words} for each name",
        lambda value: isinstance(value, dict) and all(map(POSITIVE.holds, value.values())),
    ),
}  # settings of layers that are not the usual ones, by the layers' names
OPTIONAL = {"outputs": one_of("softmax", "sigmoid", "linear"), **OF_LAYERS}


def check(values: dict[str, Any], rules: dict[str, Rule], where: str) -> None:
    """Every value must have a rule and obey it."""
    for name, value in values.items():
        if name not in rules:
            raise ModelFileError(f"{where} has an unknown entry: {shown(name)}")
        if not rules[name].holds(value):
            raise ModelFileError(f"{where}: {name} must be {rules[name].words}; got {shown(value)}")


def make_layers(config: dict[str, Any], own: Sequence[type[Layer]] = ()) -> list[Layer]:
    """The unbuilt layers that a description asks for; the description as a whole is checked first.

    >>> config = {"layers": [{"class": "Dense", "units": 2}], "input_shape": [3]}
    >>> make_layers(config | {"seed": 0, "dtype": "float32", "class_names": None})
    [Dense(units=2)]
    """
    if not isinstance(config, dict) or not ENTRIES.keys() <= config.keys():
        missing = ", ".join(name for name in ENTRIES if not isinstance(config, dict) or name not in config)
        raise ModelFileError(f"the description of the model lacks {missing}")
    check(config, ENTRIES | OPTIONAL, "the model")
    if (count := count_layers(config["layers"])) > LAYER_LIMIT:
        raise ModelFileError(f"the model has {count:,} layers, where {LAYER_LIMIT:,} are allowed")
    known = {**LAYERS, **{cls.__name__: cls for cls in own}}
    layers = [make_layer(known, description, i) for i, description in enumerate(config["layers"])]
    parts = named_parts(layers)
    for entry in OF_LAYERS:
        if unknown := [name for name in config.get(entry, ()) if name not in parts]:
            raise ModelFileError(f"the model: {entry} names {shown(unknown[0])}, which is not one of its layers")
    apply_training_settings(layers, config)
    return layers


def training_settings(layers: Sequence[Layer]) -> dict[str, Any]:
    """The frozen layers and the factors on the learning rate, by name, as OF_LAYERS allows them; {} if there are none.

    >>> layer = Dense(2)
    >>> layer.trainable = False
    >>> training_settings([layer])
    {'frozen': ['0.dense']}
    """
    frozen = names_of(layers, lambda layer: not layer.trainable)
    others = {part.lr_factor for part in named_parts(layers).values() if part.lr_factor != 1}
    factors = {name: factor for factor in sorted(others) for name in with_factor(layers, factor)}
    return ({"frozen": frozen} if frozen else {}) | ({"lr_factors": factors} if factors else {})


def with_factor(layers: Sequence[Layer], factor: float) -> list[str]:
    """The names of the layers with this factor on their learning rate."""
    return names_of(layers, lambda layer: layer.lr_factor == factor)


def apply_training_settings(layers: Sequence[Layer], settings: dict[str, Any]) -> None:
    """Freeze the layers, and set the factors, that `training_settings` gave; all other layers are trained as usual."""
    parts = named_parts(layers)
    for layer in layers:
        layer.trainable, layer.lr_factor = True, 1.0
    for name in settings.get("frozen", ()):
        parts[name].trainable = False
    for name, factor in settings.get("lr_factors", {}).items():
        parts[name].lr_factor = factor


def count_layers(descriptions: Any, depth: int = 0) -> int:
    """How many layers they describe, those within a Residual included. Raises ModelFileError if nested too deeply."""
    if depth > DEPTH_LIMIT:
        raise ModelFileError(f"more than {DEPTH_LIMIT} Residual blocks within each other")
    rows = [d.get(name) for d in descriptions if isinstance(d, dict) for name in ROWS]
    return len(descriptions) + sum(count_layers(row, depth + 1) for row in rows if isinstance(row, list))


def make_layer(known: dict[str, type[Layer]], description: dict[str, Any], index: int, inside: str = "") -> Layer:
    """{"class": "Conv2D", "filters": 32, ...} -> an unbuilt layer, if the class is one of `known`.

    inside: where the row is that it is a part of, for errors.
    """
    arguments = dict(description)
    kind = arguments.pop("class", None)
    if not isinstance(kind, str) or kind not in known:
        raise ModelFileError(
            f"{inside}layer {index} is a {shown(kind)}, which is not one of {', '.join(known)}. "
            "If it is a layer of your own, pass its class: load_model(path, layers=[...])."
        )
    where, cls = f"{inside}layer {index} ({kind})", known[kind]
    accepted = inspect.signature(cls).parameters
    rules = ARGUMENTS if cls is LAYERS.get(kind) else dict.fromkeys(accepted, ANYTHING)
    check(arguments, {name: rules[name] for name in accepted}, where)
    missing = [name for name, a in accepted.items() if a.default is a.empty and name not in arguments]
    if missing:
        raise ModelFileError(f"{where} lacks {', '.join(missing)}")
    if cls is Residual:
        for name in ROWS:
            row = arguments.get(name) or []
            arguments[name] = [make_layer(known, d, i, f"{where}, {name}: ") for i, d in enumerate(row)] or None
    with at_layer(index, kind, inside=inside):
        return cls(**arguments)


def expected_arrays(layers: list[Layer], config: dict[str, Any]) -> dict[str, tuple[np.dtype | None, Shape]]:
    """Name -> (dtype, shape) of every array that these layers would make, without making any.

    The dtype is None for a layer of the user's own, whose arrays may be of any type.
    """
    _, arrays = shapes_of(layers, tuple(config["input_shape"]))
    ours = tuple(
        f"{prefix}.{inner}"
        for layer, prefix in zip(layers, prefixes(layers), strict=True)
        for inner, part in layer.walk() if type(part) in LAYERS.values() and not part.children()
    )  # fmt: skip
    dtype = np.dtype(config["dtype"])
    return {name: (dtype if name[: name.rindex(".") + 1] in ours else None, size) for name, size in arrays.items()}


@contextmanager
def nothing_drawn(layers: list[Layer]) -> Iterator[None]:
    """Within the block, layers begin with zeros: arrays that a file will fill need no random numbers.

    Random numbers are drawn in float64, and would take several times the memory of the file.
    """
    parts = [part for layer in layers for _, part in layer.walk()]
    initializers = {part: part.initialize for part in parts if isinstance(part, Conv2D | DepthwiseConv2D | Dense)}
    for layer in initializers:
        layer.initialize = zeros
    try:
        yield
    finally:
        for layer, own in initializers.items():
            vars(layer)["initialize"] = own  # by then the layer is part of a model


def check_class_names(names: Any, classes: int) -> list[str] | None:
    """The names as a list of texts, one for each of a model's outputs; or None if there are none."""
    if names is None:
        return None
    names = [str(name) for name in names]
    if len(names) != classes:
        raise ValueError(f"class_names: {len(names)} names for {classes} outputs of the last layer")
    for name in names:
        if not TEXT.holds(name):
            raise ValueError(f"class_names: each must be {TEXT.words}, got {shown(name)}")
    return names
