"""Figures of a search: its course, the trials stopped early, the good values, and the important settings.

trials: records of `scratchnet.search`; number, state, drawn, options, epochs and accuracy are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.figures.picture import BLUE, GREEN, ORANGE, RED, SMALL, TEXT, Picture, new_figure, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGNS = {"finished": (BLUE, "o"), "stopped": (ORANGE, "v"), "diverged": (RED, "x")}  # state -> colour, marker


def search_history(trials: Sequence[Any]) -> Picture:
    """Every trial's accuracy, and the best so far."""
    ended = [trial for trial in trials if trial.state in SIGNS]
    figure = new_figure(8, 3)
    axes = figure.subplots()
    for state in SIGNS:
        scatter(axes, state, [(t.number, t.accuracy) for t in ended if t.state == state and t.epochs])
    finished = [trial for trial in ended if trial.state == "finished"]
    best = np.maximum.accumulate([trial.accuracy for trial in finished])
    numbers = [trial.number for trial in finished] + [ended[-1].number]
    axes.step(numbers, [*best, best[-1]], where="post", color=GREEN, label="best so far")
    finish(axes)
    axes.set_xlabel("trial", fontsize=SMALL)
    axes.set_ylabel("validation accuracy", fontsize=TEXT)
    first, last = finished[0], max(finished, key=lambda trial: trial.accuracy)
    title = f"Trial {last.number} is the best, {percent(last.accuracy, 2)}"
    if last is not first:
        title += f"; trial {first.number}, the first to finish, had {percent(first.accuracy, 2)}"
    return Picture(
        "search_history", title,
        "Each marker is a trial, with the accuracy of the epoch that it would keep. Trials that were stopped early are "
        "drawn with their accuracy at that time.",
        figure, ["trial", "state", "val_accuracy"],
        [[trial.number, trial.state, trial.accuracy if trial.epochs else ""] for trial in ended],
    )  # fmt: skip


def halving(trials: Sequence[Any]) -> Picture:
    """Each trial's accuracy over the epochs; trials with low accuracy end early."""
    ended = [trial for trial in trials if trial.state in SIGNS and trial.epochs]
    figure = new_figure(8, 3.2)
    axes = figure.subplots()
    for trial in sorted(ended, key=lambda trial: trial.accuracy):
        colour, marker = SIGNS[trial.state]
        accuracy = [epoch["val_accuracy"] for epoch in trial.epochs]
        axes.plot(range(1, len(accuracy) + 1), accuracy, color=colour, alpha=0.6, linewidth=1)
        axes.plot(len(accuracy), accuracy[-1], color=colour, marker=marker, markersize=5)
    for state, (colour, marker) in SIGNS.items():
        if any(trial.state == state for trial in ended):
            axes.plot([], [], color=colour, marker=marker, label=state)
    finish(axes)
    axes.set_xlabel("epoch", fontsize=SMALL)
    axes.set_ylabel("validation accuracy", fontsize=TEXT)
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    trained = sum(len(trial.epochs) for trial in ended)
    longest = max(len(trial.epochs) for trial in ended)
    stopped = sum(trial.state == "stopped" for trial in ended)
    title = f"{stopped} of {len(ended)} trials were stopped early: {trained} epochs instead of {len(ended) * longest}"
    return Picture(
        "halving", title,
        "One line per trial. Successive halving: after 1, 3, 9 ... epochs only the best third of all trials that "
        "reached this epoch continues.",
        figure, ["trial", "state", "epoch", "val_accuracy", "val_loss"],
        [[t.number, t.state, i, epoch["val_accuracy"], epoch["val_loss"]]
         for t in ended for i, epoch in enumerate(t.epochs, 1)],
    )  # fmt: skip


