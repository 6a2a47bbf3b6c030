"""Callbacks: what happens beside the training, without an `if` in the loop.

The loop tells every callback what it is about to do or has done; a callback looks at `run` (the model,
the optimizer, the epoch, the history so far) and at the latest numbers, and may set `run.stop`.

    base                the protocol                          monitor             is this epoch better than the best?
    early_stopping      stop when it gets no better           model_checkpoint    keep the best model in a file
    learning_rate       a rate that follows the training      weight_average      the mean of the weights on their way
    loggers             a CSV file; functions as callbacks    progress            what is printed
    whitening           first filters from the images         recorded            which numbers there will be
    (scratchnet.checkpoint: all that a resume needs)
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
