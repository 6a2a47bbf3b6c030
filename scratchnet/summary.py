"""A model in text: the call that makes it, and the table of its layers.

The table lists each layer's output shape, parameters and cost. It is printed, or HTML in a notebook.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from scratchnet import html
from scratchnet.process.pipes import console, say


class Row(NamedTuple):
    """One layer. Costs are for one example's forward pass."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    untrained: int  # BatchNorm's running averages
    multiply_adds: int
    bytes: int  # of the output
    frozen: str  # "frozen", or of a block "partly frozen"; empty if all of it is trained
    runs_as: str  # its kernels, forward/backward; ″ for a layer that is computed with the one above


def rows(model: Any) -> list[Row]:
    """The numbers behind `Sequential.summary`, a row per layer."""
    kernels = model.backend.describe()
    return [
        Row(
            name,
            shape,
            sum(array.size for array in layer.arrays("params").values()),
            sum(array.size for array in layer.arrays("state").values()),
            layer.multiply_adds(before, shape),
            math.prod(shape) * model.dtype.itemsize,
            frozen(name, model),
            kernels[name],
        )
        for name, layer, before, shape in zip(
            model.names, model.layers, model.shapes[:-1], model.shapes[1:], strict=True
        )
    ]


def frozen(name: str, model: Any) -> str:
    """Whether the layer of this name is "frozen", or "partly frozen"; empty if all of it is trained."""
    own = {array for array in model.parameters() if array.startswith(f"{name}.")}
    trained = own & model.trainable_parameters().keys()
    return "" if trained == own else "partly frozen" if trained else "frozen"


def print_summary(model: Any) -> None:
    """Print the table with rich; in a notebook, show it."""
    if html.in_notebook():
        html.Shown(html_table(model))
        return
    from rich.table import Table

    table = Table("layer", box=None, header_style="bold", pad_edge=False)
    for title in ("output", "parameters", "multiply-adds", "activation"):
        table.add_column(title, justify="right")
    if model.engine == "numba":
        table.add_column("kernels", no_wrap=True)
    layers = rows(model)
    for row in layers:
        table.add_row(
            f"{row.name} ({row.frozen})" if row.frozen else row.name,
            "×".join(map(str, row.output_shape)),
            f"{row.parameters + row.untrained:,}" if row.parameters else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "",
            kibibytes(row.bytes),
            *([row.runs_as] if model.engine == "numba" else []),
        )
    everything = sum(r.parameters + r.untrained for r in layers)
    trained = sum(array.size for array in model.trainable_parameters().values())
    table.add_section()
    table.add_row(
        "total",
        "",
        f"{everything:,}",
        f"{sum(r.multiply_adds for r in layers):,}",
        kibibytes(sum(r.bytes for r in layers)),
        style="bold",
    )
    console().print(table)
    note = f", {trained:,} of them trained" if trained < everything else ""
    say(f"{everything:,} parameters{note}; multiply-adds and memory per example, forward")


def constructor_call(model: Any) -> str:
    """The call that makes an untrained model of this kind.

    >>> print(constructor_call(model))
    Sequential([
        Rescale(),
        Flatten(),
        Dense(units=10),
    ], input_shape=(28, 28, 1), engine='numpy')
    """
    options = {"seed": model.seed, "class_names": model.class_names}
    if model.dtype.name != "float32":
        options["dtype"] = model.dtype.name
    elif model.engine != "numba":
        options["engine"] = model.engine
    words = [f"input_shape={model.input_shape}", *(f"{name}={value!r}" for name, value in options.items() if value)]
    layers = "".join(f"    {layer!r},\n" for layer in model.layers)
    return f"{type(model).__name__}([\n{layers}], {', '.join(words)})"


def html_table(model: Any) -> str:
    """The table as HTML, for notebooks; without styles, so that it looks like the page around it.

    >>> html_table(model)[:34]
    '<table><thead><tr><th>layer</th><t'
    """
    layers = rows(model)
    head = ("layer", "output", "parameters", "multiply-adds")
    body = [
        (repr(layer), "×".join(map(str, row.output_shape)), f"{row.parameters + row.untrained:,}",
         f"{row.multiply_adds:,}")
        for row, layer in zip(layers, model.layers, strict=True)
    ]  # fmt: skip
    foot = ("total", "", f"{model.count_params():,}", f"{sum(row.multiply_adds for row in layers):,}")
    return html.table(head, body, foot)


def kibibytes(n: int) -> str:
    """Bytes as KiB with one digit."""
    return f"{n / 1024:,.1f} KiB"
