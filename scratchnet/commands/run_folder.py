"""The folder of a run, from before its start until it is stopped."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from scratchnet import report
from scratchnet.checkpoint import newest
from scratchnet.commands.running import as_typed
from scratchnet.process.pipes import command_line


class RunFolder:
    """The folder of a run: `resume` to continue a run, `out`, or a new one, runs/<time>-<preset>.

    Raises FileExistsError if `out` already has a run, unless overwrite. No folder is created before `begin`; a new
    folder that is still empty is removed when the block ends.
    """

    def __init__(
        self, preset: str, out: str | None = None, resume: str | None = None, overwrite: bool = False,
        program: str = "train",
    ):  # fmt: skip
        self.preset, self.out, self.resume, self.overwrite, self.program = preset, out, resume, overwrite, program
        self.path: Path | None = None
        self.created = time.time()
        if out and not resume:
            report.check_no_run(out, overwrite)

    def begin(self) -> Path:
        """Create the folder if it is missing; return its path."""
        if self.resume:
            self.path = Path(self.resume)
        elif self.out:
            self.path = report.run_folder(self.out, self.overwrite)
        else:
            self.path = report.new_folder(f"runs/{time.strftime('%Y-%m-%d_%H%M%S')}-{self.preset}")
        return self.path

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json at the start of the run, and make `latest` point to this folder."""
        assert self.path is not None, "begin() makes the folder"
        report.write_json(self.path / "config.json", config)
        report.mark_latest(self.path)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: Any) -> None:
        if self.path is not None and not (self.out or self.resume):
            with suppress(OSError):  # it is not empty
                self.path.rmdir()

    def print_how_to_resume(self) -> None:
        """After a signal, print to stderr what is saved, and the command that resumes the run."""
        since = 0.0 if self.resume else self.created
        print_how_to_resume(self.path or self.resume or self.out, since, self.program)


def print_how_to_resume(out: Path | str | None, since: float, program: str = "train") -> None:
    """Print what this run saved (after the time `since`), and the command that resumes it.

    out: the run's folder; None if there is none yet. program: the one that resumes it.
    """
    try:
        if out is None:
            raise FileNotFoundError
        path = Path(out) / "checkpoint.safetensors"
        if path.stat().st_mtime < since:
            raise FileNotFoundError
        saved = newest(path).data
    except (OSError, ValueError):
        print("\nstopped before there was anything to save", file=sys.stderr)
        return
    where = f"epoch {saved['epoch'] + 1}, after {saved['batch']} batches"
    command = command_line([*as_typed(program), "--resume", out])
    print(f"\nstopped; saved in {where}. Resume with: {command}", file=sys.stderr)
