"""What came of a search: which trial was best, which others were as good, and which settings mattered.

The best of many is also the luckiest of many. On 5,000 validation images an accuracy of 99 % is known to a quarter
of a point or so; trials that lie closer than that to the best one are as good as it is, and among them the smallest
or the fastest may be the better choice.
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
    """A trial as plain data. drawn: what Optuna saw. options: of scripts/train.py. epochs: its validation history.

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
        """The epoch whose weights scripts/train.py would have kept, from 1; 0 if there is none."""
        return kept_epoch([epoch["val_accuracy"] for epoch in self.epochs], self.keep)

    @property
    def kept(self) -> dict[str, float]:
        """What was measured after it."""
        return self.epochs[self.kept_epoch - 1]

    @property
    def accuracy(self) -> float:
        """The kept epoch's; 0 if there is none."""
        return self.kept["val_accuracy"] if self.epochs else 0.0


def kept_epoch(accuracies: Sequence[float], keep: str) -> int:
    """The number of the last epoch, or of the first that is best, from 1; 0 if there is none."""
    if not accuracies:
        return 0
    return len(accuracies) if keep == "last" else accuracies.index(max(accuracies)) + 1


def record(trial: FrozenTrial) -> Record:
    """Of one of Optuna's trials."""
    told, names = trial.user_attrs, ("options", "epochs", "seconds", "parameters", "keep", "reason")
    facts = {name: told[name] for name in names if name in told}
    state = STATES[trial.state.name]
    return Record(trial.number, "diverged" if state == "stopped" and "reason" in told else state, trial.params, **facts)


def records(search: Any) -> list[Record]:
    """All trials of a study, in order."""
    return [record(trial) for trial in search.study.get_trials(deepcopy=False)]


def ranking(trials: Sequence[Record]) -> list[Record]:
    """The finished trials, the best first; of equal accuracies the one with the lower loss."""
    finished = [trial for trial in trials if trial.state == "finished"]
    return sorted(finished, key=lambda trial: (-trial.accuracy, trial.kept["val_loss"], trial.number))


def as_good(trials: Sequence[Record], examples: int) -> list[Record]:
    """The finished trials whose accuracy is within the best one's 95 % interval on so many images, the best first."""
    ranked = ranking(trials)
    low = wilson_interval(round(ranked[0].accuracy * examples), examples)[0] if ranked else 0
    return [trial for trial in ranked if trial.accuracy >= low]


def importances(trials: Sequence[Record], space: dict[str, Range | Choice]) -> dict[str, float]:
    """Name -> its share in what makes a trial one of the best quarter, summing to 1; nothing of under ten trials.

    PED-ANOVA (Watanabe, Bansal, Hutter 2023, arXiv 2304.10255): a setting matters if the good trials have other values
    of it than all trials have.
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
    """Write trials.csv, a row per trial, and best.json, if there is a best one yet."""
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
