"""The protocol of a callback, and several callbacks as one.

A callback says what it is by two tuples of attribute names, as a layer does:

    arguments    what steers the training: must be the same when a training is resumed
    memory       what it remembers from epoch to epoch: is kept in checkpoints and put back on resuming

so that a training that was interrupted goes on with callbacks that know what they knew.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class Callback:
    """Override what you need. logs: the newest numbers, name -> value.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, run, logs):
    ...         print(f"{logs['accuracy']:.1%}!")
    """

    arguments: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    last = False  # whether it is told after all others, wherever it stands

    def on_train_begin(self, run) -> None:
        """Before the first epoch. Forget what an earlier training left."""

    def on_epoch_begin(self, run) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, run, logs: dict[str, float]) -> None:
        """After every optimizer step; logs has the batch's "training_loss"."""

    def on_evaluation_begin(self, run) -> None:
        """After the last batch of an epoch, before its evaluation."""

    def on_epoch_end(self, run, logs: dict[str, float]) -> None:
        """After evaluation; logs has everything that goes into the history."""

    def on_interrupt(self, run) -> None:
        """Ctrl-C or SIGTERM came, the batch is finished, the training is about to end: the time to save."""

    def on_divergence(self, run, error) -> bool:
        """The loss is no longer a finite number. True: end the training without the error."""
        return False

    def on_train_end(self, run) -> None:
        """After the last epoch, or when the training ends by an error or Ctrl-C."""

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        values = {name: getattr(self, name) for name in self.arguments}
        shown = [f"{name}={value!r}" for name, value in values.items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(shown)})"


class Callbacks:
    """Several callbacks as one: what it is told all are told, in the order given."""

    def __init__(self, run, callbacks):
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be Callback objects, got {callback!r}")
        self.run, self.callbacks = run, sorted(callbacks, key=lambda callback: callback.last)

    def tell(self, hook: str, *news) -> bool:
        """Call one hook of every callback; whether any of them answered True."""
        answers = [getattr(callback, hook)(self.run, *news) for callback in self.callbacks]
        return any(answers)


@contextmanager
def surviving(callback: Callback, path) -> Iterator[None]:
    """A disk that is full or gone is no reason to lose a training: warn once, go on, try again next time."""
    try:
        yield
    except OSError as error:
        if not getattr(callback, "warned", False):
            callback.warned = True  # type: ignore[attr-defined]
            warnings.warn(
                f"{path} could not be written: {error.strerror or error}. The training goes on, what was saved "
                "before is untouched, and each later save is tried again (without another warning).",
                stacklevel=2,
            )
