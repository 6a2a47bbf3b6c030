"""The best model so far, in a file.

The last epoch is seldom the best one. What counts is the validation set: the test set is looked at once, by the
model that this callback kept.
"""

from __future__ import annotations

from pathlib import Path

from scratchnet.callbacks.base import surviving
from scratchnet.callbacks.monitor import Monitor


class ModelCheckpoint(Monitor):
    """Save the model whenever `monitor` is better than ever before, or after every epoch: the best, or the last.

    path: a file that `load_model` reads; its folder is made if it is missing.
    save_best_only: False to save after every epoch, whatever `monitor` says.
    A save that fails (a full disk) is a warning, and the former file stays as it is.

    >>> history = model.fit(x, y, callbacks=[ModelCheckpoint("best.safetensors", "loss")], verbose=False)
    >>> best = load_model("best.safetensors")
    """

    arguments = ("monitor", "mode", "save_best_only")

    def __init__(self, path, monitor="val_accuracy", mode="auto", save_best_only=True):
        super().__init__(monitor, mode)
        self.path, self.save_best_only = path, bool(save_best_only)

    def on_train_begin(self, run):
        super().on_train_begin(run)
        self.warned = False
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run, logs):
        former = self.best
        if not self.save_best_only or self.improved(logs):
            with surviving(self, self.path):
                run.model.save(self.path)
                return
            self.best = former  # the file still holds the former best
