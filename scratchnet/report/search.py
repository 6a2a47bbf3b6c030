"""The page of a search: the best settings as a command, the other trials, and the good values."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scratchnet import figures
from scratchnet.data.atomic import replacing
from scratchnet.figures.picture import Picture, draw_all, percent
from scratchnet.report.markup import cards, command, details, document, duration, facts, section, show, shown, table


def write_search(
    out: str | os.PathLike[str], trials: Sequence[Any], as_good: Sequence[Any], best: dict[str, Any],
    space: dict[str, Any], shares: dict[str, float], settings: dict[str, Any],
) -> None:  # fmt: skip
    """Write figures and report.html into `out`.

    trials: the records of a search, at least one finished; as_good: those as good as the best, the best first. best:
    the content of best.json. space: name -> Range or Choice. shares: the importance of each setting, or empty.
    settings: those common to all trials.
    """
    out = Path(out)
    drawn = draw_all(pictures(trials, space, shares), out / "figures")
    with replacing(out / "report.html") as file:
        file.write(search_page(trials, as_good, best, drawn, settings).encode(errors="backslashreplace"))


def pictures(
    trials: Sequence[Any], space: dict[str, Any], shares: dict[str, float]
) -> dict[str, Callable[[], Picture | None]]:
    """Name -> a function that draws the picture, or returns None if it does not apply to this search."""
    return {
        "search_history": lambda: figures.search_history(trials),
        "halving": lambda: figures.halving(trials),
        "slices": lambda: figures.slices(trials, space) if space else None,
        "importance": lambda: figures.importance(shares) if shares else None,
    }


def search_page(
    trials: Sequence[Any],
    as_good: Sequence[Any],
    best: dict[str, Any],
    drawn: dict[str, Picture],
    settings: dict[str, Any],
) -> str:
    """The content of report.html."""
    name = f"Search: {settings['preset']} on {settings['dataset']}"
    finished = sorted((trial for trial in trials if trial.state == "finished"), key=lambda trial: -trial.accuracy)
    others = [trial for trial in trials if trial.state != "finished"]
    parts = [
        headline(name, trials, as_good, best),
        section("How did it go?", show(drawn, "search_history", "halving")),
        section("Which values are good?", show(drawn, "slices", "importance")),
        section("The finished trials", trial_table(finished),
                details(f"The other {len(others)}", trial_table(others)) if others else ""),
        section("The same for all trials", facts((key, shown(value)) for key, value in settings.items())),
    ]  # fmt: skip
    footer = f"scratchnet {best['scratchnet']}.\nEach picture is also in the folder figures, with its numbers as CSV."
    return document(f"{name}: {percent(best['val_accuracy'], 2)}", parts, footer)


def headline(name: str, trials: Sequence[Any], as_good: Sequence[Any], best: dict[str, Any]) -> str:
    """The best accuracy, its command, and how reliable it is."""
    ended = [trial for trial in trials if trial.epochs]
    first = [
        ("trials", f"{len(trials):,}"),
        ("finished", f"{sum(trial.state == 'finished' for trial in trials):,}"),
        ("epochs trained", f"{sum(len(trial.epochs) for trial in ended):,}"),
        ("time in trials", duration(sum(trial.seconds for trial in trials))),
        ("parameters", f"{best['parameters']:,}"),
        ("validation loss", f"{best['val_loss']:.4f}"),
    ]
    return f"""<header>
<h1>{escape(name)}</h1>
<p class="big">{escape(percent(best["val_accuracy"], 2))}</p>
<p>of {best["images"]["validation"]:,} validation images are recognised by trial {best["trial"]}, the best.
{escape(luck(as_good))}</p>
{cards(first)}<p>Train it, and measure it on the test set, which the search did not use:</p>
{command(best["command"])}</header>
"""


def luck(as_good: Sequence[Any]) -> str:
    """The number of trials within the best one's interval, and the smallest of them."""
    if len(as_good) == 1:
        return "No other trial is within its 95 % interval. The best of many trials is nevertheless partly luck."
    small = min(as_good, key=lambda trial: trial.parameters)
    said = f"{len(as_good)} trials are within the 95 % interval of the best; their differences may be chance."
    if small is not as_good[0]:
        size = f"{percent(small.accuracy, 2)} with {small.parameters:,} parameters"
        said += f" The smallest is trial {small.number}, {size}."
    return said


def trial_table(trials: Sequence[Any]) -> str:
    """One row per trial."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.options))
    body = []
    for trial in trials:
        options = [trial.options.get(name, "") for name in names]
        words = [" ".join(map(str, value)) if isinstance(value, list) else str(value) for value in options]
        accuracy = percent(trial.accuracy, 2) if trial.epochs else ""
        loss = f"{trial.kept['val_loss']:.4f}" if trial.epochs else ""
        numbers = [accuracy, loss, str(len(trial.epochs)), f"{trial.parameters:,}", f"{trial.seconds:.1f}"]
        state = "" if trial.state == "finished" else f" {trial.state}"
        body.append([f"{trial.number}{state}", *numbers, *words])
    columns = ["trial", "accuracy", "loss", "epochs", "parameters", "seconds"]
    return table([*columns, *(name.replace("_", " ") for name in names)], body)
