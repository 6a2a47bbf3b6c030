"""What a server has to show: a model, the files that a page reads of it, and the threads that compute.

A page reads the model in several requests. All of them must be answered for one state of the weights: a file that
belonged to an earlier state would fail the page's own check. So the files are made together, by `publish`, from a model
that is not being trained.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from scratchnet.page.server_files import File, page_files
from scratchnet.page.server_worker import Worker

JSON = "application/json"
OPTIONAL = {"tray.json": None, "snapshots.json": None}  # null is no error in the browser's console, as 404 is


class Site:
    """A model and its page; the routes (`server_routes`) answer from it.

    model: any model of images (h, w, c). parts: what makes the parts of the page for a model, name -> JSON data, or the
    bytes of a file.
    """

    def __init__(self, model: Any, parts: Callable[[Any], Mapping[str, Any]], files: Mapping[str, File] | None = None):
        if len(model.input_shape) != 3:
            raise ValueError(
                f"the page shows images (h, w, c), and this model takes input of shape {model.input_shape}"
            )
        self.make_parts, self.files = parts, page_files() if files is None else files
        self.predictor, self.helper = Worker("predictions"), Worker("pictures", waiting=8)
        self.stopping = threading.Event()  # set when the server is to end: streams end then
        self.before_page: Callable[[], None] | None = None  # called in a worker's thread when a page is opened
        self.offers: dict[str, Any] = {"predict": True, "prepare": True, "speed": True}  # /served.json
        self.publish(model)

    def publish(self, model: Any) -> None:
        """Show this model from now on. It must not be trained any more: give a copy."""
        parts = {f"/{name}": as_file(part) for name, part in {**OPTIONAL, **self.make_parts(model)}.items()}
        self.model, self.parts = model, parts

    @property
    def image_bytes(self) -> int:
        """h·w·c of the model's input."""
        return int(np.prod(self.model.input_shape))

    def file(self, path: str) -> File | None:
        """A part of the model, or a file of the page."""
        return self.parts.get(path) or self.files.get(path)

    def stop(self) -> None:
        """In the event loop, when the server is to end."""
        self.stopping.set()
        self.predictor.stop()
        self.helper.stop()


def as_file(part: Any) -> File:
    """Bytes as they are; anything else as JSON.

    >>> as_file({"a": 1}).content
    b'{"a": 1}'
    """
    return File.of(part) if isinstance(part, bytes) else File.of(json.dumps(part).encode(), JSON)
