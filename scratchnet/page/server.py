"""The page of a model, served on this machine.

    with Server(Site(model, page_parts), port=8000) as server:
        print(server.address)
        server.wait()                  until Ctrl-C

uvicorn runs in a thread of its own, so that the main thread can train meanwhile, and hears Ctrl-C at once: Python gives
signals to the main thread. Ending takes a moment, however many pages are open: streams look at `Site.stopping`, and
what has not ended half a second later is cut off.

    server_gate         who may ask                  server_routes      what is answered
    server_connection   slow clients                 server_worker      the threads that compute
    server_files        the files of the page        server_site        the model, and the files that are made of it
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from scratchnet.page import PORT
from scratchnet.page.server_gate import Door, Gate, is_address
from scratchnet.page.server_site import Site

CONNECTIONS = 512  # more are answered with 503
KEEP_ALIVE = 5  # seconds of silence between two requests of a connection
NEEDED = 'the page is served by starlette and uvicorn: python -m pip install "scratchnet[web]"'
Routes = Callable[[Site], list[Any]]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Server:
    """A site, its address, and the thread that serves it.

    port: 0 is any free one. host: 127.0.0.1, or an address that other machines reach; then the printed address has
    a token. routes: called with the site, gives further Starlette routes. Raises OSError if the port is in use.
    """

    def __init__(self, site: Site, port: int = PORT, host: str = "127.0.0.1", routes: Routes | None = None):
        try:
            import uvicorn

            from scratchnet.page.server_connection import Connection
            from scratchnet.page.server_routes import application
        except ImportError as error:
            raise ImportError(f"{NEEDED} ({error})") from None
        self.site, self.host = site, host
        self.socket = listening(host, port)
        token = None if host in LOOPBACK else secrets.token_urlsafe(18)
        self.door = Door(self.socket.getsockname()[1], host, token)
        app = Gate(application(site, routes(site) if routes else []), self.door)
        config = uvicorn.Config(
            app, http=Connection, ws="none", lifespan="off", log_config=None,
            log_level="error", access_log=False, server_header=False, limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=2, backlog=256,
        )  # fmt: skip
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.run, name="page", daemon=True)
        self.loop: Any = None
        self.done = threading.Event()  # not Thread.join: Ctrl-C in a join makes Python think that the thread has ended

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        name = f"[{host}]" if ":" in host and is_address(host) else host
        token = "" if self.door.token is None else f"?token={self.door.token}"
        return f"http://{name}:{self.door.port}/{token}"

    def run(self) -> None:
        """The thread."""

        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self.uvicorn.serve(sockets=[self.socket])

        try:
            asyncio.run(serve())
        finally:
            self.done.set()

    def start(self) -> Server:
        """Begin to answer; returns when the first request would be answered."""
        self.thread.start()
        while not self.uvicorn.started and not self.done.is_set():
            time.sleep(0.01)
        return self

    def wait(self) -> None:
        """Until Ctrl-C, or another signal that raises, or `stop` in another thread."""
        while not self.done.wait(0.5):
            pass

    def stop(self) -> None:
        """End all streams, answer what was asked, close."""
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self.loop.call_soon_threadsafe(self.site.stop)
        self.uvicorn.should_exit = True
        self.done.wait(5)
        self.socket.close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *error: Any) -> None:
        self.stop()


def listening(host: str, port: int) -> socket.socket:
    """A socket bound to the port. It is bound before anything else is done: a port in use is an error at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY on TCP alone
    try:
        if os.name != "nt":  # there it would take a port away from another program
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} is in use by another program. Choose another one: --port {port + 1}") from None
        raise OSError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    except OverflowError:
        opened.close()
        raise ValueError(f"port: expected 0 to 65535, got {port}") from None
    return opened
