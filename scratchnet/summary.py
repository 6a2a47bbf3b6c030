"""The table of a model's layers: what comes out, what is trained, what it costs."""

from __future__ import annotations

import math
from typing import NamedTuple

from scratchnet.pipes import console, say


class Row(NamedTuple):
    """One layer. Costs are for one example's forward pass."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    untrained: int  # BatchNorm's running averages
    multiply_adds: int
    bytes: int  # of the output
    runs_as: str  # its kernels, forward/backward; ″ where a twin does it together with the layer above


def rows(model) -> list[Row]:
    """The numbers behind `Sequential.summary`, a row per layer."""
    kernels = model.backend.describe()
    return [
        Row(
            name,
            shape,
            sum(getattr(layer, p).size for p in layer.params),
            sum(getattr(layer, s).size for s in layer.state),
            layer.multiply_adds(before, shape),
            math.prod(shape) * model.dtype.itemsize,
            kernels[name],
        )
        for name, layer, before, shape in zip(
            model.names, model.layers, model.shapes[:-1], model.shapes[1:], strict=True
        )
    ]


def print_summary(model) -> None:
    """Print the table with rich."""
    from rich.table import Table

    table = Table("layer", box=None, header_style="bold", pad_edge=False)
    for title in ("output", "parameters", "multiply-adds", "activation"):
        table.add_column(title, justify="right")
    if model.engine == "numba":
        table.add_column("kernels", no_wrap=True)
    layers = rows(model)
    for row in layers:
        table.add_row(
            row.name,
            "×".join(map(str, row.output_shape)),
            f"{row.parameters + row.untrained:,}" if row.parameters else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "",
            kibibytes(row.bytes),
            *([row.runs_as] if model.engine == "numba" else []),
        )
    trained, untrained = sum(r.parameters for r in layers), sum(r.untrained for r in layers)
    table.add_section()
    table.add_row(
        "total",
        "",
        f"{trained + untrained:,}",
        f"{sum(r.multiply_adds for r in layers):,}",
        kibibytes(sum(r.bytes for r in layers)),
        style="bold",
    )
    console().print(table)
    note = f", {trained:,} of them trained" if untrained else ""
    say(f"{trained + untrained:,} parameters{note}; multiply-adds and memory per example, forward")


def kibibytes(n: int) -> str:
    """Bytes as KiB with one digit."""
    return f"{n / 1024:,.1f} KiB"
