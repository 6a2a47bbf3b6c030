"""A model as plain data: what the page has to know of it beside its weights.

The page reads two files. `model.safetensors` holds the arrays, as `Sequential.save` writes them. `model.json` is made
here: every layer with its arguments, its shapes and where its windows lie, so that JavaScript has no geometry to work
out; then the classes, the loss that belongs to the outputs, and what the page says about the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from scratchnet.layers import LAYERS, Layer, Residual
from scratchnet.layers.base import Shape
from scratchnet.layers.row import prefixes
from scratchnet.losses import USUAL
from scratchnet.model import Sequential

FORMAT = 1  # of model.json; the page refuses another one


def describe(model: Sequential, class_names: Iterable[str] | None = None, **notes: Any) -> dict[str, Any]:
    """The model for `model.json`: JSON-able, without its arrays.

    class_names: by default the model's, else the numbers of the classes. notes: further entries, plain data, such as
    preset="default" or scores={"test": 0.994}; the page shows those that it knows.
    Raises ValueError for a layer of the user's own: the page calculates in JavaScript, and has no twin of it.

    >>> [layer["key"] for layer in describe(model)["layers"]]
    ['0.rescale', '1.flatten', '2.dense']
    """
    expect_known(model.layers)
    names = class_names or model.class_names or range(math.prod(model.shapes[-1]))
    return {
        "format": FORMAT,
        "inputShape": list(model.input_shape),
        "outputShape": list(model.shapes[-1]),
        "outputs": model.outputs,
        "loss": USUAL[model.outputs].__name__,
        "classNames": [str(name) for name in names],
        "parameters": model.count_params(),
        "layers": described_row(model.layers, model.input_shape, "", 0),
        **notes,
    }


def described_row(layers: Sequence[Layer], shape: Shape, prefix: str, first: int) -> list[dict[str, Any]]:
    """The layers of a row, each with the shape that the one before it gives."""
    row = []
    for i, (layer, name) in enumerate(zip(layers, prefixes(layers), strict=True)):
        output_shape, arrays = layer.compute_shapes(shape)
        about: dict[str, Any] = {
            "index": first + i,
            "key": f"{prefix}{name}",
            "kind": type(layer).__name__,
            "settings": settings_of(layer),
            "trainable": bool(layer.trainable),
            "inputShape": list(shape),
            "outputShape": list(output_shape),
            "arrays": {array: list(size) for array, size in arrays.items()},
            "multiplyAdds": layer.multiply_adds(shape, output_shape),
        }
        if isinstance(layer, Residual):
            about["stages"] = described_row(layer.layers, shape, f"{prefix}{name}.", 0)
            about["shortcut"] = described_row(layer.way, shape, f"{prefix}{name}.shortcut.", 0)
        row.append(about)
        shape = output_shape
    return row


def settings_of(layer: Layer) -> dict[str, Any]:
    """The constructor's arguments that forward and backward depend on, and where the windows lie.

    >>> settings_of(Dropout(0.5))
    {'rate': 0.5}
    """
    if isinstance(layer, Residual):
        return {}
    unused = {"initializer", "activation"}
    settings = {name: value for name, value in layer.config().items() if name not in unused}
    windows = getattr(layer, "windows", None)
    return settings if windows is None else {**settings, "windows": windows._asdict()}


def expect_known(layers: Iterable[Layer], prefix: str = "") -> None:
    """Raise ValueError, with its place and its name, for the first layer that is not one of the library's.

    >>> class Swish(SiLU):
    ...     "A layer of one's own."
    >>> expect_known([Dense(3), Swish()])
    Traceback (most recent call last):
    ValueError: layer 1 (Swish) is a layer of your own: the page has no JavaScript for it. ...
    """
    for i, layer in enumerate(layers):
        kind = type(layer).__name__
        if type(layer) is not LAYERS.get(kind):
            raise ValueError(
                f"layer {prefix}{i} ({kind}) is a layer of your own: the page has no JavaScript for it. It can show "
                f"models of {', '.join(LAYERS)}."
            )
        if isinstance(layer, Residual):
            expect_known(layer.layers, f"{prefix}{i}.")
            expect_known(layer.way, f"{prefix}{i}.shortcut.")
