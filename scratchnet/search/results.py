"""The results of a search: the best trial, the trials that are as good, and the important settings.

The best of many trials is partly selected by luck. On 5,000 validation images an accuracy of 99 % is known to about a
quarter of a point. Trials within that distance of the best one are equally good, and the smallest or the fastest of
them may be the better choice.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scratchnet.data.atomic import replacing
from scratchnet.metrics import wilson_interval
from scratchnet.search.space import Choice, Range

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STATES = {"COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "interrupted", "RUNNING": "running", "WAITING": "queued"}


@dataclass(frozen=True)
class Record:
    """A trial as plain data. drawn: Optuna's values. options: of scripts/train.py. epochs: its validation history.

    keep: whether its recipe keeps the "best" weights or the "last" ones.
    """

    number: int
    state: str  # a value of STATES, or "diverged"
    drawn: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    parameters: int = 0
    keep: str = "best"
    reason: str = ""

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights scripts/train.py would keep, from 1; 0 if there is none."""
        return kept_epoch([epoch["val_accuracy"] for epoch in self.epochs], self.keep)

    @property
    def kept(self) -> dict[str, float]:
        """The measurements after the kept epoch."""
        return self.epochs[self.kept_epoch - 1]

    @property
    def accuracy(self) -> float:
        """The accuracy of the kept epoch; 0 if there is none."""
        return self.kept["val_accuracy"] if self.epochs else 0.0


def kept_epoch(accuracies: Sequence[float], keep: str) -> int:
    """The number of the last epoch, or of the first one with the best accuracy, from 1; 0 if there is none."""
    if not accuracies:
        return 0
    return len(accuracies) if keep == "last" else accuracies.index(max(accuracies)) + 1


def record(trial: FrozenTrial) -> Record:
    """The record of one of Optuna's trials."""
    told, names = trial.user_attrs, ("options", "epochs", "seconds", "parameters", "keep", "reason")
    facts = {name: told[name] for name in names if name in told}
    state = STATES[trial.state.name]
    return Record(trial.number, "diverged" if state == "stopped" and "reason" in told else state, trial.params, **facts)


def records(search: Any) -> list[Record]:
    """All trials of a study, in order."""
    return [record(trial) for trial in search.study.get_trials(deepcopy=False)]


def ranking(trials: Sequence[Record]) -> list[Record]:
    """The finished trials, the best first; at equal accuracy, the one with the lower loss."""
    finished = [trial for trial in trials if trial.state == "finished"]
    return sorted(finished, key=lambda trial: (-trial.accuracy, trial.kept["val_loss"], trial.number))


def as_good(trials: Sequence[Record], examples: int) -> list[Record]:
    """The finished trials with an accuracy within the best one's 95 % interval on this many images, best first."""
    ranked = ranking(trials)
    low = wilson_interval(round(ranked[0].accuracy * examples), examples)[0] if ranked else 0
    return [trial for trial in ranked if trial.accuracy >= low]


def importances(trials: Sequence[Record], space: dict[str, Range | Choice]) -> dict[str, float]:
    """Name -> importance of the setting for being in the best quarter; the sum is 1. Empty below ten trials.

    PED-ANOVA (Watanabe, Bansal, Hutter 2023, arXiv 2304.10255): a setting is important if its values in the good trials
    are distributed differently from its values in all trials.
    """
    import optuna

    from scratchnet.search.study import distribution

    ended = [trial for trial in trials if trial.state in ("finished", "stopped", "diverged")]
    if len(ended) < 10 or len(space) < 2:
        return {}
    study, known = optuna.create_study(direction="maximize"), {n: distribution(values) for n, values in space.items()}
    for trial in ended:
        study.add_trial(optuna.create_trial(params=trial.drawn, distributions=known, value=trial.accuracy))
    judge = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    return optuna.importance.get_param_importances(study, evaluator=judge)


def write_results(out: str | os.PathLike[str], trials: Sequence[Record], best: dict[str, Any]) -> None:
    """Write trials.csv, with one row per trial, and best.json, if a trial has finished."""
    out = Path(out)
    names = list(dict.fromkeys(name for trial in trials for name in trial.options))
    columns = ["trial", "state", "val_accuracy", "val_loss", "kept_epoch", "epochs", "seconds", "parameters", *names]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*columns, "reason"])
    for trial in trials:
        at = trial.kept if trial.epochs else {}
        came = [at.get("val_accuracy"), at.get("val_loss"), trial.kept_epoch, len(trial.epochs), trial.seconds]
        options = (" ".join(map(str, v)) if isinstance(v := trial.options.get(n, ""), list) else v for n in names)
        writer.writerow([trial.number, trial.state, *came, trial.parameters, *options, trial.reason])
    with replacing(out / "trials.csv") as file:
        file.write(text.getvalue().encode())
    if best:
        with replacing(out / "best.json") as file:
            file.write(json.dumps(best, indent=2).encode() + b"\n")
