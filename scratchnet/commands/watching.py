"""The page of a training run: what `train --watch` adds to it.

A page reads the model in several requests, which must be answered for one state of the weights. When a page is opened,
the training is asked for a copy of all arrays between two batches, and the model of the page is made of it.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.commands.images import Images
from scratchnet.commands.run_folder import RunFolder

if TYPE_CHECKING:
    from scratchnet.page.live import Live
    from scratchnet.page.server import Server
    from scratchnet.page.server_site import Site

Config = dict[str, Any]
REST = 3.0  # seconds: pages that are opened within them show the same state of the weights


class Watch:
    """The page of a training run, with --watch; without it nothing.

    `begin` starts the server before the training, and gives the callback that feeds it; `stay` shows the result until a
    signal comes. The block ends the server.
    """

    def __init__(self, args: argparse.Namespace):
        self.args, self.read = args, -math.inf
        self.server: Server | None = None

    def begin(
        self, model: Any, images: Images, validation: tuple[np.ndarray, np.ndarray], folder: RunFolder, config: Config
    ) -> list[Live]:
        """Start the server. folder, config: of the run; changes by hand are noted there."""
        if not self.args.watch:
            return []
        # Here, so that a run without a page starts without its modules.
        from scratchnet.commands.serving import show
        from scratchnet.page.contents import page_parts
        from scratchnet.page.live import Live
        from scratchnet.page.observe import Observer
        from scratchnet.page.server import Server
        from scratchnet.page.server_site import Site
        from scratchnet.page.tray import TestImages

        def note(changes: list[Config]) -> None:
            config["changed_by_hand"] = changes
            folder.write_config(config)

        tests = TestImages(images.test[0].reshape(-1, *model.input_shape), images.test[1], "test images")
        notes = {"name": f"scratchnet {self.args.preset}", "about": f"Preset {self.args.preset}, in training."}
        live = self.live = Live(Observer(*validation), note)
        site = self.site = Site(copy.deepcopy(model), lambda shown: page_parts(shown, tests, **notes))
        site.before_page, site.offers["training"] = self.refresh, True
        self.server = Server(site, self.args.port, self.args.host, lambda site: training_routes_of(site, live))
        show(self.server.start(), self.args.open)
        return [live]

    def refresh(self) -> None:
        """Show the weights of now; called when a page is opened."""
        if time.monotonic() - self.read < REST or (arrays := self.live.weights()) is None:
            return
        model = self.site.model.untrained_copy()
        for name, array in {**model.parameters(), **model.state()}.items():
            array[...] = arrays[name]
        self.site.publish(model)
        self.read = time.monotonic()

    def stay(self, model: Any) -> None:
        """Show the trained model until Ctrl-C."""
        if self.server is None:
            return
        self.site.before_page = None
        self.site.publish(model)
        print(f"trained; the page stays at {self.server.address} until Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            self.server.wait()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *error: Any) -> None:
        if self.server is not None:
            self.server.stop()


def training_routes_of(site: Site, live: Live) -> list[Any]:
    """The routes need Starlette, which is imported when a server is made."""
    from scratchnet.page.server_training import training_routes

    return training_routes(site, live)
