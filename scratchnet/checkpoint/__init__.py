"""Checkpoints: an interrupted run resumes at any point, with bit-identical results.

The file has everything that the next step depends on. That is little, because no random number depends on a
generator's state: the order of the examples is a function of seed and epoch, dropout a function of seed and step
(see `scratchnet.randomness`). What remains are arrays and a position.

    setup          the configuration of a run: equal setups are the same run
    contents       what a checkpoint holds
    generations    when it is written, how the last good one survives, which one is read
"""

from scratchnet.checkpoint.contents import Saved
from scratchnet.checkpoint.generations import Checkpoint, load, newest
from scratchnet.checkpoint.setup import differences, setup_of

__all__ = ["Checkpoint", "Saved", "differences", "load", "newest", "setup_of"]
