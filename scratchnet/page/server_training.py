"""The routes of a training run that is watched.

    GET  /training?after=7    events (text/event-stream): begin, step, epoch, snapshot, state, problem, end
    POST /training/control    {"do": "pause" | "resume" | "step" | "scale", "value": 0.5}
    POST /training/watch      h·w·c bytes: the image whose maps are shown

An event stream is plain HTTP and needs no further package. Browsers open at most six connections to a server; a page
therefore closes its stream while it is hidden. `after`, or the header Last-Event-ID that a browser sends when it
connects again, is the last event that a page has seen: it misses nothing that is still kept. Every stream checks
`Site.stopping` ten times a second, so Ctrl-C does not wait for pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from scratchnet.page.live import EndedError, Live
from scratchnet.page.server_routes import BYTES, body_of, image_of, json_of
from scratchnet.page.server_site import Site

POLL, SILENCE = 0.1, 15.0  # seconds: between two checks of the feed, and until a comment shows that the stream lives


def training_routes(site: Site, live: Live) -> list[Route]:
    """The routes for one training."""

    async def training(request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        number = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 16 else 0
        return StreamingResponse(events(site, live, number), media_type="text/event-stream")

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


async def events(site: Site, live: Live, seen: int) -> AsyncIterator[str]:
    """What was published after the event `seen`, and then what is published, until the server ends."""
    yield "retry: 1000\n\n"
    silent = 0.0
    while not site.stopping.is_set():
        for number, kind, text in live.feed.since(seen):
            seen = number
            yield f"id: {number}\nevent: {kind}\ndata: {text}\n\n"
            silent = 0.0
        if silent >= SILENCE:
            yield ": nothing new\n\n"
            silent = 0.0
        await asyncio.sleep(POLL)
        silent += POLL
