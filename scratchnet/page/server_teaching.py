"""The routes of teaching: corrections, a lesson, and what becomes of it.

GET  /teach                     the folder, how many corrections there are, how far a lesson is, what came of it
GET  /teach/corrections.json    the newest corrections
POST /teach/correction?label=4  h·w·c bytes: this image is a 4
POST /teach/forget              {"index": 3}
POST /teach/learn               {}: begin a lesson
POST /teach/use                 {"taught": true}: which model the page shows from now on
POST /teach/save                {}: the taught model into a new file
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scratchnet.page.classroom import Classroom
from scratchnet.page.server_routes import BYTES, body_of, image_of, json_of
from scratchnet.page.server_site import Site


def teaching_routes(site: Site, room: Classroom) -> list[Route]:
    """The routes of one classroom."""

    async def done(work: Callable[[], Any]) -> Any:
        """work() in the helper's thread; what is wrong with an order is the client's error, or the disk's."""
        try:
            return await site.helper.run(work)
        except ValueError as error:
            raise HTTPException(409, str(error)) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise HTTPException(507, f"{room.corrections.folder}: {reason}. Start with --corrections DIR") from None

    async def status(request: Request) -> Response:
        return JSONResponse(room.status())

    async def shown(request: Request) -> Response:
        return JSONResponse(await done(room.shown))

    async def correction(request: Request) -> Response:
        label = request.query_params.get("label", "")
        if not (label.isascii() and label.isdecimal() and len(label) < 5 and int(label) < len(room.corrections.names)):
            raise HTTPException(400, f"label: expected 0 to {len(room.corrections.names) - 1}")
        image = image_of(await body_of(request, site.image_bytes, BYTES), site.model.input_shape)
        if not image.any():
            raise HTTPException(400, "draw something first: the image is empty")
        await done(lambda: room.corrections.add(image, int(label)))
        return JSONResponse(room.status(), 201)

    async def forget(request: Request) -> Response:
        index = (await json_of(request)).get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            raise HTTPException(400, "index: expected a whole number")
        await done(lambda: room.corrections.forget(index))
        return JSONResponse(room.status())

    async def begin(request: Request) -> Response:
        await json_of(request)
        await done(room.begin)
        return JSONResponse(room.status(), 202)

    async def use(request: Request) -> Response:
        taught = (await json_of(request)).get("taught")
        if not isinstance(taught, bool):
            raise HTTPException(400, "taught: expected true or false")
        await done(lambda: room.use(taught))
        return JSONResponse(room.status())

    async def save(request: Request) -> Response:
        await json_of(request)
        await done(room.save)
        return JSONResponse(room.status(), 201)

    posts = {"correction": correction, "forget": forget, "learn": begin, "use": use, "save": save}
    return [
        Route("/teach", status),
        Route("/teach/corrections.json", shown),
        *(Route(f"/teach/{name}", endpoint, methods=["POST"]) for name, endpoint in posts.items()),
    ]
