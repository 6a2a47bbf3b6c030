"""The parts of the page, by the names of their files: what a server sends, and what an exported file has inside.

model.json          the description of the network (describe)
model.safetensors   its arrays in float32
golden.json         an input and what Python calculates for it: the page checks itself with it (golden)
tray.json           test images (tray); not in every page
sources.json        the Python functions beside the views (sources)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.model import Sequential
from scratchnet.page.describe import describe
from scratchnet.page.golden import golden
from scratchnet.page.sources import page_sources
from scratchnet.page.tray import TestImages, make_tray


def page_parts(model: Sequential, images: TestImages | None = None, **notes: Any) -> dict[str, Any]:
    """File name -> JSON data, or the bytes of model.safetensors.

    images: of which the tray is made. notes: further entries of model.json, such as those of `notes_of`.
    Raises ValueError for a layer of the user's own, with its place and name.

    >>> sorted(page_parts(model))
    ['golden.json', 'model.json', 'model.safetensors', 'sources.json']
    """
    import safetensors.numpy

    description = describe(model, **notes)
    arrays = {**model.parameters(), **model.state()}
    parts: dict[str, Any] = {
        "model.json": description,
        "model.safetensors": safetensors.numpy.save(
            {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
        ),
        "golden.json": golden(model),
        "sources.json": page_sources(model),
    }
    if images is not None:
        parts["tray.json"] = make_tray(model, images)
    return parts


def notes_of(path: Path) -> dict[str, Any]:
    """The name of a model, and a sentence about it, for the page: from a run's folder, or the file's name.

    >>> notes_of(Path("digits.safetensors"))
    {'name': 'digits.safetensors', 'about': ''}
    """
    try:
        metrics = json.loads((path / "metrics.json").read_text())
    except (OSError, ValueError):
        return {"name": path.name, "about": ""}
    about = f"Preset {metrics['preset']}, trained on {metrics['dataset']} for {metrics['epochs']} epochs: "
    about += f"{metrics['test_accuracy']:.2%} of the test images are right"
    drawn = metrics.get("as_drawn_accuracy")
    if drawn is not None:
        about += f", {drawn:.2%} of them moved, turned and thickened as drawings are"
    if augmented(path) is False:
        about += ". It was not trained on distorted digits, and misreads more drawings than it should"
    return {"name": f"scratchnet {metrics['preset']}", "about": f"{about}."}


def augmented(run: Path) -> bool | None:
    """Whether a run's training images were distorted; None if it does not say."""
    try:
        config = json.loads((run / "config.json").read_text())
    except (OSError, ValueError):
        return None
    return config.get("augment") not in (None, "off", {})
