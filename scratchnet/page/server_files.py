"""The files of the page, in memory.

The server opens no file because of a request. At its start it reads the files of `static/` once; a path is looked up in
that table, so no path leads to another file. Each has an ETag, the SHA-256 of its content: a browser that has it is
told so in place of the content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


class File(NamedTuple):
    """Content with its type and its ETag."""

    content: bytes
    type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, kind: str = "application/octet-stream") -> File:
        """
        >>> File.of(b"{}", "application/json").etag[:9]
        '"44136fa3'
        """
        return cls(content, kind, f'"{hashlib.sha256(content).hexdigest()}"')


def page_files(folder: Path = STATIC) -> Mapping[str, File]:
    """Path -> file: "/" is index.html, "/net/conv2d.js" a module.

    >>> page_files()["/"].type
    'text/html; charset=utf-8'
    """
    found = {
        f"/{path.relative_to(folder).as_posix()}": File.of(path.read_bytes(), TYPES[path.suffix])
        for path in sorted(folder.rglob("*")) if path.suffix in TYPES
    }  # fmt: skip
    if "/index.html" not in found:
        raise FileNotFoundError(
            f"{folder}: expected the files of the page, found no index.html. Install the package anew"
        )
    return {**found, "/": found["/index.html"]}
