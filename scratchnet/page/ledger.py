"""The ledger: every number of a training step says what it is made of.

    explain(model, x, label, "dW/4.conv2d/1,2,0,7")  ->  value, formula, terms

A term is a product of other numbers, each with its own address; so a reader can follow a derivative back to the pixels
and the label, term by term. One law holds for all of them: constant + Σ terms = value.

The values are those of the layers' own forward and backward (`passes`), the terms are written from the formulas
(`terms`). That both agree is a test of either.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.layers import LAYERS
from scratchnet.optimizers import Optimizer, as_optimizer
from scratchnet.page.addresses import OF_THE_MODEL, Address, Index, format_address, parse_address
from scratchnet.page.parts import Factor, Parts, Term, parts, product
from scratchnet.page.passes import Pass, Record
from scratchnet.page.printing import as_html, as_text
from scratchnet.page.terms import OF_THE_OUTPUTS, RULES
from scratchnet.page.terms.steps import Step, new_value


@dataclass(frozen=True, repr=False)
class Explanation:
    """A number and what it is made of; unpacks as value, formula, terms. Printed, it is a table, in notebooks too."""

    address: str
    value: float
    formula: str
    constant: float
    terms: tuple[Term, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.value, self.formula, self.terms))

    def total(self) -> float:
        """constant + Σ terms, which is the value but for rounding."""
        return math.fsum([self.constant, *(term.value for term in self.terms)])

    __str__ = __repr__ = as_text
    _repr_html_ = as_html


def explain(
    model: Any, x: Any, label: int, address: str,
    training: bool = False, seed: int = 0, optimizer: Optimizer | str = "sgd",
) -> Explanation:  # fmt: skip
    """What a number of a training step is made of: its value, its formula and its terms, calculated in float64.

    x: one image as `predict` takes it. label: its class. address: see `scratchnet.page.addresses`.
    training: False for evaluation mode; True for a step on this image alone, with the dropout masks of `seed`.
    optimizer: whose step the addresses new.W/... are about.
    Raises ValueError for an address that the model does not have; it lists what there is.

    >>> value, formula, terms = explain(model, x[0], 3, "dlogits/3")
    >>> formula, len(terms), bool(value < 0)
    ('dz[k] = p[k] - [k = label]', 1, True)
    """
    return explain_in(Pass(model, x, label, training, seed), address, optimizer)


def explain_in(run: Pass, address: str, optimizer: Optimizer | str = "sgd") -> Explanation:
    """The same in a pass that was made before: for many numbers of one image."""
    kind, key, index = parse_address(address)
    place = Address(kind, key, index)
    if not key:
        value, made_of = of_the_model(run, place)
    elif kind.startswith("new."):
        step = Step(run, record_of(run, place), expect_parameter(run, place), index, as_optimizer(optimizer))
        value, made_of = step.value, new_value(step)
    else:
        record = record_of(run, place)
        value = float(numbers(record, place)[expect_index(numbers(record, place).shape, place)])
        made_of = of_a_layer(run, record, place)
    return Explanation(format_address(kind, key, index), value, made_of.formula, made_of.constant, made_of.terms)


def of_the_model(run: Pass, place: Address) -> tuple[float, Parts]:
    """x, dx, and everything behind the last layer."""
    if place.kind not in OF_THE_MODEL:
        layers = ", ".join(run.by_key)
        raise ValueError(
            f"address {text(place)!r}: {place.kind!r} needs a layer, {place.kind}/LAYER/INDEX. Layers: {layers}"
        )
    array = np.array(run.loss) if place.kind == "loss" else getattr(run, place.kind)
    value = float(array[expect_index(array.shape, place)])
    if place.kind == "x":
        return value, parts("a pixel of the input", constant=value)
    if place.kind == "dx":
        return value, input_gradient(run.records[0], place.at)
    return value, OF_THE_OUTPUTS[place.kind](run, place.at)


def of_a_layer(run: Pass, record: Record, place: Address) -> Parts:
    """Formula and terms of a number that belongs to a layer."""
    kind, index = place.kind, place.at
    if kind == "dy":
        return upstream(run, record, index)
    if kind in (*record.layer.params, *record.layer.state):
        what = "a parameter of the model" if kind in record.layer.params else "gathered in training"
        return parts(what, constant=record.array(kind, index).value)
    expect_builtin(record, place)
    if kind == "y":
        return RULES[record.kind].output(record, index)
    return input_gradient(record, index) if kind == "dx" else RULES[record.kind].others[kind](record, index)


def upstream(run: Pass, record: Record, index: Index) -> Parts:
    """dy of a layer: dx of the layer behind it, or what comes back to the end of its row."""
    row, owner = row_of(run, record)
    place = row.index(record)
    if place + 1 < len(row):
        return input_gradient(row[place + 1], index)
    if owner is not None:
        return parts("dy of the block: both ways are added", [product(owner.upstream(index))])
    dlogit = Factor(format_address("dlogits", index=index), float(run.dlogits[index]))
    return parts("dy[k] = dz[k]: the last layer gives the logits", [product(dlogit)])


def row_of(run: Pass, record: Record) -> tuple[list[Record], Record | None]:
    """The row that a record stands in, and the block that this row belongs to, if any."""
    for owner in run.by_key.values():
        for row in (owner.stages, owner.shortcut):
            if any(inner is record for inner in row):
                return row, owner
    return run.records, None


def input_gradient(record: Record, index: Index) -> Parts:
    """dx of a layer."""
    expect_builtin(record, Address("dx", record.key, index))
    return RULES[record.kind].input_gradient(record, index)


# which numbers there are


def kinds(record: Record) -> dict[str, np.ndarray]:
    """The numbers of a layer by their kind: y, dy, dx, its arrays, their gradients, and what is inside."""
    arrays = (
        {}
        if record.stages
        else {name: getattr(record.layer, name) for name in record.layer.params + record.layer.state}
    )
    found = {"y": record.y, "dy": record.dy, "dx": record.dx, **arrays}
    found |= {f"d{name}": g for name, g in record.gradients.items()}
    if record.kind == "BatchNorm":
        found |= {name: value for name, value in record.inner.items() if name != "m"}
    return found


def numbers(record: Record, place: Address) -> np.ndarray:
    """The array of this kind, or a ValueError that lists the kinds there are."""
    found = kinds(record)
    if place.kind not in found:
        more = "".join(f", new.{name}" for name in record.gradients)
        raise ValueError(f"address {text(place)!r}: {record.key} has {', '.join(found)}{more}, and no {place.kind!r}")
    return found[place.kind]


def record_of(run: Pass, place: Address) -> Record:
    """The layer's record, or a ValueError that lists the layers."""
    if place.key not in run.by_key:
        near = difflib.get_close_matches(place.key, run.by_key, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"address {text(place)!r}: no layer is called {place.key!r}.{hint} The layers are {', '.join(run.by_key)}."
        )
    return run.by_key[place.key]


