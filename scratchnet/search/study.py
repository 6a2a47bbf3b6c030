"""The study: all trials, in one file that several processes share and that survives each of them.

The file is Optuna's *journal*: a line for everything that happens, only ever added to. (Its other storage on one
machine is SQLite, of which Optuna's own documentation advises against several processes: a transaction that has read
and wants to write is refused when another one was faster.) Two things about a journal are taken care of in
`scratchnet.search.lock`: the lock of a process that was killed, and the line that it did not finish.

Which trial comes next is asked under a lock, and whoever asks first looks after the others: a trial whose process is
gone is failed, and its settings are queued to be tried again. So nothing has to be kept in order by anyone who might
be killed, and a search goes on when the same command is given again.

What is drawn for the n-th trial depends on the seed, n, and the trials so far. One process that is interrupted and
started again draws the same settings as one that was not.
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

KEPT = 3  # of so many trials the best one goes on: after 1, 3, 9, 27 epochs
LOG = "study.log"
TRIES = 3  # settings under which so many processes were killed are left alone


class Search:
    """A study in a folder, begun or gone on with.

    settings: what makes trials comparable, as plain data. Raises ValueError if the study was begun with others.
    recipe: where the search starts, and its first trial. searched: which of its settings, names of `space.SEARCHED`.
    seed: of what is drawn. halving: whether trials that fall behind are broken off.
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
                raise ValueError(f"{folder} was begun with other settings: {what}. Give another --out")
        self.settings = settings

    def ask(self, total: int) -> Trial | None:
        """The next trial, its settings drawn; None if there are `total` already, failed ones not counted."""
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
        """Fail and queue again the trials of processes that are gone. Only for the holder of the lock."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if not is_at_work(self.folder, trial.user_attrs.get("worker")):
                self.requeue(trial, trial.user_attrs.get("tries", 1) + 1)

    def requeue_interrupted(self, trial: Trial, reason: str) -> None:
        """A trial that was interrupted: it is failed, and its settings are queued to be tried again."""
        with self.lock:
            trial.set_user_attr("reason", reason)
            self.requeue(trial, trial.user_attrs.get("tries", 1))

    def requeue(self, trial: Trial | FrozenTrial, tries: int) -> None:
        """Fail a trial and queue its settings, unless that was done too often."""
        self.study.tell(trial.number, state=trial_state("FAIL"))
        if tries <= TRIES:
            self.study.enqueue_trial(trial.params, user_attrs={"tries": tries})

    def close(self) -> None:
        """This process has no trial any more."""
        if self.worker is not None:
            self.worker.end()
            self.worker = None


def is_begun(folder: str | os.PathLike[str]) -> bool:
    """Whether there is a search in the folder."""
    return (Path(folder) / LOG).exists()


class Worker:
    """A process at work, for the others to see: it locks a file of its own, whose name it gives its trials."""

    def __init__(self, folder: Path):
        self.name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        path = place_of(folder, self.name)
        path.parent.mkdir(exist_ok=True)
        self.lock = Lock(path)
        self.lock.acquire()

    def end(self) -> None:
        """Not at work any more."""
        self.lock.path.unlink(missing_ok=True)
        self.lock.release()


def is_at_work(folder: Path, name: str | None) -> bool:
    """Whether the worker of this name lives; what a dead one left is removed."""
    if name is None or not (path := place_of(folder, name)).exists():
        return False
    lock = Lock(path)
    if not lock.acquire(wait=False):
        return True
    path.unlink(missing_ok=True)
    lock.release()
    return False


def place_of(folder: Path, name: str) -> Path:
    """The file that a worker holds a lock on."""
    return folder / "workers" / name


def distribution(values: Range | Choice) -> BaseDistribution:
    """As Optuna calls it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.options)
    if values.step is not None:
        return IntDistribution(int(values.low), int(values.high), step=values.step)
    return FloatDistribution(values.low, values.high, log=values.log)


def trial_state(name: str) -> TrialState:
    """COMPLETE, PRUNED (broken off) or FAIL (to be tried again)."""
    from optuna.trial import TrialState

    return TrialState[name]


def differences(begun: dict[str, Any], now: dict[str, Any]) -> str:
    """epochs was 5 and is 3, ..."""
    names = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
    return ", ".join(f"{name} was {begun.get(name)} and is {now.get(name)}" for name in names)


def import_optuna() -> ModuleType:
    """Optuna, which says nothing but warnings; or ImportError with the command that installs it."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            f"a search needs Optuna ({error}). Run: python -m pip install -e '.[tune]' "
            "(outside the repository: python -m pip install 'optuna>=5,<6')"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
