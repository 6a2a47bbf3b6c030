"""What an explanation is made of: terms, and the numbers that each term is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Factor(NamedTuple):
    """A number that a term is made of, and where it is explained itself."""

    address: str
    value: float


class Term(NamedTuple):
    """A part of a sum. group: terms of one group belong together, such as those of one input channel."""

    value: float
    factors: tuple[Factor, ...] = ()
    label: str = ""
    group: str = ""


class Parts(NamedTuple):
    """formula: what is calculated, in letters. The number is constant + the sum of the terms."""

    formula: str
    terms: tuple[Term, ...] = ()
    constant: float = 0.0


def product(*factors: Factor, times: float = 1.0, label: str = "", group: str = "") -> Term:
    """The term times · Π factors.

    >>> product(Factor("x/0", 3.0), Factor("W/0.dense/0,1", 2.0)).value
    6.0
    """
    return Term(times * math.prod(factor.value for factor in factors), factors, label, group)


def parts(formula: str, terms: Iterable[Term] = (), constant: float = 0.0) -> Parts:
    """The same with any iterable of terms."""
    return Parts(formula, tuple(terms), float(constant))
