"""Predict all images of a source: in this process, or on the workers of a Dask cluster.

In this process a thread reads the next images while the kernels work on the present ones. On a cluster a task is a
shard: it reads its images itself and writes its file itself, so both must be in a folder that all machines see. The
model is sent to each worker once. A task that is lost with its worker is run again by another one: it has no effect
but its file.
"""

from __future__ import annotations

import argparse
import hashlib
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.commands.models import open_model
from scratchnet.commands.shards import SIZE, Shards, probabilities, write_shard
from scratchnet.data import digit_from_image, whole_image
from scratchnet.data.images import reads_digits
from scratchnet.data.stream import FolderStream, IdxStream
from scratchnet.process.pipes import console, say
from scratchnet.team import set_threads

ATTEMPTS = 3  # to predict a shard on a cluster that loses all workers with the model
AHEAD = 2  # shards that are read before they are needed
EVERY = 10.0  # seconds between two lines where there is no terminal
RESUMES = "stopped; the same command resumes"


def predict_many(model: Any, path: Path, names: list[str], args: argparse.Namespace) -> int:
    """Predict a file or a folder of any size into --out; the exit code."""
    if args.threads:
        set_threads(args.threads)
    convert = partial(as_input, shape=model.input_shape, digits=finds_digits(model, names, args), invert=args.invert)
    source: Any = IdxStream(args.idx) if args.idx else FolderStream(args.folder, convert)
    shards = Shards(args.out, source, path, names, f"{convert.keywords}" if args.folder else "")
    left = sum(map(shards.images_in, shards.missing()))
    if args.dask:
        how = {"engine": args.engine, "rescale": args.rescale, "convert": convert, "threads": args.threads}
        done = predict_on_workers(shards, path, args.dask, how)
    else:
        done = predict_here(shards, model)
    seconds = followed(done, source.count, left, args.quiet)
    unusable = shards.join()
    rate = f"{left:,} images in {seconds:.1f} s ({left / max(seconds, 1e-9):,.0f}/s)"
    print(
        f"{args.out}: {source.count:,} rows; {rate}"
        + f"; pictures that could not be used: {unusable:,}" * bool(unusable)
    )
    return 1 if unusable else 0


def finds_digits(model: Any, names: list[str], args: argparse.Namespace) -> bool:
    """Whether the digits are to be found in the pictures."""
    return args.digits or (not args.whole and reads_digits(model.input_shape, names))


