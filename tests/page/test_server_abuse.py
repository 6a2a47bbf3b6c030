"""Requests that no browser sends: the server answers or closes, and goes on (W2, W4)."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import threading
import time

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from scratchnet.page import server_connection, server_routes
from tests.page.serving import BYTES, Client, ask, images, predict, request, send, served

METHODS = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "BREW",
    "G\0T",
    "",
    "A" * 300,
]
PATHS = [
    "/", "/predict", "/prepare", "/model.json", "/net/tensor.js", "/health", "/nowhere", "*", "http://evil.example/",
    "//", "/../../etc/passwd", "/%00", "/%ff%fe", "/%", "/predict?x=" + "y" * 3000, "/a b", "/\\", "", "/\x7f",
    "/" + "a" * 20000,
    "/%2e%2e%2f", "/predict#x", "/predict;x", "/pr%65dict", "/?token=%", "/?token=" + "t" * 500,
]  # fmt: skip
HEADERS = [
    ("content-type", "text/plain"), ("content-type", BYTES), ("content-type", "multipart/form-data; boundary=x"),
    ("content-type", "application/x-www-form-urlencoded"), ("content-type", ";" * 5000), ("content-type", "é"),
    ("content-length", "-1"), ("content-length", "1e3"), ("content-length", "99999999999999999999"),
    ("content-length", "5, 6"), ("content-length", "+7"), ("content-length", "0x10"), ("transfer-encoding", "chunked"),
    ("transfer-encoding", "gzip, chunked"), ("transfer-encoding", "identity"), ("range", "bytes=" + "0-1," * 10000),
    ("cookie", "a=b; " * 2000), ("cookie", "scratchnet"), ("cookie", "=;;=\\\""), ("x", "\0"),
    ("x", "y" * 64000),
    ("", "x"), ("x y", "z"), ("host", "evil"), ("expect", "100-continue"), ("expect", "something"),
    ("connection", "upgrade"),
    ("upgrade", "websocket"), ("upgrade", "h2c"), ("if-none-match", "*"), ("accept-encoding", "gzip;q=" + "9" * 4000),
    ("origin", "\x80"), ("sec-fetch-site", "x"), ("trailer", "x"), ("http2-settings", "AAA"),
]  # fmt: skip
BODIES = [0, 1, 99, 100, 101, 255, 257, 4096, 65536, 70000]


def wild_request(chance, port):
    """Bytes that resemble a request: in each of its parts it may be right, or wild."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(1, 3000))
    wild = lambda share=0.25: chance.random() < share  # noqa: E731
    method = chance.choice(METHODS) if wild() else chance.choice(["GET", "POST", "POST"])
    path = chance.choice(PATHS) if wild() else chance.choice(["/predict", "/prepare", "/main.js"])
    size = 2_000_000 if wild(0.01) else chance.choice(BODIES)
    body = chance.randbytes(size)
    host = "" if wild(0.05) else f"host: 127.0.0.1:{port}\r\nconnection: close\r\n"
    kind = "" if wild() else f"content-type: {BYTES}\r\n"
    length = f"content-length: {chance.choice([size + 5, max(0, size - 5)]) if wild() else size}\r\n" if size else ""
    more = "".join(f"{name}: {value}\r\n" for name, value in chance.sample(HEADERS, chance.choice([0, 0, 1, 2, 3])))
    if "transfer-encoding" in more and wild(0.9):
        length, body = "", chunks(chance, body)
    version = chance.choice(["HTTP/1.0", "HTTP/2", "HTTP/9.9", "", "HTTP/1.1\r\n\r\n"]) if wild(0.1) else "HTTP/1.1"
    data = f"{method} {path} {version}\r\n{host}{kind}{length}{more}\r\n".encode("latin-1") + body
    return data[: chance.randrange(len(data))] if wild(0.1) else data


def chunks(chance, body):
    """A body in pieces; now and then without an end, or with a piece that lies about its length."""
    pieces, at = [], 0
    while at < len(body):
        piece = body[at : at + chance.choice([1000, 30000])]
        said = len(piece) + (chance.random() < 0.02)
        pieces.append(f"{said:x}\r\n".encode() + piece + b"\r\n")
        at += len(piece)
    return b"".join(pieces) + (b"0\r\n\r\n" if chance.random() < 0.7 else b"")


