"""Who may ask the server: the gate in front of all routes.

A server on 127.0.0.1 is reached by every page that is open in the user's browser. Two checks keep foreign pages out:

    Host       only our own names with our port. A foreign name that resolves to 127.0.0.1 (DNS rebinding) has its own
               name here.
    Origin     if a browser sends it, that of our own page; and Sec-Fetch-Site, if sent, is not another site.

With `--host` other machines reach the server too. Then every request must bring a token, in a cookie that the printed
address sets; /health alone needs none. No Access-Control header is ever sent, so no foreign page reads an answer.

The gate also adds the headers of security to every answer, and turns an error of ours into one line and a short answer.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import sys
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qs

COOKIE = "scratchnet"
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    "trusted-types 'none'",
))  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
LOCAL = ("127.0.0.1", "localhost", "[::1]")
Headers = dict[str, str]


class Door(NamedTuple):
    """Where the server listens, and what it asks of those who come: a port, and a token beyond this machine.

    >>> Door(8000).admits_host("localhost:8000"), Door(8000).admits_host("evil.example:8000")
    (True, False)
    """

    port: int
    host: str = "127.0.0.1"
    token: str | None = None

    def admits_host(self, host: str) -> bool:
        """Whether the header Host is one of our names. With a token: any address of a machine, and any port."""
        name, _, port = host.lower().rpartition(":") if not host.endswith("]") else (host.lower(), "", "")
        if not name:
            name, port = port, ""
        if self.token is None:
            return name in LOCAL and port == ("" if self.port == 80 else str(self.port))
        known = name in (*LOCAL, self.host.lower()) or is_address(name)
        return known and (not port or (port.isascii() and port.isdecimal()))

    def refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """(status, reason) if the request is refused, before any route sees it; None if it may pass."""
        host, origin, site = headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site", "none")
        if not self.admits_host(host):
            return 421, "this server does not answer to that name"
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return 403, "a page of another origin may not ask"
        follows_link = (method, path, headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
            "GET", "/", "navigate", "document",
        )  # fmt: skip
        if site not in ("same-origin", "none") and not follows_link:
            return 403, "a page of another site may not ask"
        if self.token is not None and path != "/health" and not same(token_in(headers), self.token):
            return 401, "open the address that the server printed: it has the token"
        return None

    def enters_with_token(self, path: str, query: bytes) -> bool:
        """Whether this is the printed address, /?token=..."""
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        return self.token is not None and path == "/" and same(given, self.token)


class Gate:
    """The ASGI application that admits requests to another one."""

    def __init__(self, app: Callable[..., Awaitable[None]], door: Door):
        self.app, self.door = app, door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        started = False

        async def send_with_headers(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(
                    (name.encode(), value.encode()) for name, value in
                    {**HEADERS, "cache-control": "no-store"}.items() if name.encode() not in given
                )]  # fmt: skip
            await send(message)

        try:
            refused = self.door.refusal(scope["method"], scope["path"], headers)
            if refused and refused[0] == 401 and self.door.enters_with_token(scope["path"], scope["query_string"]):
                cookie = f"{COOKIE}={self.door.token}; Path=/; HttpOnly; SameSite=Strict"
                await answer(
                    send_with_headers, 303, "the token is kept in a cookie", {"location": "/", "set-cookie": cookie}
                )
            elif refused:
                await answer(send_with_headers, *refused)
            else:
                await self.app(scope, receive, send_with_headers)
        except Exception as error:  # ours; the client learns nothing about it
            print(f"error: {scope['method']} {scope['path']!r}: {type(error).__name__}: {error}", file=sys.stderr)
            if not started:
                await answer(send_with_headers, 500, "an error of the server; its console says which")


async def answer(send: Any, status: int, reason: str, headers: Headers | None = None) -> None:
    """A short JSON answer without a framework: {"error": reason}."""
    body = json.dumps({"error": reason}).encode()
    more = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    pairs = [(name.encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def token_in(headers: Headers) -> str:
    """The token in the cookie; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def same(a: str, b: str) -> bool:
    """a == b, in a time that does not depend on where they differ."""
    return hmac.compare_digest(a.encode(), b.encode())


def is_address(name: str) -> bool:
    """Whether a name is an IP address, as in a Host header.

    >>> is_address("192.168.0.7"), is_address("[fe80::1]"), is_address("example.org")
    (True, True, False)
    """
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True
