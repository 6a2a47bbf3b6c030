"""When to stop: early stopping, and an end without an error when training diverges.

A network first learns what the examples have in common, and then memorises single examples: the training loss
still falls, the validation loss rises. The number of epochs therefore limits what the network can express, and the
validation set chooses it (Prechelt 1998, "Early stopping - but when?"). `patience` epochs without improvement
are tolerated.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from scratchnet.callbacks.base import Callback
from scratchnet.callbacks.monitor import Monitor, patience_of


class EarlyStopping(Monitor):
    """Stop after `patience` epochs in a row without improvement, and restore the best epoch's weights.

    min_delta: the smallest change that counts as an improvement. restore_best_weights: when training ends, for any
    reason, the model gets back the parameters and BatchNorm statistics of its best epoch.

    `fit` raises ValueError for a `monitor` that is not recorded; it lists what is.

    >>> stop = EarlyStopping("val_accuracy", patience=5)
    >>> history = model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[stop], verbose=False)
    """

    arguments = ("monitor", "mode", "min_delta", "patience", "restore_best_weights")
    memory = ("best", "best_epoch", "wait", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        mode: str = "auto",
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience = patience_of("EarlyStopping: patience", patience)
        self.restore_best_weights = bool(restore_best_weights)

    def on_train_begin(self, run: Any) -> None:
        super().on_train_begin(run)
        self.wait = self.best_epoch = 0  # best_epoch counts from 1
        self.best_weights: dict[str, np.ndarray] = {}

    def on_epoch_end(self, run: Any, logs: dict[str, float]) -> None:
        if self.improved(logs):
            self.wait, self.best_epoch = 0, run.epoch + 1
            if self.restore_best_weights:
                self.best_weights = {name: array.copy() for name, array in weights(run.model).items()}
        else:
            self.wait += 1
            run.stop = run.stop or self.wait >= max(self.patience, 1)

    def on_train_end(self, run: Any) -> None:
        for name, array in self.best_weights.items():
            weights(run.model)[name][...] = array


class TerminateOnNaN(Callback):
    """When the loss becomes NaN or infinite, end training with a warning instead of an error.

    The history has the earlier epochs, and the model has the weights from before the step that diverged.

    >>> history = model.fit(x, y, callbacks=[TerminateOnNaN()], verbose=False)
    """

    def on_divergence(self, run: Any, error: Exception) -> bool:
        warnings.warn(str(error), stacklevel=2)
        return True


def weights(model: Any) -> dict[str, np.ndarray]:
    """All arrays of a model, trained or not; not copies."""
    return {**model.parameters(), **model.state()}
