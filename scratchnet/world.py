"""The processes that train a model together: one, unless `scratchnet.distribute` was called.

A training step is a fold over the chunks of a batch, and it does not matter which thread computes a chunk. Nor does it
matter which process does, if every process has the results of all chunks before it sums them. So the training loop asks
the *world* for the little that differs:

    share     which chunks are this process' own            map      an evaluation, each part on one process
    first     what one process does for all                 agree    a decision that all must make alike
    check     do all have the same data and settings?       signals  Ctrl-C, at the same batch everywhere

`World` is one process by itself, and every answer is the trivial one. `scratchnet.distributed` has the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scratchnet.process.interrupts import HeldSignals


class World:
    """One process by itself."""

    rank, ranks = 0, 1
    training_program: Any = None  # the class of the compiled steps, where it is not the usual one

    def share(self, count: int) -> range:
        """The numbers of this process' chunks, of `count` chunks.

        >>> World().share(8)
        range(0, 8)
        """
        return range(count)

    def computes(self, count: int) -> range:
        """Those that are computed here: the same, or the first one if there is none."""
        return self.share(count) or range(1)

    def map(self, model: Any, x: Any, batch_size: int, work: Callable[[slice, Any], Any]) -> list[Any]:
        """The results of `model.map`, on every process."""
        return model.map(x, batch_size, work)

    def first(self, work: Callable[[], Any]) -> Any:
        """What work() returns or raises on the first process, on every process."""
        return work()

    def in_turn(self, work: Callable[[], Any]) -> Any:
        """work() on every process; on one of each machine first, so that the others find what it left in caches."""
        return work()

    def agree(self, flag: bool) -> bool:
        """Whether the flag is set on any process."""
        return flag

    def check(self, run: Any) -> None:
        """Raise ValueError if the processes have different data, settings or versions."""

    def check_weights(self, run: Any) -> None:
        """Raise RuntimeError if the processes have different weights. Called after every epoch."""

    def after_batch(self, run: Any) -> None:
        """Agree on whether to stop after this batch; `signals` says it."""

    def signals(self) -> HeldSignals:
        """Signals, held until the end of a batch."""
        return HeldSignals()

    def saved(self) -> None:
        """Wait until the first process has saved what an interrupted run needs."""

    def describe(self) -> str:
        """What is to be said about the processes at the end of a run; empty for one."""
        return ""

    def leave(self, code: int, error: str = "") -> int:
        """The end of a program: print its error, return its exit code."""
        if error:
            print(f"error: {error}", file=sys.stderr)
        return code


class _Shared:
    world = World()


def shared_world() -> World:
    """The world that models are trained in."""
    return _Shared.world


def enter(world: World) -> None:
    """Train in this world from now on."""
    _Shared.world = world


@contextmanager
def alone() -> Iterator[None]:
    """One process by itself, for the block."""
    former, _Shared.world = _Shared.world, World()
    try:
        yield
    finally:
        _Shared.world = former
