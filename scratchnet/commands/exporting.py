"""The formats of `scratchnet export`, and the check of what was written: it is run, and compared with the model.

The check runs the exported file as its user would, in another process: with onnxruntime, with PyTorch, with Keras, as a
program of a Python that does not see this package, compiled by the C compiler of this machine, opened in a browser.
Where the tool is not installed, that is the answer.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scratchnet.interop.c_export import save_c
from scratchnet.interop.keras_save import save_keras
from scratchnet.interop.numpy_export import save_numpy
from scratchnet.interop.onnx_export import save_onnx
from scratchnet.interop.torch_export import save_torch
from scratchnet.losses import softmax
from scratchnet.model import Sequential
from scratchnet.page.contents import notes_of
from scratchnet.page.export import save_html
from scratchnet.page.snapshots import FILE as SNAPSHOTS
from scratchnet.page.snapshots import read_snapshots
from scratchnet.page.tray import find_test_images, settings_of_run

TOLERANCE = 1e-4  # of a probability
SECONDS = 600


class Check(NamedTuple):
    """What came of running an export: which tool ran it, on how many images, and how far its answers are off."""

    tool: str
    images: int
    difference: float  # the largest, of a probability
    other_classes: int

    @property
    def passed(self) -> bool:
        return self.difference <= TOLERANCE

    def __str__(self) -> str:
        classes = f"another class for {self.other_classes:,}" if self.other_classes else "the same class for all"
        return (
            f"checked with {self.tool} on {self.images:,} images: the largest difference of a probability is "
            f"{self.difference:.1e}, {classes}"
        )


class Target(NamedTuple):
    """A format: what writes it, the ending of its files, what runs it, and the package that needs."""

    write: Callable[..., None]  # (model, file), and the settings of a page
    ending: str
    run: Callable[[Path, np.ndarray], np.ndarray]  # (file, images) -> probabilities
    package: str | None
    images: int = 1000  # of a check


def export(model: Sequential, to: str, path: Path, **page: Any) -> list[Path]:
    """Write the model; the files that were written. page: what a page holds besides, from `page_settings`."""
    target = TARGETS[to]
    path = Path(path).expanduser()
    if path.suffix != target.ending:
        raise ValueError(f"{path}: a file for {to} ends with {target.ending}")
    target.write(model, path, **page)
    return [path, path.with_suffix(".safetensors")] if to == "torch" else [path]


def page_settings(model: Sequential, run: Path, data_dir: str | None = None, digits: bool = True) -> dict[str, Any]:
    """What a page holds beside the model: its name, a sentence about it, and test images of this machine.

    run: the folder of a run, or a model file. data_dir: of the test images; digits: whether to look for any.
    """
    asked = {"data_dir": data_dir, "required": True} if data_dir else {}
    settings = {**settings_of_run(run), **asked}
    images = find_test_images(model, **settings) if digits else None
    return {**notes_of(run), "images": images, "snapshots": read_snapshots(run / SNAPSHOTS)}


def check(model: Sequential, to: str, path: Path, images: int | None = None) -> Check | str:
    """Run an exported file on images; or a sentence that says why it was not run."""
    target = TARGETS[to]
    images = images or target.images
    tool = compiler() if to == "c" else target.package
    if tool is None:
        return "not checked: there is no C compiler here (cc, gcc, clang, or the variable CC)"
    if to != "c" and importlib.util.find_spec(tool) is None:
        return f"not checked: {tool} is not installed here (python -m pip install {tool})"
    if to == "html" and browser() is None:
        return "not checked: there is no Chromium here"
    x = pictures(model.input_shape, images)
    try:
        theirs = target.run(Path(path).expanduser().resolve(), x)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise ValueError(f"{path} was written, but {tool} cannot run it: {said[-1] if said else error}") from None
    mine = model.predict(x)
    name = Path(tool).name if to == "c" else f"{tool} {importlib.metadata.version(tool)}"
    others = int((theirs.argmax(axis=1) != mine.argmax(axis=1)).sum())
    return Check(name, images, float(np.abs(theirs - mine).max()), others)


def pictures(shape: tuple[int, ...], count: int) -> np.ndarray:
    """uint8 images for a check, the same ones every time: spots of any size, brightness and sharpness.

    >>> pictures((28, 28, 1), 3).shape
    (3, 28, 28, 1)
    """
    rng = np.random.default_rng(0)
    noise = rng.random((count, *shape))
    if len(shape) == 3:
        h, w, _ = shape
        coarse = rng.random((count, -(-h // 4), -(-w // 4), 1)) < rng.uniform(0.1, 0.9, (count, 1, 1, 1))
        noise = noise**2 * np.kron(coarse, np.ones((1, 4, 4, 1)))[:, :h, :w]
    return (256 * noise * rng.uniform(0.3, 1, (count, *(1,) * len(shape)))).astype(np.uint8)


def compiler() -> str | None:
    """The path of a C compiler."""
    return next(
        (path for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and (path := shutil.which(name))), None
    )


def browser() -> str | None:
    """The path of a Chromium."""
    names = "chromium", "chromium-browser", "google-chrome", "chrome"
    return next((path for name in names if (path := shutil.which(name))), None)


# running


def run_python(program: str, path: Path, x: np.ndarray) -> np.ndarray:
    """The array that a program makes of images, in a Python that sees the installed packages and not this folder.

    The program has x, path and module, the name without its ending, and sets y.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", x)
        code = (
            f"import sys, numpy as np\nsys.path.insert(0, {str(path.parent)!r})\nsys.dont_write_bytecode = True\n"
            f"path, x = {str(path)!r}, np.load({f'{folder}/x.npy'!r})\n{program}\nnp.save({f'{folder}/y.npy'!r}, y)"
        )
        subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, timeout=SECONDS, cwd=folder)
        return np.load(f"{folder}/y.npy")


