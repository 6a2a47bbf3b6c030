"""An explanation as text for a terminal, and as a table for a notebook."""

from __future__ import annotations

import html
from typing import Any

TERMS = 12  # printed; of a longer sum, the largest ones


def as_text(explanation: Any) -> str:
    """The value, the formula, and the terms, one a line.

    >>> print(as_text(sn.explain(model, x[0], 3, "db/2.dense/3")))
    db/2.dense/3 = -0...
        db[j] = dy[j]
        -0...  dy/2.dense/3 = -0...
    """
    lines = [f"{explanation.address} = {number(explanation.value)}", f"    {explanation.formula}"]
    rows, left_out = shown(explanation)
    width = max((len(number(term.value)) for term in rows), default=0)
    if explanation.constant and explanation.terms:
        lines.append(f"    {number(explanation.constant):>{width}}  constant")
    lines += [f"    {number(term.value):>{width}}  {made_of(term)}" for term in rows]
    return "\n".join([*lines, *([f"    {left_out}"] if left_out else [])])


def as_html(explanation: Any) -> str:
    """The same as an HTML table, without styles."""
    rows, left_out = shown(explanation)
    title = cell(f"{explanation.address} = {number(explanation.value)}")
    head = f"<caption><b>{title}</b><br>{cell(explanation.formula)}"
    constant = [("constant", explanation.constant, "")] if explanation.constant and explanation.terms else []
    body = [*constant, *((term.group, term.value, made_of(term)) for term in rows)]
    lines = "".join(
        f"<tr><td>{cell(group)}</td><td>{cell(number(value))}</td><td>{cell(what)}</td></tr>"
        for group, value, what in body
    )
    foot = f"<tfoot><tr><td colspan=3>{cell(left_out)}</td></tr></tfoot>" if left_out else ""
    return f"<table>{head}</caption><tbody>{lines}</tbody>{foot}</table>"


def shown(explanation: Any) -> tuple[list[Any], str]:
    """The terms to print, and a sentence about the others."""
    terms = explanation.terms
    if len(terms) <= TERMS:
        return list(terms), ""
    largest = sorted(terms, key=lambda term: -abs(term.value))[:TERMS]
    rest = explanation.value - explanation.constant - sum(term.value for term in largest)
    return largest, f"and {len(terms) - TERMS:,} smaller terms, together {number(rest)}"


def made_of(term: Any) -> str:
    """The numbers of a term with their addresses."""
    factors = " · ".join(f"{factor.address} = {number(factor.value)}" for factor in term.factors[:3])
    more = f" and {len(term.factors) - 3} more" if len(term.factors) > 3 else ""
    return "  ".join(part for part in (factors + more, f"({term.label})" if term.label else "") if part)


def number(value: float) -> str:
    """Six significant digits.

    >>> number(0.1234567891)
    '0.123457'
    """
    return f"{value + 0:.6g}"  # -0.0 + 0 is 0.0


def cell(text: str) -> str:
    """Text as HTML."""
    return html.escape(str(text))
