"""The terms of BatchNorm, in the steps of its formula: x̂ = scale · (x - μ), y = γ x̂ + β.

In evaluation μ and σ² are the running averages, and dx has the direct path alone. In training they are those of the
batch, here of one image with m numbers per channel, and dx has two more terms: the paths through μ and through σ².
"""

from __future__ import annotations

import math

from scratchnet.page.addresses import Index, format_address
from scratchnet.page.parts import Factor, Parts, Term, parts, product
from scratchnet.page.passes import Record
from scratchnet.page.terms.moving import unravelled


def inner(record: Record, name: str, index: Index) -> Factor:
    """x̂, mean, var or scale."""
    return Factor(format_address(name, record.key, index), float(record.inner[name][index]))


def gradient(record: Record, name: str, index: Index) -> Factor:
    """dγ or dβ."""
    return Factor(format_address(f"d{name}", record.key, index), float(record.gradients[name][index]))


def positions(record: Record, c: int) -> list[Index]:
    """All indices of a channel."""
    *sizes, _ = record.x.shape
    return [(*unravelled((place,), tuple(sizes)), c) if sizes else (c,) for place in range(math.prod(sizes))]


def output(record: Record, index: Index) -> Parts:
    """y = γ x̂ + β."""
    c = index[-1:]
    return parts("y = γ · x̂ + β", [
        product(record.array("gamma", c), inner(record, "x_hat", index)),
        product(record.array("beta", c), label="β"),
    ])  # fmt: skip


def x_hat(record: Record, index: Index) -> Parts:
    """x̂ = scale · (x - μ)."""
    scale, mean = inner(record, "scale", index[-1:]), inner(record, "mean", index[-1:])
    return parts("x̂ = scale · x - scale · μ", [product(scale, record.input(index)), product(scale, mean, times=-1)])


def scale(record: Record, index: Index) -> Parts:
    """scale = 1 / √(σ² + ε)."""
    var = inner(record, "var", index)
    return parts("scale = 1 / √(σ² + ε)", [Term(1 / math.sqrt(var.value + record.layer.epsilon), (var,))])


def mean(record: Record, index: Index) -> Parts:
    """μ: the channel's mean in training, the running mean in evaluation."""
    if not record.inner["m"]:
        return parts("μ = running_mean", [product(record.array("running_mean", index))])
    where = positions(record, *index)
    return parts("μ = Σ x / m", (product(record.input(place), times=1 / len(where)) for place in where))


def var(record: Record, index: Index) -> Parts:
    """σ²: the mean of (x - μ)² in training, the running variance in evaluation."""
    if not record.inner["m"]:
        return parts("σ² = running_var", [product(record.array("running_var", index))])
    where, center = positions(record, *index), inner(record, "mean", index)
    return parts("σ² = Σ (x - μ)² / m", (
        Term((x.value - center.value) ** 2 / len(where), (x, center)) for x in map(record.input, where)
    ))  # fmt: skip


def input_gradient(record: Record, index: Index) -> Parts:
    """dx = γ scale (dy - dβ / m - x̂ dγ / m); in evaluation without the last two."""
    c = index[-1:]
    factors = record.array("gamma", c), inner(record, "scale", c)
    terms = [product(*factors, record.upstream(index), label="direct")]
    m = record.inner["m"]
    if m:
        terms.append(product(*factors, gradient(record, "beta", c), times=-1 / m, label="through μ"))
        way = inner(record, "x_hat", index), gradient(record, "gamma", c)
        terms.append(product(*factors, *way, times=-1 / m, label="through σ²"))
    return parts("dx = γ · scale · (dy - dβ / m - x̂ · dγ / m)" if m else "dx = γ · scale · dy", terms)


def gamma_gradient(record: Record, index: Index) -> Parts:
    """dγ = Σ dy x̂."""
    where = positions(record, *index)
    return parts("dγ = Σ dy · x̂", (product(record.upstream(at), inner(record, "x_hat", at)) for at in where))


def beta_gradient(record: Record, index: Index) -> Parts:
    """dβ = Σ dy."""
    return parts("dβ = Σ dy", (product(record.upstream(at)) for at in positions(record, *index)))
