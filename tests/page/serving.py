"""A server for the tests, and a client that sends exactly the bytes that a test wants."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

import scratchnet as sn
from scratchnet.page.contents import page_parts
from scratchnet.page.server import Server
from scratchnet.page.server_site import Site

BYTES = "application/octet-stream"


def small_model(engine="numpy", class_names=None):
    """An untrained network for images of 10 × 10."""
    layers = [sn.Rescale(), sn.Conv2D(4, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(4)]
    return sn.Sequential(layers, (10, 10, 1), engine=engine, class_names=class_names)


@contextmanager
def served(model=None, routes=None, **options):
    """A running server on a free port."""
    with Server(Site(model or small_model(), page_parts), port=0, routes=routes, **options) as server:
        yield server


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def request(method, path, port, body=b"", **headers):
    """The bytes of a request. Headers: host="evil", content_type="text/plain"; None leaves one out."""
    lines = {"host": f"127.0.0.1:{port}", **({"content-length": str(len(body))} if body or method == "POST" else {})}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items() if value is not None)]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def answer_in(data):
    """The first answer in these bytes, and the rest; None if it is not complete."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    if len(rest) < length:
        return None
    return Answer(int(first.split()[1]), headers, rest[:length]), rest[length:]


def ask(server, method="GET", path="/", body=b"", timeout=10, **headers):
    """One request on a connection of its own."""
    return send(server, request(method, path, server.door.port, body, connection="close", **headers), timeout)


def send(server, data, timeout=10):
    """Raw bytes -> the answer; None if the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", server.door.port), timeout) as connection:
        received = b""
        try:
            connection.sendall(data)
        except OSError:
            pass  # the answer may have come before all was sent
        try:
            while (found := answer_in(received)) is None and (part := connection.recv(65536)):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        found = answer_in(received)
        return found[0] if found else None


def predict(server, pixels, **headers):
    """POST /predict."""
    return ask(server, "POST", "/predict", pixels.tobytes(), **{"content_type": BYTES, **headers})


class Client:
    """A connection that is kept open, in asyncio."""

    def __init__(self, port):
        self.port, self.rest = port, b""

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *error):
        self.writer.close()

    async def ask(self, method, path, body=b"", **headers):
        self.writer.write(request(method, path, self.port, body, **headers))
        while (found := answer_in(self.rest)) is None:
            part = await self.reader.read(65536)
            if not part:
                raise ConnectionError("closed without an answer")
            self.rest += part
        answer, self.rest = found
        return answer


def images(rng, n, shape=(10, 10, 1)):
    """Random pictures of bytes."""
    return rng.integers(0, 256, (n, *shape)).astype(np.uint8)
