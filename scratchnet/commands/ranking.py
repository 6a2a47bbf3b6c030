"""The trials of a search in the terminal: a line when one ends, and a table of the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scratchnet.figures.picture import percent
from scratchnet.figures.search import in_words
from scratchnet.process.pipes import console


def print_ranking(ranked: Sequence[Any]) -> None:
    """The best trials."""
    from rich.table import Table

    table = Table("trial", "accuracy", "loss", "parameters", "settings", box=None, header_style="bold", pad_edge=False)
    for trial in ranked:
        scores = f"{trial.accuracy:.2%}", f"{trial.kept['val_loss']:.4f}", f"{trial.parameters:,}"
        table.add_row(str(trial.number), *scores, in_words(trial.options))
    console().print(table)


def line(trial: Any) -> str:
    """trial 7: 98.41 %, stopped after 1 epoch, 3.2 s: lr 0.00123, optimizer adam"""
    epochs = f"{len(trial.epochs)} epoch{'s' * (len(trial.epochs) != 1)}"
    came = f"{percent(trial.accuracy, 2)}, " if trial.epochs else ""
    return f"trial {trial.number}: {came}{trial.state} after {epochs}, {trial.seconds:.1f} s: {in_words(trial.options)}"
