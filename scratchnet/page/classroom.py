"""Teaching in a served page: what is kept, a training run in the background, and which model answers.

The model that was served first is `former`; what came of the last lesson is `taught`. `use` chooses which of them the
page shows. A file is written only when `save` is called, and always under a new name.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.page.corrections import Corrections
from scratchnet.page.server_site import Site
from scratchnet.page.teach import Images, Lesson, StoppedError, learn

SHOWN = 60  # corrections that a page shows: the newest


class Classroom:
    """The corrections of one model, and the lessons on them.

    beside: the model's file or folder, beside which a taught model is saved. test, others: called when they are needed;
    the test images, and the images of the training set that are learned again.
    """

    def __init__(
        self, site: Site, corrections: Corrections, beside: Path, test: Callable[[], Images | None],
        others: Callable[[], Images | None],
    ):  # fmt: skip
        self.site, self.corrections, self.beside = site, corrections, beside
        self.test, self.others = test, others
        self.former = site.model
        self.lesson: Lesson | None = None
        self.thread: threading.Thread | None = None
        self.state, self.share, self.problem, self.saved = "idle", 0.0, "", ""

    def status(self) -> dict[str, Any]:
        """All that the page shows."""
        _, y = self.corrections.copy()
        return {
            "folder": str(self.corrections.folder),
            "count": len(y),
            "counts": np.bincount(y, minlength=len(self.corrections.names)).tolist(),
            "state": self.state,
            "share": self.share,
            "problem": self.problem,
            "result": None if self.lesson is None else self.lesson.numbers(),
            "uses": "former" if self.site.model is self.former else "taught",
            "saved": self.saved,
        }

    def shown(self) -> dict[str, Any]:
        """The newest corrections, as of the page's tray; "first" is the index of the first of them."""
        x, y = self.corrections.copy()
        first = max(0, len(x) - SHOWN)
        pixels = base64.b64encode(x[first:].tobytes()).decode()
        return {"first": first, "shape": list(self.corrections.shape), "labels": y[first:].tolist(), "pixels": pixels}

    def begin(self) -> None:
        """Start a lesson in a thread of its own. Raises ValueError during another one, or without corrections."""
        if self.state == "learning":
            raise ValueError("a lesson is in progress")
        if not len(self.corrections.y):
            raise ValueError("there are no corrections yet: say first what an image really is")
        self.state, self.share, self.problem, self.saved = "learning", 0.0, "", ""
        self.thread = threading.Thread(target=self.work, name="lesson", daemon=True)
        self.thread.start()

    def work(self) -> None:
        """The lesson."""
        try:
            self.lesson = learn(
                self.former, self.corrections.copy(), self.others(), self.test(), tell=self.progress,
                stopped=self.site.stopping.is_set,
            )  # fmt: skip
            self.state = "learned"
        except StoppedError:
            self.state = "idle"
        except Exception as error:  # the page shows it
            self.state, self.problem = "failed", str(error)

    def progress(self, share: float) -> None:
        """How far the lesson is."""
        self.share = round(share, 3)

    def use(self, taught: bool) -> None:
        """Show the taught model, or the former one again. Raises ValueError if nothing was learned."""
        if taught and self.lesson is None:
            raise ValueError("nothing was learned yet")
        self.site.publish(self.lesson.model if taught and self.lesson else self.former)

    def save(self) -> Path:
        """Write the taught model into a new file beside the former one; its path."""
        if self.lesson is None:
            raise ValueError("nothing was learned yet")
        path = free_name(self.beside)
        self.lesson.model.save(path)
        self.saved = str(path)
        return path


def free_name(beside: Path) -> Path:
    """A file name that is not taken: digits-taught.safetensors, digits-taught-2.safetensors, ...

    >>> free_name(Path("digits.safetensors")).name, free_name(Path("digits.safetensors")).name
    ('digits-taught.safetensors', 'digits-taught-2.safetensors')
    """
    folder, stem = (beside, "model") if beside.is_dir() else (beside.parent, beside.stem)
    number = 1
    while True:
        path = folder / f"{stem}-taught{f'-{number}' if number > 1 else ''}.safetensors"
        try:
            path.touch(exist_ok=False)  # taken from here on, also by other programs
            return path
        except FileExistsError:
            number += 1
