"""The study: all trials, in one file that several processes share and that survives each of them.

The file is Optuna's *journal*: one line per event, append-only. (Optuna's other storage on one machine is SQLite. Its
documentation advises against SQLite for several processes: a transaction that has read and then writes fails if another
process wrote in between.) `scratchnet.search.lock` solves two problems of a journal: the lock of a killed process,
and its incomplete line.

A process requests its next trial under a lock. It first checks all running trials: a trial whose process has ended is
marked as failed, and its settings are queued again. Therefore no cleanup depends on a process that might be killed,
and a search resumes when the same command is run again.

The settings of the n-th trial depend on the seed, n, and the trials so far. A single process that is interrupted and
restarted draws the same settings as one without interruption.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.search.places import LOG, Elsewhere, Folder
from scratchnet.search.space import SEARCHED, Choice, Range, own_values, space, train_options

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial, TrialState

KEPT = 3  # the best 1/KEPT of the trials continues after 1, 3, 9, 27 epochs
TRIES = 3  # settings are not queued again after this many killed processes


class Search:
    """A study, new or resumed.

    settings: what makes trials comparable, as plain data. Raises ValueError if the study was started with others.
    recipe: the start of the search, and its first trial. searched: the settings to vary, names of `space.SEARCHED`.
    seed: of the drawn values. halving: whether trials with low accuracy are stopped early. storage: where several
    machines find the study (see `places.open_storage`), and its name there; None: in the folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        settings: dict[str, Any],
        recipe: Any,
        searched: Iterable[str] = SEARCHED,
        seed: int = 0,
        halving: bool = True,
        storage: str | None = None,
        name: str = "search",
    ):
        optuna = import_optuna()
        self.folder, self.recipe, self.seed = Path(folder), recipe, seed
        self.space = space(recipe, searched)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.place: Folder | Elsewhere = Folder(self.folder) if storage is None else Elsewhere(storage)
        self.distributions = {name: distribution(values) for name, values in self.space.items()}
        rungs = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=KEPT)
        with self.place.lock:
            self.study = optuna.create_study(
                study_name=name, direction="maximize", load_if_exists=True, storage=self.place.storage(),
                pruner=rungs if halving else optuna.pruners.NopPruner(),
            )  # fmt: skip
            tried = {name: str(values) for name, values in self.space.items()}
            settings = settings | {"recipe": str(recipe), "tried": tried, "halving": halving}
            begun = self.study.user_attrs.get("settings")
            if begun is None:
                self.study.set_user_attr("settings", settings)
                own = own_values(recipe)
                self.study.enqueue_trial({name: own[name] for name in self.space}, skip_if_exists=True)
            elif begun != settings:
                what = differences(begun, settings)
                where, cure = (folder, "--out") if storage is None else (f"the study {name}", "--study")
                raise ValueError(f"{where} was started with other settings: {what}. Give another {cure}")
        self.settings = settings

    def ask(self, total: int) -> Trial | None:
        """The next trial with drawn settings; None if there are already `total`, not counting failed ones.

        Several machines that ask at the same moment may get a few more.
        """
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        with self.place.lock:
            worker = self.place.begin()
            self.requeue_dead_trials()
            begun = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
            number = len(self.study.get_trials(deepcopy=False, states=begun))
            if number >= total:
                return None
            apart = [zlib.crc32(worker.encode())] if isinstance(self.place, Elsewhere) else []  # no lock: numbers meet
            seed = int(np.random.SeedSequence([self.seed, number, *apart]).generate_state(1)[0])
            self.study.sampler = TPESampler(seed=seed, multivariate=True, constant_liar=True)
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("worker", worker)
            trial.set_user_attr("options", train_options(trial.params, self.recipe))
            self.place.watch(trial)
            return trial

    def requeue_dead_trials(self) -> None:
        """Mark the trials of ended processes as failed and queue them again. The caller must hold the lock."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if self.place.has_ended(trial):
                self.requeue(trial, trial.user_attrs.get("tries", 1) + 1)

    def requeue_interrupted(self, trial: Trial, reason: str) -> None:
        """Mark an interrupted trial as failed, and queue its settings again."""
        with self.place.lock:
            trial.set_user_attr("reason", reason)
            self.requeue(trial, trial.user_attrs.get("tries", 1))

    def requeue(self, trial: Trial | FrozenTrial, tries: int) -> None:
        """Mark a trial as failed and queue its settings again, at most TRIES times."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self.study.tell(trial.number, state=trial_state("FAIL"))
        except (UpdateFinishedTrialError, ValueError):
            return  # another worker was faster
        if tries <= TRIES:
            self.study.enqueue_trial(trial.params, user_attrs={"tries": tries})

    def is_unsure(self) -> bool:
        """Whether there may be a trial of a worker that has ended; `ask` again after a moment."""
        running = self.study.get_trials(deepcopy=False, states=[trial_state("RUNNING")])
        return self.place.is_unsure(running)

    def close(self) -> None:
        """Unregister this process as a worker."""
        self.place.end()


def is_begun(folder: str | os.PathLike[str]) -> bool:
    """Whether the folder contains a search."""
    return (Path(folder) / LOG).exists()


def distribution(values: Range | Choice) -> BaseDistribution:
    """The corresponding distribution of Optuna."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.options)
    if values.step is not None:
        return IntDistribution(int(values.low), int(values.high), step=values.step)
    return FloatDistribution(values.low, values.high, log=values.log)


def trial_state(name: str) -> TrialState:
    """COMPLETE, PRUNED (stopped early), FAIL (to be tried again) or RUNNING."""
    from optuna.trial import TrialState

    return TrialState[name]


def differences(begun: dict[str, Any], now: dict[str, Any]) -> str:
    """epochs was 5 and is 3, ..."""
    names = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
    return ", ".join(f"{name} was {begun.get(name)} and is {now.get(name)}" for name in names)


def import_optuna() -> ModuleType:
    """Optuna, logging warnings only; or ImportError with the command that installs it."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            f"a search needs Optuna ({error}). Run: python -m pip install -e '.[tune]' "
            "(outside the repository: python -m pip install 'optuna>=5,<6')"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
