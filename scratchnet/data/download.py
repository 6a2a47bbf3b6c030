"""Fetching a file that is identified by the hash of its content.

Mirrors disappear, move, stall, or answer "200 OK" with an error page. A known hash makes that harmless: try one mirror
after the other, accept only bytes that unpack to the right content, and give the file its name only then. The hash
is that of the *unpacked* content: two gzip files of the same data may differ. The transport is requests'; the limits
on size, time and security are set here.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from scratchnet.data.atomic import replacing
from scratchnet.data.idx import AGAIN, DataFileError, DownloadError, decode_idx, idx_sha256

if TYPE_CHECKING:
    import requests

CONNECT, SILENCE = 5.0, 20.0  # seconds to wait for a connection, and for the next byte
PATIENCE, SLOWEST = 20.0, 4096.0  # seconds, and the average bytes per second required after them
MAX_PACKED, MAX_UNPACKED = 2**25, 2**26  # bytes; Fashion-MNIST's largest file has 26 and 47 million
REDIRECTS = 5
PIECE = 2**16

# Root cause of a failure -> its short description; the first match counts.
REASONS: list[tuple[type[BaseException], str]] = [
    (socket.gaierror, "unknown host"),
    (ssl.SSLCertVerificationError, "a certificate that cannot be trusted"),
    (ssl.SSLError, "no secure connection"),
    (ConnectionRefusedError, "connection refused"),
    (http.client.IncompleteRead, "cut off"),
    (ConnectionError, "connection lost"),
    (TimeoutError, "no answer in time"),
]


def fetch_idx(name: str, sha256: str, folder: Path, mirrors: Sequence[str], advice: str) -> Path:
    """Fetch `name`.gz from the first mirror that has the right content into `folder` -> its path.

    `mirrors` are the addresses of folders, `sha256` is the hash of the unpacked IDX file, `advice` ends the
    message of the DownloadError that says why each mirror failed, or why `folder` cannot be written.
    """
    target, needed = folder / f"{name}.gz", ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:  # opened first: a read-only folder fails before any request
            print(f"Downloading {target.name} to {folder}", file=sys.stderr)
            answer = _first_right_answer(target.name, sha256, mirrors, advice)
            needed = f" ({len(answer):,} bytes needed)"
            file.write(answer)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"cannot write {target}: {error.strerror or error}{needed}. {advice}") from error
    return target


def _first_right_answer(filename: str, sha256: str, mirrors: Sequence[str], advice: str) -> bytes:
    """The bytes of `filename` from the first mirror where they unpack to the content with that hash."""
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{filename}"
        try:
            answer = _get(url)
            if answer.lstrip()[:1] in (b"<", b"{"):
                raise DataFileError("a web page instead of the file")
            found = idx_sha256(decode_idx(BytesIO(answer), len(answer), "", MAX_UNPACKED))
            if found != sha256:
                raise DataFileError(f"other content, SHA-256 {found[:12]}… instead of {sha256[:12]}…")
            return answer
        except Exception as error:  # any failure: try the next mirror
            failures.append(f"  {url}: {_reason(error)}")
    raise DownloadError("\n".join([f"no mirror gave {filename}:", *failures, advice]))


def _get(url: str) -> bytes:
    """The body of a successful response, after any redirects, or an exception with the reason."""
    import requests

    with requests.Session() as session:
        for _ in range(REDIRECTS + 1):
            headers = {"Accept-Encoding": "identity"}  # the .gz as it is stored
            asked = session.get(
                url, headers=headers, timeout=(CONNECT, SILENCE), stream=True, allow_redirects=False
            )  # requests itself would read the body of a redirect, however long
            with asked as response:
                if not response.is_redirect:
                    return _body(response)
                here, url = url, urljoin(url, response.headers["Location"])
            if urlsplit(url).scheme not in ("https", urlsplit(here).scheme):
                raise DataFileError(f"redirected from {urlsplit(here).scheme} to {urlsplit(url).scheme}")
    raise DataFileError(f"redirected more than {REDIRECTS} times")


def _body(response: requests.Response) -> bytes:
    """The body of a successful response, unless it is too long or too slow."""
    if response.status_code != 200:
        raise DataFileError(f"{response.status_code} {http.client.responses.get(response.status_code, '')}".strip())
    body, start = BytesIO(), time.monotonic()
    while piece := response.raw.read1(PIECE):  # read1 returns what has arrived; read would wait for a full PIECE
        body.write(piece)
        seconds = time.monotonic() - start
        if body.tell() > MAX_PACKED:
            raise DataFileError(f"more than {MAX_PACKED:,} bytes")
        if seconds > PATIENCE and body.tell() < SLOWEST * seconds:
            raise DataFileError(f"too slow, {body.tell():,} bytes in {seconds:.0f} s")
    return body.getvalue()


def _reason(error: BaseException) -> str:
    """Why a mirror failed, in a few words."""
    from requests import exceptions

    if isinstance(error, DataFileError):
        return str(error).removeprefix(": ").removesuffix(f" {AGAIN}").rstrip(".")  # there is no file to delete
    if isinstance(error, (exceptions.MissingSchema, exceptions.InvalidSchema, exceptions.InvalidURL)):
        return "not an address of the web"
    chain = [error]
    while below := chain[-1].__cause__ or chain[-1].__context__:  # the libraries wrap errors in errors
        chain.append(below)
    words = (words for kind, words in REASONS if any(isinstance(link, kind) for link in chain))
    return next(words, f"{type(error).__name__} {str(error)[:60]!r}")
