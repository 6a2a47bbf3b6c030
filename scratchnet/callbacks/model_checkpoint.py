"""The best model so far, in a file.

The last epoch is rarely the best one. The validation set decides; the test set is used once, for the model that this
callback kept.
"""

from __future__ import annotations

import os
from pathlib import Path
from string import Formatter
from typing import Any

from scratchnet.callbacks.base import warn_on_os_error
from scratchnet.callbacks.monitor import Monitor
from scratchnet.callbacks.recorded import ALWAYS, VALIDATED, check_recorded


class ModelCheckpoint(Monitor):
    """Save the model whenever `monitor` reaches a new best, or after every epoch: the best, or the last.

    path: a file that `load_model` reads; its folder is created if it is missing. The file name may contain numbers
    of the history, as in "w.{epoch:02d}-{val_loss:.2f}.safetensors"; `epoch` counts from 1. A literal brace is
    doubled.
    save_best_only: False to save after every epoch, regardless of `monitor`.
    A failed save (a full disk) is a warning, and the existing file is kept.

    >>> history = model.fit(x, y, callbacks=[ModelCheckpoint("best.safetensors", "loss")], verbose=False)
    >>> best = load_model("best.safetensors")
    >>> numbered = ModelCheckpoint("{epoch:02d}.safetensors", save_best_only=False)
    >>> history = model.fit(x, y, epochs=2, callbacks=[numbered], verbose=False)
    >>> best = load_model("02.safetensors")
    """

    arguments = ("monitor", "mode", "save_best_only")
    writes = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_accuracy",
        mode: str = "auto",
        save_best_only: bool = True,
    ):
        super().__init__(monitor, mode)
        self.path, self.save_best_only = path, bool(save_best_only)
        self.folder, self.name = Path(path).parent, Path(path).name
        check_fields(self.folder, self.name)

    def on_train_begin(self, run: Any) -> None:
        if self.save_best_only:
            super().on_train_begin(run)
        self.best, self.warned = None, False
        for name in fields(self.name):
            check_recorded(f"ModelCheckpoint: the file name {self.name!r}", name, run)
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        former = self.best
        if not self.save_best_only or self.improved(logs):
            path = self.folder / self.name.format(**logs)
            with warn_on_os_error(self, path):
                run.model.save(path)
                return
            self.best = former  # the file still holds the previous best


def fields(name: str) -> list[str]:
    """The names in the braces of a format string.

    >>> fields("w.{epoch:02d}-{val_loss:.2f}.safetensors")
    ['epoch', 'val_loss']
    """
    return [field for _, field, _, _ in Formatter().parse(name) if field is not None]


def check_fields(folder: Path, name: str) -> None:
    """Raise ValueError if the file's name cannot be formatted, or if the folder's name contains a format field."""
    known = ALWAYS + VALIDATED
    try:
        sample = dict.fromkeys(fields(name), 0.5) | {"epoch": 1, "images": 1}
        name.format(**sample)
    except (ValueError, LookupError, AttributeError) as error:
        raise ValueError(
            f"ModelCheckpoint: the file name {name!r} cannot be filled in: {error}. Use names of the history, as "
            f"in {{epoch:02d}}, {{val_loss:.2f}}; double a literal brace: {{{{"
        ) from None
    if said := [field for field in known if f"{{{field}" in str(folder)]:
        raise ValueError(
            f"ModelCheckpoint: {{{said[0]}}} is in the folder {str(folder)!r}; only the file's name is filled in"
        )
