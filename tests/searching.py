"""A worker of a search, to be killed: `python searching.py FOLDER TOTAL [KILLED_IN]` prints the numbers of its trials.

In the trial KILLED_IN, the first being 1, it begins a line of the journal and is killed before it has finished it.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from scratchnet import search
from scratchnet.zoo import two_conv


def begun(folder, **options):
    """A search from two-conv."""
    return search.Search(folder, {"preset": "two-conv"}, two_conv(10), **options)


def accuracy_of(options, epoch):
    """A landscape instead of a training: best at a learning rate of 0.01 and wide layers, better with every epoch."""
    return 0.9 - abs(options["lr"] - 0.01) + sum(options["widths"]) / 10_000 + epoch / 1000


def pretended(epochs, accuracy=accuracy_of):
    """A trainer for run_trials that only tells the callback its accuracies."""

    def train(options, callback):
        run = SimpleNamespace(epoch=0, epochs=epochs, stop=False)
        while run.epoch < epochs and not run.stop:
            callback.on_epoch_end(run, {"val_accuracy": accuracy(options, run.epoch), "val_loss": 0.1, "seconds": 1.0})
            run.epoch += 1
        return {}

    return train


if __name__ == "__main__":
    folder, total, *killed_in = sys.argv[1:]
    count = 0

    def train(options, callback):
        global count
        count += 1
        if [count] == [int(number) for number in killed_in]:
            with open(Path(folder) / "study.log", "ab") as file:
                file.write(b'{"op_code":6,"wor')
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return pretended(2)(options, callback)

    for trial in search.run_trials(begun(folder, halving=False), train, int(total)):
        print(trial.number, flush=True)
