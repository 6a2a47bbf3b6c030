"""The page of a model: its options, its server, its address in a browser.

    page_options     --port, --host, --no-open
    serve_model      a server for a model file or a run
    show             print the address, and open it

The page of a model that is being trained: `watching`.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet import report
from scratchnet.commands.models import open_model
from scratchnet.page.classroom import Classroom
from scratchnet.page.contents import notes_of, page_parts
from scratchnet.page.corrections import Corrections, class_names, corrections_folder
from scratchnet.page.server import Server
from scratchnet.page.server_site import Site
from scratchnet.page.snapshots import FILE as SNAPSHOTS
from scratchnet.page.snapshots import read_snapshots
from scratchnet.page.teach import Images
from scratchnet.page.tray import TestImages, find_test_images, settings_of_run


def as_training(argv: Sequence[str]) -> list[str] | None:
    """`serve --train PRESET ...` as a call of `train`; None without --train.

    >>> as_training(["--train", "mlp", "--epochs", "3"])
    ['train', '--preset', 'mlp', '--watch', '--epochs', '3']
    """
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--train=") else [word])]
    if "--train" not in words[:-1]:
        return None
    at = words.index("--train")
    return ["train", "--preset", words[at + 1], "--watch", *words[:at], *words[at + 2 :]]


def serve_model(args: argparse.Namespace) -> Server:
    """A server for args.model; not yet started."""
    run = report.find_run(args.model)
    model = open_model(report.find_model(args.model), args.engine)
    chosen = {name: value for name in ("dataset", "data_dir") if (value := getattr(args, name))}
    settings = {**(chosen or settings_of_run(run)), "required": "data_dir" in chosen}
    images = find_test_images(model, **settings)
    recorded = read_snapshots(run / SNAPSHOTS)
    kept = {} if recorded is None else {SNAPSHOTS: recorded}
    site = Site(model, lambda shown: {**page_parts(shown, images, **notes_of(run)), **kept})
    model.forward(np.zeros((1, *model.input_shape), np.uint8))  # compiles what is not compiled yet
    room = classroom(site, run, args.corrections, images, settings)
    return Server(site, args.port, args.host, lambda site: teaching_routes_of(site, room))


def classroom(
    site: Site, run: Path, folder: str | None, images: TestImages | None, settings: dict[str, Any]
) -> Classroom:
    """What can be taught to the model of a site."""
    model = site.model
    kept = Corrections(corrections_folder(model, folder), model.input_shape, class_names(model))

    def others() -> Images | None:
        found = find_test_images(model, **settings, training=True)
        return None if found is None else (found.x, found.y)

    site.offers["teach"] = True
    return Classroom(site, kept, run, lambda: None if images is None else (images.x, images.y), others)


def teaching_routes_of(site: Site, room: Classroom) -> list[Any]:
    """The routes need Starlette, which is imported when a server is made."""
    from scratchnet.page.server_teaching import teaching_routes

    return teaching_routes(site, room)


def show(server: Server, browser: bool) -> None:
    """Print the address, and open it."""
    print(f"the page is at {server.address}        Ctrl-C ends it", flush=True)
    if server.door.token is not None:
        print("other machines reach it too; whoever has this address may use it", file=sys.stderr)
    if browser and can_open():
        threading.Thread(target=webbrowser.open, args=[server.address], daemon=True).start()


def can_open() -> bool:
    """Whether there is a screen. Without one, Python would start a browser for the terminal, in this terminal."""
    return (
        os.name == "nt"
        or sys.platform == "darwin"
        or bool({"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys())
    )
