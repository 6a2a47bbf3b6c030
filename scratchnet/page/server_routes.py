"""What the server answers.

    GET  /  /main.js  /net/conv2d.js ...        the files of the page                       (server_files)
    GET  /model.json  /model.safetensors        the network, and its float32 weights        (server_site)
    GET  /golden.json  /tray.json  /sources.json  /snapshots.json
    GET  /served.json                           what this server offers beyond an exported file
    POST /predict                               h·w·c bytes -> {"logits", "probabilities", "engine", "ms"}
    POST /prepare                               a picture file -> its digit, as predict.py prepares it
    GET  /speed                                 times of the layers on this machine         (speed)
    /training/...                               a training to be watched                    (server_training)
    /teach/...                                  corrections, and learning from them         (server_teaching)
    GET  /health                                {"status": "ok"}

Bodies are raw bytes with the type application/octet-stream, or short JSON with its own type. A browser asks the server
first before it sends either to a foreign origin (a preflight), and is not answered. All endpoints are coroutines:
Starlette would run plain functions in a pool of threads.
A body that is too long, too slow or of another type is refused: 413, 408, 415. Errors are {"error": a sentence}.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scratchnet.losses import PREDICTIONS
from scratchnet.page.prepare import prepared
from scratchnet.page.server_files import File
from scratchnet.page.server_site import Site
from scratchnet.page.server_worker import BusyError

BYTES, JSON = "application/octet-stream", "application/json"
PICTURE = 16 * 2**20  # bytes of a picture file
SECONDS, PICTURE_SECONDS = 5.0, 30.0  # to receive a body
DISCARDED = 4 * 2**20  # of a body that is too long: a client that is still sending would not read the answer


def application(site: Site, more: list[Route] | None = None) -> Starlette:
    """The ASGI application behind the gate. more: further routes, of a training or of teaching."""
    handlers: dict[Any, Any] = {HTTPException: as_json, BusyError: as_busy, ClientDisconnect: as_json}
    routes = [
        Route("/health", of(site, health)),
        Route("/served.json", of(site, offers)),
        Route("/predict", of(site, predict), methods=["POST"]),
        Route("/prepare", of(site, prepare), methods=["POST"]),
        Route("/speed", of(site, speed)),
        *(more or []),
        Route("/{path:path}", of(site, file)),
    ]
    return Starlette(routes=routes, exception_handlers=handlers)


def of(site: Site, endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """endpoint(site, request) as an endpoint of the request alone."""

    async def answer(request: Request) -> Response:
        return await endpoint(site, request)

    return answer


async def health(site: Site, request: Request) -> Response:
    """The server is alive."""
    return JSONResponse({"status": "ok"})


async def offers(site: Site, request: Request) -> Response:
    """What this server can do beyond an exported file: {"predict": true, "training": true, ...}."""
    return JSONResponse(site.offers)


async def file(site: Site, request: Request) -> Response:
    """A file of the page, or a part of the model, from memory."""
    path = request.url.path
    if path == "/" and site.before_page is not None:
        await site.helper.run(site.before_page)
    found: File | None = site.file(path)
    if found is None:
        raise HTTPException(404, "there is no such file")
    headers = {"etag": found.etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.type)


async def predict(site: Site, request: Request) -> Response:
    """The model's answer for h·w·c bytes, by its engine."""
    x = image_of(await body_of(request, site.image_bytes, BYTES), site.model.input_shape)
    if not x.any():
        return JSONResponse({"empty": True, "message": "draw something"})
    model = site.model

    def answer() -> dict[str, Any]:
        start = time.perf_counter()
        probabilities = probabilities_of(model, x)
        ms = 1000 * (time.perf_counter() - start)
        logits = model.forward(x[None])[0]
        return {"logits": floats(logits), "probabilities": floats(probabilities), "engine": model.engine, "ms": ms}

    return JSONResponse(await site.predictor.run(answer))


async def prepare(site: Site, request: Request) -> Response:
    """A picture file as the model's input, with the steps in between."""
    content = await body_of(request, PICTURE, BYTES, PICTURE_SECONDS)
    names, shape = site.model.class_names, site.model.input_shape
    try:
        return JSONResponse(await site.helper.run(lambda: prepared(content, shape, names)))
    except (ValueError, OSError) as error:
        raise HTTPException(422, str(error).removeprefix("bytes: ")) from None


async def speed(site: Site, request: Request) -> Response:
    """How long each layer takes here, and other ways to compute a convolution."""
    from scratchnet.page.speed import measured

    return JSONResponse(await site.helper.run(lambda: measured(site.model)))


async def body_of(request: Request, limit: int, kind: str, seconds: float | None = None) -> bytes:
    """The body, of this type and at most `limit` bytes long, within this time (SECONDS)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise HTTPException(415, f"expected a body of the type {kind}")
    content, length, seconds = bytearray(), 0, SECONDS if seconds is None else seconds
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                length += len(part)
                if length <= limit:
                    content += part
                elif length > limit + DISCARDED:
                    break
    except TimeoutError:
        raise HTTPException(408, f"the body did not arrive within {seconds:g} seconds") from None
    if length > limit:
        raise HTTPException(413, f"expected at most {limit:,} bytes")
    return bytes(content)


async def json_of(request: Request, limit: int = 256) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes, so that nothing can be nested deeply."""
    try:
        found = json.loads(await body_of(request, limit, JSON))
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "expected a JSON object")
    return found


def image_of(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes as an image (h, w, c) of uint8."""
    if len(content) != int(np.prod(shape)):
        size = " × ".join(map(str, shape))
        raise HTTPException(400, f"expected {size} = {int(np.prod(shape)):,} bytes, got {len(content):,}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def probabilities_of(model: Any, x: np.ndarray) -> np.ndarray:
    """What predict answers for one image, without its warnings about the range of pixels."""
    x = model.check_input(x[None])
    if model.outputs == "softmax":
        return model.backend.probabilities(x, 1)[0]
    return PREDICTIONS[model.outputs](model.backend.logits(x))[0]


def floats(values: np.ndarray) -> list[float]:
    """Numbers for JSON: a float32 survives the way there and back."""
    return [float(value) for value in values]


async def as_json(request: Request, error: Exception) -> Response:
    """An error as {"error": a sentence}."""
    status, reason = getattr(error, "status_code", 400), getattr(error, "detail", "the client has gone")
    more = {"connection": "close"} if status in (408, 413) else {}
    return JSONResponse({"error": reason}, status, {**(getattr(error, "headers", None) or {}), **more})


async def as_busy(request: Request, error: Exception) -> Response:
    """The queue is full: try again."""
    return JSONResponse({"error": str(error)}, 503, {"retry-after": "1"})
