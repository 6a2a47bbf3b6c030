"""A connection that does not wait for ever.

uvicorn closes a connection that is silent between two requests. It waits without limit for a request that arrives one
byte at a time, and for a client that does not read its answer. Two hundred such clients cost nothing but an open
connection each, until there are no more. Here a request must be complete `SECONDS` after its first byte, and a client
must read within the same time; the connection is closed otherwise. While a route reads a body, that route sets the
limit (`server_routes.body_of`), which is longer for a photograph.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 5.0  # for the head of a request, and for reading a part of an answer
GRACE = 0.5  # after the server was told to end, for answers on their way


class Connection(H11Protocol):
    """uvicorn's connection with deadlines for both directions, and an end."""

    request_timer: asyncio.TimerHandle | None = None
    answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.watch_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.watch_request()

    def watch_request(self) -> None:
        """Start the timer of a request that has begun; stop it when the request is complete."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self.stop_request_timer()
        elif self.request_timer is None:
            self.request_timer = self.loop.call_later(SECONDS, self.request_is_late)

    def request_is_late(self) -> None:
        """The time is over: close the connection, unless a route is reading the body."""
        self.request_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self.watch_request()
        elif not self.transport.is_closing():
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:  # silence between two requests is uvicorn's to end
            self.stop_request_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.answer_timer = self.loop.call_later(SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stop_answer_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_request_timer()
        self.stop_answer_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What follows the head is no HTTP. The route that is at work on the request must not answer after this."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # another answer has begun
            self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(GRACE, self.transport.abort)

    def stop_request_timer(self) -> None:
        """The request is complete, or there is none."""
        if self.request_timer is not None:
            self.request_timer.cancel()
        self.request_timer = None

    def stop_answer_timer(self) -> None:
        """The client reads, or has gone."""
        if self.answer_timer is not None:
            self.answer_timer.cancel()
        self.answer_timer = None
