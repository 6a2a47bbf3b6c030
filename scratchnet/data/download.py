"""Fetching a file that is known by the hash of its content.

Mirrors die, move, stall, or answer "200 OK" with an error page. None of that matters to someone who knows the
hash: ask one mirror after the other, believe only bytes that unpack to the right content, and let the file
appear under its name only then. The hash is that of the *unpacked* content: two gzip files of the same data
may differ. The transport is pooch's; what is too much, too slow or too insecure is decided here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from scratchnet.data.atomic import replacing
from scratchnet.data.idx import AGAIN, DataFileError, MissingDataError, decode_idx, idx_sha256

CONNECT, SILENCE = 5.0, 20.0  # seconds to wait for a connection, and for the next byte
PATIENCE, SLOWEST = 20.0, 4096.0  # after so many seconds, at least so many bytes a second on average
MAX_PACKED, MAX_UNPACKED = 2**26, 2**28  # bytes; MNIST's largest file has 9.9 and 47 million


class DownloadError(MissingDataError):
    """No mirror gave the file, or the folder cannot hold it: says why for each mirror, and what to do."""


def fetch_idx(name: str, sha256: str, folder: Path, mirrors: Sequence[str], advice: str) -> Path:
    """Fetch `name`.gz from the first mirror that has the right content into `folder` -> its path.

    `mirrors` are the addresses of folders, `sha256` is the hash of the unpacked IDX file, `advice` ends the
    message of the DownloadError that says why each mirror failed, or why `folder` cannot be written.
    """
    import pooch

    target = folder / f"{name}.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:  # opened first: a folder that is read-only need ask no mirror
            pooch.get_logger().info("Downloading %s to %s", target.name, folder)
            file.write(_first_right_answer(target.name, sha256, mirrors, advice))
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"cannot write {target}: {error.strerror or error}. {advice}") from error
    return target


def _first_right_answer(filename: str, sha256: str, mirrors: Sequence[str], advice: str) -> bytes:
    """The bytes of `filename` from the first mirror where they unpack to the content with that hash."""
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{filename}"
        try:
            answer = _get(url)
            found = idx_sha256(decode_idx(BytesIO(answer), len(answer), "the answer", MAX_UNPACKED))
            if found != sha256:
                raise DataFileError(f"the wrong content: expected SHA-256 {sha256}, found {found}")
            return answer
        except Exception as error:  # whatever it was, the next mirror may do better
            reason = str(error).removesuffix(f" {AGAIN}") or type(error).__name__  # no file to delete
            failures.append(f"  {url}: {reason}")
    raise DownloadError("\n".join([f"no mirror gave {filename}:", *failures, advice]))


def _get(url: str) -> bytes:
    """The body of a successful answer, or an exception that says what was wrong with it."""
    from pooch import HTTPDownloader

    body = _Body()
    get = HTTPDownloader(
        timeout=(CONNECT, SILENCE),
        chunk_size=256,  # bytes between two looks at the clock
        headers={"Accept-Encoding": "identity"},  # the .gz as it is stored
        hooks={"response": _stay_secure},
    )
    get(url, body, None)
    return body.getvalue()


class _Body(BytesIO):
    """Collects an answer, and gives up on one that is too long or too slow."""

    def __init__(self):
        super().__init__()
        self.start = time.monotonic()

    def write(self, chunk) -> int:
        if self.tell() + len(chunk) > MAX_PACKED:
            raise DataFileError(f"more than {MAX_PACKED} bytes")
        seconds = time.monotonic() - self.start
        if seconds > PATIENCE and self.tell() < SLOWEST * seconds:
            raise TimeoutError(f"too slow: {self.tell()} bytes in {seconds:.0f} s")
        return super().write(chunk)


def _stay_secure(response, **_) -> None:
    """Refuse to be sent from https to http on the way."""
    target = response.headers.get("Location", "")
    if response.url.startswith("https:") and target.lower().startswith("http:"):
        raise DataFileError(f"redirected from https to {target}")
