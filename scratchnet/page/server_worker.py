"""One thread that computes, and a queue of bounded length in front of it.

The event loop must not compute: while it does, no other request is read. A request therefore puts a function into the
queue and waits for the result. If the queue is full, the answer is "try again" at once (503), and not a wait of unknown
length. The thread is a daemon: a function that runs for seconds does not hold the end of the program.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
WAITING = 32


class BusyError(RuntimeError):
    """The queue is full, or the server is about to end."""


class Worker:
    """Computes one function after the other, in a thread of its own."""

    def __init__(self, name: str, waiting: int = WAITING):
        self.waiting: queue.Queue = queue.Queue(waiting)
        self.asked: set[asyncio.Future] = set()
        self.ended = False
        self.thread = threading.Thread(target=self.work, name=name, daemon=True)
        self.thread.start()

    async def run(self, function: Callable[[], T]) -> T:
        """function()'s result, or its error. Raises BusyError if too many are waiting."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future = loop.create_future()
        try:
            self.waiting.put_nowait((function, loop, future))
        except queue.Full:
            raise BusyError("too many requests are waiting") from None
        self.asked.add(future)
        future.add_done_callback(self.asked.discard)
        return await future

    def work(self) -> None:
        """The thread."""
        while not self.ended:
            function, loop, future = self.waiting.get()
            if future.done():  # its client has gone
                continue
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:  # the request raises it
                error = raised
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(deliver, future, result, error)

    def stop(self) -> None:
        """In the event loop: the requests that wait get a BusyError, and the thread ends."""
        self.ended = True
        for future in list(self.asked):
            deliver(future, None, BusyError("the server is about to end"))
        done: asyncio.Future = asyncio.get_running_loop().create_future()
        done.cancel()
        with suppress(queue.Full):  # otherwise the thread has something to wake up for
            self.waiting.put_nowait((print, None, done))


def deliver(future: asyncio.Future, result: Any, error: BaseException | None) -> None:
    """Give a future its result or its error, unless it has one."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
