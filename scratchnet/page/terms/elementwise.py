"""The terms of layers that work number by number: one term each, f(x) forward and dy · f'(x) backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from scratchnet.page.addresses import Index
from scratchnet.page.parts import Parts, Term, parts, product
from scratchnet.page.passes import Record


class Function(NamedTuple):
    """A function of one number and its derivative, which is written with x or with y. layer: where constants are."""

    forward: str  # the formulas
    backward: str
    value: Callable[[Any, float], float]
    slope: Callable[[Any, float], float]
    slope_of: str = "x"


def sigmoid(x: float) -> float:
    """σ(x) = 1 / (1 + e⁻ˣ), without an overflow.

    >>> sigmoid(-1000.0)
    0.0
    """
    e = math.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


def normal_share(x: float) -> float:
    """Φ(x), the distribution function of the standard normal distribution."""
    return 0.5 * (1 + math.erf(x * math.sqrt(0.5)))


def normal_density(x: float) -> float:
    """φ(x), its density."""
    return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


FUNCTIONS: dict[str, Function] = {
    "ReLU": Function(
        "y = x where x > 0, else 0", "dx = dy where x > 0, else 0",
        lambda layer, x: x if x > 0 else 0.0, lambda layer, x: float(x > 0),
    ),
    "LeakyReLU": Function(
        "y = x where x > 0, else s · x", "dx = dy where x > 0, else s · dy",
        lambda layer, x: x if x > 0 else layer.slope * x, lambda layer, x: 1.0 if x > 0 else layer.slope,
    ),
    "ELU": Function(
        "y = x where x > 0, else α (eˣ - 1)", "dx = dy where x > 0, else dy · α eˣ",
        lambda layer, x: x if x > 0 else layer.alpha * math.expm1(x),
        lambda layer, x: 1.0 if x > 0 else layer.alpha * math.exp(x),
    ),
    "Sigmoid": Function(
        "y = σ(x)", "dx = dy · y (1 - y)",
        lambda layer, x: sigmoid(x), lambda layer, y: y * (1 - y), "y",
    ),
    "Tanh": Function(
        "y = tanh(x)", "dx = dy · (1 - y²)",
        lambda layer, x: math.tanh(x), lambda layer, y: 1 - y * y, "y",
    ),
    "SiLU": Function(
        "y = x · σ(x)", "dx = dy · (σ + x σ (1 - σ))",
        lambda layer, x: x * sigmoid(x), lambda layer, x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
    "GELU": Function(
        "y = x · Φ(x)", "dx = dy · (Φ + x φ)",
        lambda layer, x: x * normal_share(x), lambda layer, x: normal_share(x) + x * normal_density(x),
    ),
    "Rescale": Function(
        "y = scale · x + offset", "dx = scale · dy",
        lambda layer, x: layer.scale * x, lambda layer, x: layer.scale,
    ),
}  # fmt: skip


def output(record: Record, index: Index) -> Parts:
    """y = f(x)."""
    function, x = FUNCTIONS[record.kind], record.input(index)
    constant = record.layer.offset if record.kind == "Rescale" else 0.0
    return parts(function.forward, [Term(function.value(record.layer, x.value), (x,))], constant)


def input_gradient(record: Record, index: Index) -> Parts:
    """dx = dy · f'(x)."""
    function, dy = FUNCTIONS[record.kind], record.upstream(index)
    here = record.input(index) if function.slope_of == "x" else record.output(index)
    slope = function.slope(record.layer, here.value)
    return parts(function.backward, [Term(dy.value * slope, (dy, here), f"slope {slope:.4g}")])


def dropout_output(record: Record, index: Index) -> Parts:
    """y = x · mask; the mask is 1 in evaluation."""
    mask = mask_at(record, index)
    return parts("y = x · mask", [product(record.input(index), times=mask, label=f"mask {mask:.4g}")])


def dropout_input(record: Record, index: Index) -> Parts:
    """dx = dy · mask."""
    mask = mask_at(record, index)
    return parts("dx = dy · mask", [product(record.upstream(index), times=mask, label=f"mask {mask:.4g}")])


def mask_at(record: Record, index: Index) -> float:
    """0 if the number was dropped, else 1 / (1 - rate); 1 in evaluation."""
    return 1.0 if record.cache is None else float(record.cache[(0, *index)])
