"""The history as a file, and functions as callbacks."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratchnet.callbacks.base import Callback, warn_on_os_error
from scratchnet.data.atomic import replacing


class CSVLogger(Callback):
    """One line per epoch in a CSV file, updated after every epoch.

    Each update rewrites the whole history, so resuming never duplicates a line.

    A file that cannot be written is a warning; the training continues.

    >>> history = model.fit(x, y, epochs=2, callbacks=[CSVLogger("history.csv")], verbose=False)
    """

    writes = True

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path

    def on_train_begin(self, run: Any) -> None:
        self.warned = False
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        names = dict.fromkeys(name for epoch in run.history.epochs for name in epoch)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(names))
        writer.writeheader()
        writer.writerows(run.history.epochs)
        with warn_on_os_error(self, self.path), replacing(self.path) as file:
            file.write(text.getvalue().encode())


class LambdaCallback(Callback):
    """A callback made of functions, with the same arguments as the hooks, for what is too small for a class.

    Raises TypeError for a name that is no hook.

    >>> def shout(run, logs):
    ...     print(f"epoch {run.epoch + 1}!")
    >>> history = model.fit(x, y, callbacks=[LambdaCallback(on_epoch_end=shout)], verbose=False)
    epoch 1!
    """

    def __init__(self, **hooks: Callable[..., Any]):
        """hooks: on_train_begin(run), on_epoch_begin(run), on_batch_end(run, logs), on_epoch_end(run, logs), ..."""
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in hooks.items():
            if name not in known or not callable(function):
                raise TypeError(f"LambdaCallback: expected functions for {', '.join(known)}; got {name}={function!r}")
            setattr(self, name, function)