def slices(trials: Sequence[Any], space: dict[str, Any]) -> Picture:
    """One panel per setting: accuracy against value. space: name -> Range or Choice."""
    ended = [trial for trial in trials if trial.state in SIGNS and trial.epochs]
    best = max((trial for trial in ended if trial.state == "finished"), key=lambda trial: trial.accuracy)
    columns = min(4, len(space))
    figure = new_figure(8, 0.4 + 2 * -(-len(space) // columns))
    panels = figure.subplots(-(-len(space) // columns), columns, sharey=True, squeeze=False).ravel()
    for axes, (name, values) in zip(panels, space.items(), strict=False):
        options = list(getattr(values, "options", ()))
        for state in SIGNS:
            points = [(t.drawn[name], t.accuracy) for t in ended if t.state == state]
            scatter(axes, state, [(options.index(v) if options else v, accuracy) for v, accuracy in points])
        if options:
            words = list(map(str, options))
            axes.set_xticks(range(len(options)), words, rotation=30 if sum(map(len, words)) > 16 else 0)
            axes.set_xlim(-0.5, len(options) - 0.5)
        elif values.log:
            axes.set_xscale("log")
        value = best.drawn[name]
        axes.axvline(options.index(value) if options else value, color=GREEN, linestyle=":")
        axes.set_title(name.replace("_", " "), fontsize=TEXT)
        finish(axes, legend=False)
    for axes in panels[len(space) :]:
        axes.set_axis_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=SMALL)
    return Picture(
        "slices", f"The best trial: {in_words(best.options)}",
        "Every panel shows all trials; those stopped early have their accuracy at that time. Dotted: the best trial. "
        "A setting is important if its good trials are close together, and unimportant if they are spread evenly. A "
        "best value at the edge of its panel suggests a wider search. The learning rate is relative to the default of "
        "its optimizer.",
        figure, ["trial", "state", "val_accuracy", *space],
        [[t.number, t.state, t.accuracy, *(t.drawn[name] for name in space)] for t in ended],
    )  # fmt: skip


def importance(shares: dict[str, float]) -> Picture:
    """One bar per setting. shares: name -> its importance; the sum is 1."""
    names = sorted(shares, key=lambda name: shares[name])
    figure = new_figure(8, 0.7 + 0.28 * len(names))
    axes = figure.subplots()
    bars = axes.barh([name.replace("_", " ") for name in names], [shares[name] for name in names], color=BLUE)
    axes.bar_label(bars, [f"{100 * shares[name]:.0f} %" for name in names], padding=3, fontsize=SMALL)
    axes.set_xlim(0, 1.1 * max(shares.values()))
    axes.set_xticks([])
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    most = " and ".join(name.replace("_", " ") for name in names[:-3:-1])
    return Picture(
        "importance", f"The settings that distinguish the best trials most: {most}",
        "How much the values of the best quarter of the trials differ from those of all trials (PED-ANOVA), as shares. "
        "A value that the search preferred early, so that nearly all trials have it, distinguishes no trial and has a "
        "small share here. The panels of all settings show such values.",
        figure, ["setting", "share"], [[name, shares[name]] for name in reversed(names)],
    )  # fmt: skip


def in_words(options: dict[str, Any]) -> str:
    """{"lr": 0.001, "batch_size": 64, "widths": [32, 64]} -> lr 0.001, batch size 64, widths 32 64"""
    words = [" ".join(map(str, value)) if isinstance(value, list) else str(value) for value in options.values()]
    return ", ".join(f"{name.replace('_', ' ')} {word}" for name, word in zip(options, words, strict=True))


def scatter(axes: Axes, state: str, points: Sequence[tuple[Any, float]]) -> None:
    """Draw the trials of one state, with its colour and marker."""
    if points:
        colour, marker = SIGNS[state]
        axes.plot(*zip(*points, strict=True), linestyle="", color=colour, marker=marker, markersize=5, label=state)


def finish(axes: Axes, legend: bool = True) -> None:
    """Scale the accuracy axis by the logarithm of the error: 98 to 99 % is as far as 80 to 90 %."""
    axes.set_yscale("function", functions=(lambda a: -np.log10(np.maximum(1 - a, 1e-4)), lambda y: 1 - 10.0**-y))
    low, high = axes.dataLim.intervaly
    ticks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1]
    shown = [i for i, tick in enumerate(ticks) if low <= tick <= high] or [0]
    first, last = max(shown[0] - 1, 0), min(shown[-1] + 1, len(ticks) - 1)
    axes.set_yticks(ticks[first : last + 1])
    axes.set_ylim(min(ticks[first], low), min(max(ticks[last], high), 0.9999))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    axes.tick_params(which="both", labelsize=SMALL)
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(fontsize=SMALL, loc="lower right")
