"""Ctrl-C and SIGTERM, at a moment that suits.

A signal interrupts Python between any two of its instructions: also in the middle of an optimizer's step, when
half of the parameters have moved. While a training runs, a signal is therefore only noted; the loop asks after
every batch, brings its things in order, and then the signal goes to whoever would have got it: to Python, which
raises KeyboardInterrupt, or to the program's own handler. A second signal is not held back.

Signals are the main thread's business: a training in another thread changes nothing. And a signal that nobody
in this program handles (SIGTERM, usually) keeps its meaning, which is death at once.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal is waiting. Never leaves `fit`: the signal does."""


class HeldSignals:
    """Inside the block, the first signal waits; at the end of the block it is delivered.

    >>> with HeldSignals() as signals:
    ...     signals.check()  # raises Interrupted if one is waiting
    """

    def __init__(self):
        self.former: dict[int, Any] = {}
        self.waiting: int | None = None

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if callable(signal.getsignal(number)):
                    self.former[number] = signal.signal(number, self.hold)
        return self

    def hold(self, number: int, frame) -> None:
        """Note the first signal; hand a second one on at once."""
        if self.waiting is None:
            self.waiting = number
        else:
            self.put_back()
            self.former[number](number, frame)

    def check(self) -> None:
        """To be called where it is safe to stop."""
        if self.waiting is not None:
            raise Interrupted

    def run_in_thread(self, function: Callable[[], Any]) -> Any:
        """function() in a thread of its own: a signal ends the waiting for it, not the function.

        For a compiler, which is long at work and must not be interrupted: an exception that has to pass through
        its callbacks is lost there, and nobody learns of the Ctrl-C.
        """
        outcome: queue.SimpleQueue = queue.SimpleQueue()

        def call():
            try:
                outcome.put((function(), None))
            except BaseException as error:  # the caller's thread raises it
                outcome.put((None, error))

        threading.Thread(target=call, name="run_in_thread", daemon=True).start()
        while True:
            self.check()
            with suppress(queue.Empty):
                result, error = outcome.get(timeout=0.1)
                break
        if error is not None:
            raise error
        return result

    def put_back(self) -> None:
        """The handlers as they were."""
        for number, handler in self.former.items():
            signal.signal(number, handler)

    def __exit__(self, kind, error, traceback) -> None:
        self.put_back()
        if self.waiting is not None and error is None:
            self.former[self.waiting](self.waiting, None)
