"""The routes of a training run that is watched.

    GET  /training?after=7    events (text/event-stream): begin, step, epoch, snapshot, state, problem, end
    POST /training/control    {"do": "pause" | "resume" | "step" | "scale", "value": 0.5}
    POST /training/watch      h·w·c bytes: the image whose maps are shown

An event stream is plain HTTP and needs no further package. Browsers open at most six connections to a server, so the
stream of a seventh page would leave none for anything else. A page closes its stream while it is hidden; and of one
client at most `STREAMS` are open: another one ends the oldest, whose page connects again after two seconds. `after`,
or the header Last-Event-ID that a browser sends then, is the last event that a page has seen: it misses nothing that is
still kept. Every stream checks `Site.stopping` ten times a second, so Ctrl-C does not wait for pages.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from scratchnet.page.live import EndedError, Live
from scratchnet.page.server_routes import BYTES, body_of, image_of, json_of
from scratchnet.page.server_site import Site

STREAMS = 4  # of one client
POLL, SILENCE = 0.1, 15.0  # seconds: between two checks of the feed, and until a comment shows that the stream lives


def training_routes(site: Site, live: Live) -> list[Route]:
    """The routes for one training."""

    open_streams: dict[str, deque[asyncio.Event]] = {}  # by the client's address; an event ends its stream

    async def training(request: Request) -> Response:
        ended = asyncio.Event()
        streams = open_streams.setdefault(request.client.host if request.client else "", deque())
        streams.append(ended)
        if len(streams) > STREAMS:
            streams.popleft().set()
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        number = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 16 else 0
        return StreamingResponse(events(site, live, number, ended), media_type="text/event-stream")

    async def control(request: Request) -> Response:
        asked = await json_of(request)
        try:
            if asked.get("do") == "watch":
                raise ValueError("do: expected pause, resume, step or scale")
            live.ask(str(asked.get("do")), asked.get("value"))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        except EndedError as error:
            raise HTTPException(409, str(error)) from None
        return Response(status_code=204)

    async def watch(request: Request) -> Response:
        image = image_of(await body_of(request, site.image_bytes, BYTES), site.model.input_shape)
        try:
            live.ask("watch", image)
        except EndedError as error:
            raise HTTPException(409, str(error)) from None
        return Response(status_code=204)

    return [
        Route("/training", training),
        Route("/training/control", control, methods=["POST"]),
        Route("/training/watch", watch, methods=["POST"]),
    ]


async def events(site: Site, live: Live, seen: int, ended: asyncio.Event) -> AsyncIterator[str]:
    """What was published after the event `seen`, and then what is published, until the stream or the server ends."""
    yield "retry: 2000\n\n"
    silent = 0.0
    while True:
        for number, kind, text in live.feed.since(seen):
            seen = number
            yield f"id: {number}\nevent: {kind}\ndata: {text}\n\n"
            silent = 0.0
        if silent >= SILENCE:
            yield ": nothing new\n\n"
            silent = 0.0
        if site.stopping.is_set() or ended.is_set():
            break
        await asyncio.sleep(POLL)
        silent += POLL
