"""The Python functions that the views illustrate: their text, as it stands in the files, and where it stands.

Each view shows the function whose numbers it explains, with the lines of the moment marked. The text is read from the
installed package, so that it is what runs.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from scratchnet import losses, optimizers, training
from scratchnet.data import drawing
from scratchnet.gradcheck import gradcheck
from scratchnet.layers import Layer, Residual, windows
from scratchnet.losses.softmax_cross_entropy import softmax
from scratchnet.model import Sequential
from scratchnet.page import teach

PACKAGE = Path(__file__).parents[1]
METHODS = ("forward", "backward")
FUNCTIONS: list[Callable[..., Any]] = [
    drawing.digit_from_strokes, drawing._placed, drawing._inked, drawing._centred,
    windows.im2col, windows.col2im,
    softmax, losses.SoftmaxCrossEntropy.each, losses.BinaryCrossEntropy.each, losses.MeanSquaredError.each,
    optimizers.SGD.update, optimizers.RMSprop.update, optimizers.Adam.update,
    gradcheck, training.train_epoch, teach.learn,
]  # fmt: skip


def page_sources(model: Sequential) -> dict[str, dict[str, Any]]:
    """{"Conv2D.forward": {"file":, "line":, "text":}, ...}: of the model's layers, the losses and the optimizers.

    >>> found = page_sources(model)["Dense.backward"]
    >>> found["file"], found["text"].split("(")[0]
    ('scratchnet/layers/dense.py', 'def backward')
    """
    kinds = dict.fromkeys(type(layer) for layer in every_layer(model.layers))
    methods = {f"{kind.__name__}.{name}": getattr(kind, name) for kind in kinds for name in METHODS}
    functions = {name_of(function): function for function in FUNCTIONS}
    return {name: source(function) for name, function in {**methods, **functions}.items()}


def every_layer(row: Iterable[Layer]) -> Iterable[Layer]:
    """The layers of a row, and those inside of residual blocks."""
    for layer in row:
        yield layer
        if isinstance(layer, Residual):
            yield from every_layer([*layer.layers, *layer.way])


def name_of(function: Callable[..., Any]) -> str:
    """`SGD.update` of a method, `im2col` of a function, the class alone of what makes its instances callable.

    >>> name_of(optimizers.SGD.update), name_of(windows.im2col), name_of(losses.SoftmaxCrossEntropy.each)
    ('SGD.update', 'im2col', 'SoftmaxCrossEntropy.each')
    """
    return function.__qualname__.removeprefix("_").removesuffix(".__call__")


def source(function: Callable[..., Any]) -> dict[str, Any]:
    """The text of a function without its indentation, its file, and the number of its first line."""
    function = inspect.unwrap(function)
    lines, first = inspect.getsourcelines(function)
    file = Path(inspect.getfile(function)).relative_to(PACKAGE.parent)
    return {"file": file.as_posix(), "line": first, "text": textwrap.dedent("".join(lines)).rstrip("\n")}
