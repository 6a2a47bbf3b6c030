"""Ctrl-C and SIGTERM, delayed to a point where training can stop safely.

A signal interrupts Python between any two of its instructions: also in the middle of an optimizer's step, when
half of the parameters have moved. During training, the first signal is therefore only recorded. The loop checks for it
after every batch, saves its state, and delivers the signal to its usual handler: to Python, which raises
KeyboardInterrupt, or to the program's own handler. A second signal is delivered at once.

Python handles signals in the main thread: training in another thread changes nothing. A signal without a handler
(SIGTERM, usually) keeps its default action and ends the process at once.
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
    """A signal is waiting. `fit` catches it and delivers the signal."""


class HeldSignals:
    """Inside the block, the first signal waits; at the end of the block it is delivered.

    >>> with HeldSignals() as signals:
    ...     signals.check()  # raises Interrupted if one is waiting
    """

    def __init__(self) -> None:
        self.former: dict[int, Any] = {}
        self.waiting: int | None = None

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if callable(signal.getsignal(number)):
                    self.former[number] = signal.signal(number, self.hold)
        return self

    def hold(self, number: int, frame: Any) -> None:
        """Note the first signal; hand a second one on at once."""
        if self.waiting is None:
            self.waiting = number
        else:
            self.put_back()
            self.former[number](number, frame)

    def check(self) -> None:
        """Call it where it is safe to stop."""
        if self.waiting is not None:
            raise Interrupted

    def run_in_thread(self, function: Callable[[], Any]) -> Any:
        """Call function() in a new thread. A signal ends the wait for it; the function continues.

        For the compiler, which runs for seconds and must not be interrupted: an exception raised within its callbacks
        is lost, and with it the Ctrl-C.
        """
        outcome: queue.SimpleQueue = queue.SimpleQueue()

        def call() -> None:
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

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.put_back()
        if self.waiting is not None and error is None:
            self.former[self.waiting](self.waiting, None)
