"""The files in samples.zip, made once by make_samples with Keras and h5py."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

SAMPLES = Path(__file__).with_name("samples.zip")


def sample(name: str) -> bytes:
    """The content of a file."""
    with zipfile.ZipFile(SAMPLES) as archive:
        return archive.read(name)


def names(folder: str = "") -> list[str]:
    """The files in a folder of the archive."""
    with zipfile.ZipFile(SAMPLES) as archive:
        return [name for name in archive.namelist() if name.rpartition("/")[0] == folder]


def expected() -> dict:
    """File name -> {"rescale":, "logits": what Keras computes from pixels((8, 8, 1))}."""
    return json.loads(sample("expected.json"))


def pixels(shape: tuple[int, ...], n: int = 4) -> np.ndarray:
    """Images of random bytes, always the same."""
    return (np.arange(n * int(np.prod(shape))) * 2654435761 % 251).astype(np.uint8).reshape(n, *shape)
