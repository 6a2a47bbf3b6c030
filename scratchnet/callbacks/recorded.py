"""Which numbers the history will have, known before the first step.

A callback that watches "val_acc" would fail only after the first epoch, because there is no such number. The names
are known earlier: those of the loop, and those of the validation if there is a validation set. A user-defined
callback may add others to the logs; in that case unknown names are checked at the end of the first epoch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from scratchnet.callbacks.base import Callback

ALWAYS = ("epoch", "training_loss", "seconds", "images", "lr", "loss", "accuracy")  # in the order of the history
VALIDATED = ("val_loss", "val_accuracy")


def recorded_names(run: Any) -> tuple[str, ...]:
    """The names that the loop records at the end of each epoch."""
    names = ALWAYS + VALIDATED * (run.validation_data is not None)
    return names if run.measures_accuracy else tuple(name for name in names if not name.endswith("accuracy"))


def check_recorded(what: str, name: str, run: Any) -> None:
    """Raise ValueError if `name` will not be recorded. what: the part that needs it. run=None: nothing is known yet."""
    if run is None or name in (known := recorded_names(run)) or any(map(may_record_more, run.callbacks)):
        return
    if name.endswith("accuracy") and not run.measures_accuracy:
        raise ValueError(
            f"{what}: {name!r} is measured where labels are classes, and these are numbers. Use one of: "
            f"{', '.join(known)}"
        )
    if name in VALIDATED:
        raise ValueError(
            f"{what}: {name!r} is measured on validation_data, and fit got none. "
            f"Pass validation_data, or use one of: {', '.join(known)}"
        )
    said = not_recorded(name, known, "will not be recorded")
    if "Did you mean" not in said and (near := nearest(name, VALIDATED)):
        said += f". Did you mean {near!r}? It is measured on validation_data, and fit got none"
    raise ValueError(f"{what}: {said}")


def not_recorded(name: str, known: Iterable[str], how: str = "was not recorded") -> str:
    """An error message with the known names and the most similar one.

    >>> not_recorded("val_acc", ["loss", "val_loss", "val_accuracy"])
    "'val_acc' was not recorded. Recorded: loss, val_loss, val_accuracy. Did you mean 'val_accuracy'?"
    """
    known = list(known)
    near = nearest(name, known)
    return f"{name!r} {how}. Recorded: {', '.join(known)}" + (f". Did you mean {near!r}?" if near else "")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name, or None.

    >>> nearest("val_acc", ["loss", "val_accuracy"])
    'val_accuracy'
    """
    return next(iter(difflib.get_close_matches(str(name), list(known), n=1)), None)


def may_record_more(callback: Callback) -> bool:
    """Whether this is a user-defined callback that could add a number to the logs."""
    return not getattr(callback.on_epoch_end, "__module__", "").startswith("scratchnet.")
