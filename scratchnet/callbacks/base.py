"""The protocol of a callback, and several callbacks as one.

Like a layer, a callback declares two tuples of attribute names:

    arguments    settings that affect training: must be equal when a run is resumed
    memory       state that changes from epoch to epoch: saved in checkpoints and restored on resuming
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class Callback:
    """Override the hooks you need. logs: the latest numbers, name -> value.

    An error in a hook ends the training, and is raised by `fit`.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, run, logs):
    ...         print(f"{logs['accuracy']:.1%}!")
    """

    arguments: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    writes = False  # whether it writes files or prints: of several processes, only the first one calls its hooks
    last = False  # whether its hooks are called after those of all others, whatever the order

    def on_train_begin(self, run: Any) -> None:
        """Before the first epoch. Reset the state of an earlier run."""

    def on_epoch_begin(self, run: Any) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, run: Any, logs: dict[str, float]) -> None:
        """After every optimizer step; logs has the batch's "training_loss"."""

    def on_evaluation_begin(self, run: Any) -> None:
        """After the last batch of an epoch, before its evaluation."""

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        """After evaluation; logs has every number of the history."""

    def on_interrupt(self, run: Any) -> None:
        """After Ctrl-C or SIGTERM, when the batch is finished and training is about to end: the time to save."""

    def on_divergence(self, run: Any, error: Exception) -> bool:
        """The loss is no longer finite. Return True to end training without the error."""
        return False

    def on_train_end(self, run: Any) -> None:
        """After the last epoch, or when training ends by an error or Ctrl-C."""

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        values = {name: getattr(self, name) for name in self.arguments}
        shown = [f"{name}={value!r}" for name, value in values.items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(shown)})"


class Callbacks:
    """Several callbacks as one: every hook is passed to all of them, in the given order."""

    def __init__(self, run: Any, callbacks: Iterable[Callback], writing: bool = True):
        """writing: whether this process calls those that write."""
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be Callback objects, got {callback!r}")
        self.run, self.callbacks = run, sorted(callbacks, key=lambda callback: callback.last)
        self.called = [callback for callback in self.callbacks if writing or not callback.writes]

    def dispatch(self, hook: str, *news: Any) -> bool:
        """Call one hook of every callback; True if any of them returned True."""
        answers = [getattr(callback, hook)(self.run, *news) for callback in self.called]
        return any(answers)


@contextmanager
def warn_on_os_error(callback: Callback, path: str | os.PathLike[str]) -> Iterator[None]:
    """A full or missing disk must not end training: warn once, continue, and try again at the next save."""
    try:
        yield
    except OSError as error:
        if not getattr(callback, "warned", False):
            callback.warned = True  # type: ignore[attr-defined]
            warnings.warn(
                f"{path} could not be written: {error.strerror or error}. Training continues, earlier saves are "
                "intact, and later saves are tried again (without another warning).",
                stacklevel=2,
            )
