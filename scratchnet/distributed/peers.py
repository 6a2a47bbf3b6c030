"""Has another rank of this machine ended?

A rank that is killed answers no message, and the others would wait for it. mpirun ends the job when it notices, but it
names a process, not a rank. Linux can tell at once: a *pidfd* is a file descriptor of a process, and it becomes
readable when the process ends. A thread waits for that, and costs nothing until then.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress


class Peers:
    """Other processes of this machine, by their ranks. Where there are no pidfds, none is ever seen to have ended.

    >>> peers = Peers([(1, os.getpid())])
    >>> peers.ended(wait=0)
    []
    """

    def __init__(self, processes: Iterable[tuple[int, int]]):
        self.ranks: dict[int, int] = {}  # of each pidfd
        self.closed = False
        if not hasattr(os, "pidfd_open"):
            return
        for rank, process in processes:
            with suppress(OSError):
                descriptor = os.pidfd_open(process)
                self.ranks[descriptor] = rank

    def ended(self, wait: int | None = None) -> list[int]:
        """The ranks of those that have ended. wait: for one, milliseconds; None: for as long as it takes."""
        poll = select.poll()
        for descriptor in self.ranks:
            poll.register(descriptor, select.POLLIN)
        return sorted(self.ranks[descriptor] for descriptor, _ in poll.poll(wait))

    def watch(self, react: Callable[[list[int]], None]) -> None:
        """Call react(ranks) in a thread as soon as one has ended."""

        def look() -> None:
            ended = self.ended()
            if not self.closed:
                react(ended)

        if self.ranks:
            threading.Thread(target=look, name="peers", daemon=True).start()

    def close(self) -> None:
        """From now on they may end."""
        self.closed = True
