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
import platform
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.search.lock import JournalLock, Lock
from scratchnet.search.space import SEARCHED, Choice, Range, own_values, space, train_options

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial, TrialState

KEPT = 3  # the best 1/KEPT of the trials continues after 1, 3, 9, 27 epochs
LOG = "study.log"
TRIES = 3  # settings are not queued again after this many killed processes


class Search:
    """A study in a folder, new or resumed.

    settings: what makes trials comparable, as plain data. Raises ValueError if the study was started with others.
    recipe: the start of the search, and its first trial. searched: the settings to vary, names of `space.SEARCHED`.
    seed: of the drawn values. halving: whether trials with low accuracy are stopped early.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        settings: dict[str, Any],
        recipe: Any,
        searched: Iterable[str] = SEARCHED,
        seed: int = 0,
        halving: bool = True,
    ):
        optuna = import_optuna()
        self.folder, self.recipe, self.seed = Path(folder), recipe, seed
        self.space = space(recipe, searched)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.worker: Worker | None = None
        self.lock = Lock(self.folder / "ask.lock")
        self.distributions = {name: distribution(values) for name, values in self.space.items()}
        rungs = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=KEPT)
        with self.lock:
            backend = optuna.storages.journal.JournalFileBackend(
                str(self.folder / LOG), lock_obj=JournalLock(self.folder / LOG)
            )
            self.study = optuna.create_study(
                study_name="search", direction="maximize", load_if_exists=True,
                storage=optuna.storages.JournalStorage(backend),
                pruner=rungs if halving else optuna.pruners.NopPruner(),
            )  # fmt: skip
            tried = {name: str(values) for name, values in self.space.items()}
            settings = settings | {"recipe": str(recipe), "tried": tried, "halving": halving}
            begun = self.study.user_attrs.get("settings")
            if begun is None:
                self.study.set_user_attr("settings", settings)
                own = own_values(recipe)
                self.study.enqueue_trial({name: own[name] for name in self.space})
            elif begun != settings:
                what = differences(begun, settings)
                raise ValueError(f"{folder} was started with other settings: {what}. Give another --out")
        self.settings = settings

    def ask(self, total: int) -> Trial | None:
        """The next trial with drawn settings; None if there are already `total`, not counting failed ones."""
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        with self.lock:
            self.worker = self.worker or Worker(self.folder)
            self.requeue_dead_trials()
            begun = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
            number = len(self.study.get_trials(deepcopy=False, states=begun))
            if number >= total:
                return None
            seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
            self.study.sampler = TPESampler(seed=seed, multivariate=True, constant_liar=True)
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("worker", self.worker.name)
            trial.set_user_attr("options", train_options(trial.params, self.recipe))
            return trial

    def requeue_dead_trials(self) -> None:
        """Mark the trials of ended processes as failed and queue them again. The caller must hold the lock."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if not is_at_work(self.folder, trial.user_attrs.get("worker")):
                self.requeue(trial, trial.user_attrs.get("tries", 1) + 1)

    def requeue_interrupted(self, trial: Trial, reason: str) -> None:
        """Mark an interrupted trial as failed, and queue its settings again."""
        with self.lock:
            trial.set_user_attr("reason", reason)
            self.requeue(trial, trial.user_attrs.get("tries", 1))

    def requeue(self, trial: Trial | FrozenTrial, tries: int) -> None:
        """Mark a trial as failed and queue its settings again, at most TRIES times."""
        self.study.tell(trial.number, state=trial_state("FAIL"))
        if tries <= TRIES:
            self.study.enqueue_trial(trial.params, user_attrs={"tries": tries})

    def close(self) -> None:
        """Unregister this process as a worker."""
        if self.worker is not None:
            self.worker.end()
            self.worker = None


def is_begun(folder: str | os.PathLike[str]) -> bool:
    """Whether the folder contains a search."""
    return (Path(folder) / LOG).exists()


class Worker:
    """A working process, visible to the others: it locks its own file and records the file's name in its trials."""

    def __init__(self, folder: Path):
        self.name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        path = place_of(folder, self.name)
        path.parent.mkdir(exist_ok=True)
        self.lock = Lock(path)
        self.lock.acquire()

    def end(self) -> None:
        """Remove the file and release the lock."""
        self.lock.path.unlink(missing_ok=True)
        self.lock.release()


def is_at_work(folder: Path, name: str | None) -> bool:
    """Whether the worker of this name is running; the file of an ended worker is removed."""
    if name is None or not (path := place_of(folder, name)).exists():
        return False
    lock = Lock(path)
    if not lock.acquire(wait=False):
        return True
    path.unlink(missing_ok=True)
    lock.release()
    return False


def place_of(folder: Path, name: str) -> Path:
    """The file that a worker locks."""
    return folder / "workers" / name


def distribution(values: Range | Choice) -> BaseDistribution:
    """The corresponding distribution of Optuna."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.options)
    if values.step is not None:
        return IntDistribution(int(values.low), int(values.high), step=values.step)
    return FloatDistribution(values.low, values.high, log=values.log)


def trial_state(name: str) -> TrialState:
    """COMPLETE, PRUNED (stopped early) or FAIL (to be tried again)."""
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
