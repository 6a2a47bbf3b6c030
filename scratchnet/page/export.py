"""The page as one file: opened by a double click, it needs no server and no network.

    save_html(model, "digits.html")

Its parts are those that a server sends (`contents`), its script the same modules (`bundle`). It holds the weights, and
images of the tray if some are given. When it is opened, it recalculates a golden input first; if the logits are not
Python's, it shows a warning and no answers.
"""

from __future__ import annotations

import os
from typing import Any

from scratchnet.data.atomic import replacing
from scratchnet.model import Sequential
from scratchnet.page.bundle import one_file
from scratchnet.page.contents import page_parts
from scratchnet.page.tray import TestImages

ELEMENTS = {"model.safetensors": "weights"}  # the others have the names of their files


def save_html(
    model: Sequential,
    path: str | os.PathLike[str],
    images: TestImages | None = None,
    snapshots: Any = None,
    **notes: Any,
) -> None:
    """Write the page of a model. images: for the tray; snapshots: a recorded training; notes: see `describe`.

    Raises ValueError for a layer of the user's own, with its place and name.

    >>> save_html(model, "digits.html")
    >>> open("digits.html").readline()
    '<!doctype html>\\n'
    """
    if len(model.input_shape) != 3:
        raise ValueError(f"the page shows images (h, w, c), and this model takes input of shape {model.input_shape}")
    parts = page_parts(model, images, **notes)
    if snapshots is not None:
        parts["snapshots.json"] = snapshots
    elements = {ELEMENTS.get(name, name.removesuffix(".json")): part for name, part in parts.items()}
    with replacing(path) as file:
        file.write(one_file(elements).encode())