def run_onnx(path: Path, x: np.ndarray) -> np.ndarray:
    """The output `probabilities` of ONNX Runtime."""
    program = """
import onnxruntime
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
y, = session.run(["probabilities"], {given.name: x if "uint8" in given.type else x.astype(np.float32)})"""
    return run_python(program, path, x)


def run_module(path: Path, x: np.ndarray) -> np.ndarray:
    """What `predict` of an exported module returns."""
    return run_python(f"import {path.stem}\ny = np.asarray({path.stem}.predict(x))", path, x)


def run_keras(path: Path, x: np.ndarray) -> np.ndarray:
    """A model of Keras gives logits, as ours does. It runs on the backend that is installed."""
    backend = next((name for name in ("tensorflow", "torch", "jax") if importlib.util.find_spec(name)), "numpy")
    program = f"""
import os
os.environ.setdefault("KERAS_BACKEND", {backend!r})
import keras
y = keras.saving.load_model(path, compile=False).predict(x.astype("float32"), verbose=0)"""
    return softmax(run_python(program, path, x).astype(np.float64))


def run_c(path: Path, x: np.ndarray) -> np.ndarray:
    """Compile it with a main program, and let that read the pixels."""
    with tempfile.TemporaryDirectory() as folder:
        program = [str(compiler()), "-std=c99", "-O2", "-DDIGIT_MAIN", str(path), "-lm", "-o", f"{folder}/digit"]
        subprocess.run(program, check=True, capture_output=True, timeout=SECONDS)
        done = subprocess.run([f"{folder}/digit"], input=x.tobytes(), check=True, capture_output=True, timeout=SECONDS)
    return np.array([line.split()[1:] for line in done.stdout.splitlines()], np.float64)


def run_html(path: Path, x: np.ndarray) -> np.ndarray:
    """What the page answers in a browser without a network."""
    program = f"""
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    opened = playwright.chromium.launch(executable_path={browser()!r}, chromium_sandbox=False, args=["--disable-gpu"])
    page = opened.new_context(offline=True).new_page()
    page.goto({path.as_uri()!r})
    page.wait_for_selector("html[data-ready=yes]", timeout=60000)
    y = np.array([page.evaluate("pixels => scratchnet.predict(pixels)", image.ravel().tolist()) for image in x])
    opened.close()"""
    return run_python(program, path, x)


TARGETS = {
    "onnx": Target(save_onnx, ".onnx", run_onnx, "onnxruntime"),
    "keras": Target(save_keras, ".keras", run_keras, "keras"),
    "torch": Target(save_torch, ".py", run_module, "torch"),
    "numpy": Target(save_numpy, ".py", run_module, "numpy"),
    "c": Target(save_c, ".c", run_c, None),
    "html": Target(save_html, ".html", run_html, "playwright", 100),
}