async def exchange(port, data):
    """Send, and read until the server closes -> the status codes of the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        received = await asyncio.wait_for(reader.read(), 20)
    except (ConnectionError, OSError):
        return []
    finally:
        writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


@pytest.mark.parametrize("seed", range(5))
def test_W2_a_thousand_wild_requests_and_never_an_error_of_the_server(seed, caplog, capsys, rng, monkeypatch):
    monkeypatch.setattr(server_routes, "SECONDS", 0.3)
    monkeypatch.setattr(server_routes, "PICTURE_SECONDS", 0.3)
    monkeypatch.setattr(server_connection, "SECONDS", 0.3)
    monkeypatch.setattr("scratchnet.page.server.KEEP_ALIVE", 0.3)
    chance, x = random.Random(seed), images(rng, 1)[0]

    async def storm(port):
        gate = asyncio.Semaphore(50)

        async def one(data):
            async with gate:
                return await exchange(port, data)

        return await asyncio.gather(*(one(wild_request(chance, port)) for _ in range(1000)))

    with served() as server:
        statuses = [status for found in asyncio.run(storm(server.door.port)) for status in found]
        assert predict(server, x).status == 200
    assert len(statuses) > 800 and {200, 400, 404, 405, 413, 415, 421} <= set(statuses)
    assert not [status for status in statuses if status >= 500 and status != 503], sorted(set(statuses))
    assert capsys.readouterr().err == "" and not [r for r in caplog.records if r.levelno >= logging.ERROR]


BEGUN = "POST /predict HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/octet-stream\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"{BEGUN}content-length: 100\r\n\r\nabc", 408),
        (f"{BEGUN}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n", 408),
        ("GET /health HTTP/1.1\r\nhost: HOST\r\nx: ", None),
        ("G", None),
        ("", None),
    ],
)
def test_W4_what_does_not_arrive_is_not_waited_for(head, status, monkeypatch):
    monkeypatch.setattr(server_routes, "SECONDS", 0.3)
    monkeypatch.setattr(server_connection, "SECONDS", 0.3)
    with served() as server:
        answer = send(server, head.replace("HOST", f"127.0.0.1:{server.door.port}").encode(), timeout=5)
    assert (None if answer is None else answer.status) == status


def test_W2_a_body_that_never_ends_is_cut_off(monkeypatch):
    sent = []

    async def pour(port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            request("POST", "/predict", port, content_type=BYTES, content_length=None, transfer_encoding="chunked")
        )
        try:
            for _ in range(2000):  # 128 MB
                writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                await writer.drain()
                sent.append(65536)
        except ConnectionError:
            pass
        writer.close()

    with served() as server:
        asyncio.run(asyncio.wait_for(pour(server.door.port), 20))
        assert ask(server, path="/health").status == 200
    assert sum(sent) < 20 * 2**20


def test_W4_two_hundred_slow_clients_are_closed_and_delay_nobody(monkeypatch, rng):
    monkeypatch.setattr(server_connection, "SECONDS", 1.0)
    monkeypatch.setattr(server_routes, "SECONDS", 1.0)
    x = images(rng, 1)[0]

    async def drip(port, k):
        """A byte of the head, or of the body, every tenth of a second, until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        whole = request("POST", "/predict", port, x.tobytes(), content_type=BYTES)
        begin = whole.find(b"\r\n\r\n") + 4 if k % 2 else 0
        writer.write(whole[:begin])
        start = time.monotonic()
        try:
            for byte in whole[begin:]:
                if reader.at_eof():
                    break
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        writer.close()
        return time.monotonic() - start

    async def both(port):
        slow = [asyncio.ensure_future(drip(port, k)) for k in range(200)]
        await asyncio.sleep(0.3)
        async with Client(port) as client:
            good = [(await client.ask("POST", "/predict", x.tobytes(), content_type=BYTES)).status for _ in range(20)]
            waiting = sum(not task.done() for task in slow)
        return good, waiting, await asyncio.gather(*slow)

    with served() as server:
        good, waiting, seconds = asyncio.run(asyncio.wait_for(both(server.door.port), 30))
        assert not server.uvicorn.server_state.connections
    assert good == [200] * 20 and waiting == 200  # answered while all of them were still connected
    assert len(seconds) == 200 and max(seconds) < 9  # all of a request would take ten seconds at least


def test_W4_clients_that_leave_at_any_point_leave_no_task_and_no_traceback(caplog, capsys, rng):
    x, chance = images(rng, 1)[0], random.Random(7)

    async def leave(port):
        for path, body in (("/predict", x.tobytes()), ("/prepare", bytes(5000)), ("/model.safetensors", b"")):
            data = request("POST" if body else "GET", path, port, body, content_type=BYTES)
            for _ in range(35):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data[: chance.randrange(len(data) + 1)])
                await asyncio.sleep(chance.choice([0, 0.001, 0.005]))
                writer.transport.abort()

    with served() as server:
        asyncio.run(leave(server.door.port))
        for _ in range(200):
            if not server.uvicorn.server_state.tasks and not server.uvicorn.server_state.connections:
                break
            time.sleep(0.02)
        assert not server.uvicorn.server_state.tasks and not server.uvicorn.server_state.connections
        assert predict(server, x).status == 200
    assert capsys.readouterr().err == "" and not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_W4_a_client_that_does_not_read_is_closed(monkeypatch):
    monkeypatch.setattr(server_connection, "SECONDS", 0.3)

    async def ask_and_not_read(port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.transport.pause_reading()
        writer.write(request("GET", "/main.js", port) * 4000)  # the answers fill every buffer on the way
        await asyncio.sleep(1.5)
        writer.transport.abort()

    with served() as server:
        asyncio.run(ask_and_not_read(server.door.port))
        for _ in range(200):
            if not server.uvicorn.server_state.connections:
                break
            time.sleep(0.02)
        assert not server.uvicorn.server_state.connections and ask(server, path="/health").status == 200


def test_memory_does_not_grow_with_the_requests(rng):
    resource = pytest.importorskip("resource")
    x = images(rng, 1)[0]

    async def many(port, n):
        async with Client(port) as client:
            for _ in range(n):
                await client.ask("POST", "/predict", x.tobytes(), content_type=BYTES)
                await client.ask("POST", "/predict", bytes(5), content_type=BYTES)

    threads = threading.active_count()
    with served() as server:
        asyncio.run(many(server.door.port, 100))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        asyncio.run(many(server.door.port, 300))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert threading.active_count() == threads + 3  # the server, and two that compute
    for _ in range(200):
        if threading.active_count() == threads:
            break
        time.sleep(0.02)
    assert threading.active_count() == threads
    assert after - before < 20 * 1024  # KiB on Linux
