"""Callbacks: extensions of the training loop, without an `if` in the loop.

The loop calls hooks of every callback before and after each stage. A hook receives `run` (the model, the optimizer,
the epoch, the history so far) and the latest numbers, and may set `run.stop`.

    base                the protocol                          monitor             is this epoch better than the best?
    early_stopping      stop without improvement              model_checkpoint    keep the best model in a file
    learning_rate       a learning rate that adapts           weight_average      a moving average of the weights
    loggers             a CSV file; functions as callbacks    progress            the console output
    whitening           first filters from the images         recorded            the names in the history
    (scratchnet.checkpoint: everything that resuming needs)
"""

from scratchnet.callbacks.base import Callback, Callbacks
from scratchnet.callbacks.early_stopping import EarlyStopping, TerminateOnNaN
from scratchnet.callbacks.learning_rate import LearningRateSchedule, ReduceLROnPlateau
from scratchnet.callbacks.loggers import CSVLogger, LambdaCallback
from scratchnet.callbacks.model_checkpoint import ModelCheckpoint
from scratchnet.callbacks.monitor import Monitor
from scratchnet.callbacks.progress import Progress, epoch_line
from scratchnet.callbacks.weight_average import WeightAverage
from scratchnet.callbacks.whitening import WhitenedStart

__all__ = [
    "Callback", "Callbacks", "Monitor", "EarlyStopping", "TerminateOnNaN", "ModelCheckpoint",
    "ReduceLROnPlateau", "LearningRateSchedule", "CSVLogger", "LambdaCallback", "Progress", "WeightAverage",
    "WhitenedStart", "epoch_line",
]  # fmt: skip
