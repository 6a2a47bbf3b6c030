"""Checkpoints: a training that was interrupted, anywhere, goes on as if nothing had been.

To the last bit: everything that the next step depends on is in the file. That is less than one might think,
because nothing here draws from a tape of random numbers: the order of the examples is a function of seed and
epoch, dropout of seed and step (see `scratchnet.randomness`). What remains are arrays and a position.

    setup          what a training is: two trainings with the same setup are the same training
    contents       what a checkpoint holds
    generations    when it is written, how the last good one survives, which one is read
"""

from scratchnet.checkpoint.contents import Saved
from scratchnet.checkpoint.generations import Checkpoint, load, newest
from scratchnet.checkpoint.setup import differences, setup_of

__all__ = ["Checkpoint", "Saved", "differences", "load", "newest", "setup_of"]
