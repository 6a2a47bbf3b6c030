"""Has another rank of this machine ended?

A rank that is killed answers no message, and the others would wait for it. mpirun ends the job when it notices, but it
names a process, not a rank. Linux can tell at once: a *pidfd* is a file descriptor of a process, and it becomes
readable when the process ends. It needs no thread, only a look from time to time while a rank waits for a message.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from contextlib import suppress


class Peers:
    """Other processes of this machine, by their ranks. Where there are no pidfds, none is ever seen to have ended.

    >>> peers = Peers([(1, os.getpid())])
    >>> peers.ended()
    []
    """

    def __init__(self, processes: Iterable[tuple[int, int]]):
        self.ranks: dict[int, int] = {}  # of each pidfd
        self.poll = select.poll() if hasattr(select, "poll") and hasattr(os, "pidfd_open") else None
        if self.poll is None:
            return
        for rank, process in processes:
            with suppress(OSError):
                descriptor = os.pidfd_open(process)
                self.ranks[descriptor] = rank
                self.poll.register(descriptor, select.POLLIN)

    def ended(self) -> list[int]:
        """The ranks of those that have ended."""
        if not self.ranks or self.poll is None:
            return []
        return sorted(self.ranks[descriptor] for descriptor, _ in self.poll.poll(0))