def predict_here(shards: Shards, model: Any) -> Iterator[int]:
    """Compute the missing shards; yields the number of images of each."""
    missing = set(shards.missing())
    for first, images in read_ahead(shards.source.pieces(SIZE, missing.__contains__)):
        write_shard(shards.path(first // SIZE), probabilities(model, images))
        yield len(images)


def read_ahead(pieces: Iterator[Any]) -> Iterator[Any]:
    """The same pieces, read in a thread, at most AHEAD of them before they are asked for."""
    ready: queue.Queue = queue.Queue(AHEAD)
    stopped = threading.Event()

    def put(item: Any) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for piece in pieces:
                put((piece, None))
                if stopped.is_set():
                    return
            put((None, None))
        except BaseException as error:  # raised where the pieces are used
            put((None, error))

    threading.Thread(target=read, name="read ahead", daemon=True).start()
    try:
        while True:
            piece, error = ready.get()
            if error is not None:
                raise error
            if piece is None:
                return
            yield piece
    finally:
        stopped.set()


def as_input(path: Path, shape: tuple[int, ...], digits: bool, invert: bool) -> np.ndarray:
    """A picture as the model's input: its one digit, or the whole picture."""
    h, w, c = shape
    return digit_from_image(path, h, round(h * 20 / 28)) if digits else whole_image(path, (h, w, c), invert)


# on a cluster

Convert = Callable[[Path], np.ndarray] | None
_models: dict[str, Any] = {}  # of this worker, by the digest of the file


def predict_on_workers(shards: Shards, model_file: Path, address: str, options: dict[str, Any]) -> Iterator[int]:
    """The same on a Dask cluster. options: of `open_model`, and convert for pictures."""
    distributed = import_dask()
    source = shards.source
    if getattr(source, "packed", False):
        raise ValueError(f"{source.path}: a packed file can only be read from its beginning. Unpack it for --dask")
    missing = shards.missing()
    names = dict(enumerate(some for _, some in source.names(SIZE))) if isinstance(source, FolderStream) else {}
    try:
        client = distributed.Client(address, timeout=20)
    except OSError as error:
        raise ValueError(f"--dask {address}: no scheduler answers there ({error})") from None
    with client:
        for _ in range(ATTEMPTS):
            sent = client.scatter((model_file.name, model_file.read_bytes()), broadcast=True)
            tasks = [
                client.submit(
                    predict_shard, sent, str(source.path), number, names.get(number), str(shards.path(number)), options,
                    pure=False, key=f"{shards.path(number)}-{time.time_ns()}", retries=3,
                )
                for number in missing
            ]  # fmt: skip
            for task in distributed.as_completed(tasks):
                with suppress(CancelledError):  # the workers that had the model are gone: it is sent again
                    yield task.result()
            missing = shards.missing()
            if not missing:
                return
    raise ConnectionError(f"--dask {address}: {len(missing)} shards were lost {ATTEMPTS} times. Are its workers alive?")


def predict_shard(
    model: tuple[str, bytes], source: str, number: int, names: list[str] | None, out: str, options: dict[str, Any]
) -> int:
    """A task: read the images of a shard, predict them, write the file; how many images there are."""
    options = dict(options)
    convert: Convert = options.pop("convert", None)
    threads = options.pop("threads", None)
    key = hashlib.sha256(model[1]).hexdigest()
    if key not in _models:
        if threads:
            set_threads(threads)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / model[0]
            path.write_bytes(model[1])
            _models[key] = open_model(path, **options)
    images: Any
    if names is None:
        images = IdxStream(source).mapped[SIZE * number : SIZE * (number + 1)]
    else:
        images = [image_of(Path(source) / name, convert) for name in names]
    write_shard(Path(out), probabilities(_models[key], images))
    return len(images)


def image_of(path: Path, convert: Convert) -> np.ndarray | None:
    """A picture, or None if it cannot be used."""
    assert convert is not None
    try:
        return convert(path)
    except (ValueError, OSError):
        return None


def import_dask() -> Any:
    """dask.distributed, or ImportError with the command that installs it."""
    try:
        import distributed
    except ImportError as error:
        raise ImportError(f"--dask needs dask.distributed ({error}). Run: python -m pip install -e '.[dask]'") from None
    return distributed


# what is seen of it


def followed(done: Iterator[int], total: int, images: int, quiet: bool) -> float:
    """Go through all shards, and show how far it is, at what rate, and when it will end; the seconds it took.

    total: all images; images: those that are still to be predicted.
    """
    start, shown, count = time.monotonic(), time.monotonic(), 0
    terminal = console(stderr=True)
    if terminal.is_terminal and not quiet:
        return with_bar(done, total, images, terminal)
    for some in done:
        count += some
        if not quiet and time.monotonic() - shown > EVERY:
            shown = time.monotonic()
            say(progress_line(total - images + count, total, count / (shown - start)))
    return time.monotonic() - start


def progress_line(done: int, total: int, rate: float) -> str:
    """300,000 of 1,000,000 images, 82,000/s, 9 s left

    >>> progress_line(300_000, 1_000_000, 82_000.0)
    '300,000 of 1,000,000 images, 82,000/s, 9 s left'
    """
    return f"{done:,} of {total:,} images, {rate:,.0f}/s, {(total - done) / max(rate, 1e-9):.0f} s left"


def with_bar(done: Iterator[int], total: int, images: int, terminal: Any) -> float:
    """The same on a terminal, as a bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    start, count = time.monotonic(), 0
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task("", total=total, completed=total - images, rate="")
        for some in done:
            count += some
            bar.update(task, advance=some, rate=f"{count / (time.monotonic() - start):,.0f}/s")
    return time.monotonic() - start
