"""One trial: a training run with drawn settings, stopped early if its accuracy is low."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scratchnet.callbacks import Callback
from scratchnet.divergence import TrainingDivergedError
from scratchnet.search.results import Record, kept_epoch, record
from scratchnet.search.study import Search, trial_state

if TYPE_CHECKING:
    from optuna.trial import Trial


class Report(Callback):
    """Report every epoch's validation accuracy to the study, and stop training if it is not among the best."""

    def __init__(self, trial: Trial):
        self.trial, self.behind = trial, False
        self.epochs: list[dict[str, float]] = []

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        self.epochs.append({name: logs[name] for name in ("val_accuracy", "val_loss", "seconds")})
        self.trial.report(logs["val_accuracy"], step=run.epoch + 1)
        if run.epoch + 1 < run.epochs and self.trial.should_prune():
            self.behind = run.stop = True


def run_trials(
    search: Search, train: Callable[[dict[str, Any], Callback], dict[str, Any]], total: int,
    keep_going: Callable[[], bool] = lambda: True,
) -> Iterator[Record]:  # fmt: skip
    """Run trials until there are `total`, or until keep_going() is false; yield the record of each.

    train(options, callback): trains with these options of scripts/train.py and one additional callback, and returns
    the results to keep, as plain data. A run that diverges is a bad trial; an interrupted one is queued again.
    """
    try:
        while keep_going():
            if (trial := search.ask(total)) is None:
                if not search.is_unsure():
                    return
                time.sleep(1)
                continue
            try:
                run_trial(search, trial, train)
            except BaseException as error:
                search.requeue_interrupted(trial, f"{type(error).__name__} {error}".strip())
                raise
            yield record(search.study.trials[trial.number])
    finally:
        search.close()


def run_trial(search: Search, trial: Trial, train: Callable[[dict[str, Any], Callback], dict[str, Any]]) -> None:
    """Train, and report the result to the study."""
    from optuna.exceptions import UpdateFinishedTrialError

    with suppress(UpdateFinishedTrialError):  # this worker was taken for ended, and its trial was queued again
        train_and_tell(search, trial, train)


def train_and_tell(search: Search, trial: Trial, train: Callable[[dict[str, Any], Callback], dict[str, Any]]) -> None:
    """Train; what came of it, or why nothing did, goes to the study."""
    start, report, value = time.perf_counter(), Report(trial), None
    try:
        kept = train(trial.user_attrs["options"], report)
        if not report.behind:
            accuracies = [epoch["val_accuracy"] for epoch in report.epochs]
            value = accuracies[kept_epoch(accuracies, search.recipe.keep) - 1]
    except (TrainingDivergedError, MemoryError) as error:
        kept = {"reason": str(error) or type(error).__name__}
    seconds = round(time.perf_counter() - start, 2)
    for name, fact in {**kept, "keep": search.recipe.keep, "epochs": report.epochs, "seconds": seconds}.items():
        trial.set_user_attr(name, fact)
    state = trial_state("PRUNED" if value is None else "COMPLETE")
    search.study.tell(trial, value, state=state, skip_if_finished=True)
