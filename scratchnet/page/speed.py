"""How long the layers take on this machine, and what makes a convolution fast.

    layers    each stage of the engine (a layer, or several that are computed as one) beside the textbook's layers
    ladder    one convolution three times: loops in Python as the definition says, the textbook (im2col and one matrix
              product), the engine
    peers     other libraries, where the results of `benchmarks/inference.py` are there

Times are medians of a few runs, milliseconds for one image, taken while this machine does other things too. They show
proportions; `benchmarks/` measures.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.layers import Conv2D
from scratchnet.layers.base import Context
from scratchnet.layers.windows import im2col
from scratchnet.team import available_threads

BATCH, RUNS = 64, 5
LOOPS_SECONDS = 0.1  # for the loops in Python, which are not run to the end
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "inference.json"


def measured(model: Any, batch: int = BATCH) -> dict[str, Any]:
    """Times of a model's layers, as plain data.

    >>> found = measured(model, batch=2)
    >>> [row["names"] for row in found["layers"]], found["ladder"]
    ([['0.rescale'], ['1.flatten'], ['2.dense']], [])
    """
    x = np.random.default_rng(0).integers(0, 256, (batch, *model.input_shape)).astype(np.uint8)
    textbook = textbook_times(model, x)
    rows = []
    for title, seconds in stage_times(model, x).items():
        names = title.split()
        cost = sum(multiply_adds(model, name) for name in names)
        rows.append({
            "names": names, "multiplyAdds": cost, "engine": 1000 * seconds / batch,
            "textbook": 1000 * sum(textbook[name] for name in names) / batch,
        })  # fmt: skip
    return {
        "engine": model.engine,
        "batch": batch,
        "threads": available_threads(),
        "layers": rows,
        "whole": 1000 * median(lambda: model.forward(x)) / batch,
        "one": 1000 * median(lambda: model.forward(x[:1])),
        "ladder": ladder(model, x, rows),
        "peers": peers(),
    }


def median(work: Callable[[], Any], runs: int = RUNS) -> float:
    """The median seconds of a call; the first call, which may compile, is not counted."""
    work()
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def stage_times(model: Any, x: np.ndarray) -> dict[str, float]:
    """Names of a stage's layers -> seconds of its forward, one stage after the other, in one thread."""
    times: dict[str, list[float]] = {}
    for _ in range(RUNS + 1):
        y, ctx = model.check_input(x), model.context()
        for stage in model.backend.stages:
            start = time.perf_counter()
            y, _ = stage.forward(y, ctx)
            times.setdefault(stage.title, []).append(time.perf_counter() - start)
    return {title: statistics.median(found[1:]) for title, found in times.items()}


def textbook_times(model: Any, x: np.ndarray) -> dict[str, float]:
    """The name of each layer -> seconds of its forward, by the textbook."""
    times: dict[str, list[float]] = {}
    for _ in range(3):
        y = model.check_input(x)
        for name, layer in zip(model.names, model.layers, strict=True):
            start = time.perf_counter()
            y, _ = layer.forward(y, Context())
            times.setdefault(name, []).append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def multiply_adds(model: Any, name: str) -> int:
    """Of one layer, for one image."""
    i = model.names.index(name)
    return int(model.layers[i].multiply_adds(model.shapes[i], model.shapes[i + 1]))


def ladder(model: Any, x: np.ndarray, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One convolution, the most expensive one, in three ways; nothing for a model without one."""
    convolutions = [name for name, layer in zip(model.names, model.layers, strict=True) if type(layer) is Conv2D]
    if not convolutions:
        return []
    name = max(convolutions, key=lambda one: multiply_adds(model, one))
    i = model.names.index(name)
    layer, y = model.layers[i], model.check_input(x)
    for before in model.layers[:i]:
        y, _ = before.forward(y, Context())
    share, seconds = loops(layer, y[0])
    row = next(row for row in rows if name in row["names"])
    return [
        {"name": f"{name}: loops in Python", "ms": 1000 * seconds / share, "share": share},
        {"name": f"{name}: NumPy, im2col and one matrix product",
         "ms": 1000 * median(lambda: layer.forward(y, Context())) / len(y), "share": 1.0},
        {"name": f"{' '.join(row['names'])}: this engine ({model.engine})", "ms": row["engine"], "share": 1.0},
    ]  # fmt: skip


def loops(layer: Conv2D, image: np.ndarray) -> tuple[float, float]:
    """The convolution of one image as its definition says, for LOOPS_SECONDS: (share of the outputs, seconds)."""
    columns = im2col(image[None], layer.windows)
    patches = columns.reshape(-1, layer.W[..., 0].size).tolist()
    filters = layer.W.reshape(-1, layer.W.shape[-1]).T.tolist()
    start, done = time.perf_counter(), 0
    for patch in patches:
        for weights in filters:
            total = 0.0
            for a, w in zip(patch, weights, strict=True):
                total += a * w
            done += 1
        if time.perf_counter() - start > LOOPS_SECONDS:
            break
    return done / (len(patches) * len(filters)), time.perf_counter() - start


def peers(path: Path = RESULTS) -> list[dict[str, Any]]:
    """Rows of the benchmark of predictions, if its results are there: other machines may have other ones.

    >>> peers(Path("nowhere.json"))
    []
    """
    try:
        found = json.loads(path.read_text())
        return [
            {"case": row["case"], "framework": row["framework"], "batch": row["batch"],
             "ms": 1000 * row["median"] / row["images"], "cpu": found["machine"]["cpu"]}
            for row in found["rows"] if row.get("batch") == BATCH
        ]  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
