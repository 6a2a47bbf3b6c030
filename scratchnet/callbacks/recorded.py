"""Which numbers the history of a training will have, known before its first step.

A callback that watches "val_acc" would find out after the first epoch that there is no such number. All names are
known before: the loop's own, and the validation's if there is a validation set. Only a callback of the user's own may
add others to the logs; where there is one, an unknown name has to wait for the end of the first epoch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from scratchnet.callbacks.base import Callback

ALWAYS = ("epoch", "training_loss", "seconds", "images", "lr", "loss", "accuracy")  # in the order of the history
VALIDATED = ("val_loss", "val_accuracy")


def recorded_names(run) -> tuple[str, ...]:
    """What the loop records at the end of each epoch."""
    return ALWAYS + VALIDATED * (run.validation_data is not None)


def check_recorded(what: str, name: str, run) -> None:
    """Raise ValueError if the training will not record `name`. `what` asks for it. run=None: nothing is known yet."""
    if run is None or name in (known := recorded_names(run)) or any(map(may_record_more, run.callbacks)):
        return
    if name in VALIDATED:
        raise ValueError(
            f"{what}: {name!r} is measured on validation_data, and fit was given none. "
            f"Give it some, or use one of: {', '.join(known)}"
        )
    said = not_recorded(name, known, "will not be recorded")
    if "Did you mean" not in said and (near := nearest(name, VALIDATED)):
        said += f". Did you mean {near!r}? It is measured on validation_data, and fit was given none"
    raise ValueError(f"{what}: {said}")


def not_recorded(name: str, known: Iterable[str], how: str = "was not recorded") -> str:
    """The names that there are, and the one that was probably meant.

    >>> not_recorded("val_acc", ["loss", "val_loss", "val_accuracy"])
    "'val_acc' was not recorded. Recorded: loss, val_loss, val_accuracy. Did you mean 'val_accuracy'?"
    """
    known = list(known)
    near = nearest(name, known)
    return f"{name!r} {how}. Recorded: {', '.join(known)}" + (f". Did you mean {near!r}?" if near else "")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant, if there is one.

    >>> nearest("val_acc", ["loss", "val_accuracy"])
    'val_accuracy'
    """
    return next(iter(difflib.get_close_matches(str(name), list(known), n=1)), None)


def may_record_more(callback: Callback) -> bool:
    """Whether this is a callback of the user's own that could put a number into the logs."""
    return not getattr(callback.on_epoch_end, "__module__", "").startswith("scratchnet.")