def expect_parameter(run: Pass, place: Address) -> str:
    """W of new.W, if the layer has it and the index fits."""
    name, record = place.kind.removeprefix("new."), record_of(run, place)
    if name not in record.gradients:
        known = ", ".join(f"new.{known}" for known in record.gradients) or "no parameters"
        raise ValueError(f"address {text(place)!r}: {record.key} has {known}")
    expect_index(record.gradients[name].shape, place)
    return name


def expect_index(shape: tuple[int, ...], place: Address) -> Index:
    """The index, if an array of this shape has it."""
    if len(place.at) != len(shape) or any(i >= size for i, size in zip(place.at, shape, strict=True)):
        raise ValueError(
            f"address {text(place)!r}: {format_address(place.kind, place.key)} has shape {shape}, "
            f"so its last number is {format_address(place.kind, place.key, tuple(size - 1 for size in shape))}"
        )
    return place.at


def expect_builtin(record: Record, place: Address) -> None:
    """Raise ValueError for a layer of the user's own: its terms are not known."""
    if type(record.layer) is not LAYERS.get(record.kind):
        raise ValueError(
            f"address {text(place)!r}: {record.key} ({record.kind}) is a layer of your own: its formula is not known. "
            "Its values can be read: scratchnet.page.passes.Pass(model, x, label).by_key"
        )


def text(place: Address) -> str:
    """The address as it was written."""
    return format_address(*place)
