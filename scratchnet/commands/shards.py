"""The predictions of a very large set, in shards: `scratchnet predict MODEL --idx FILE --out predictions.csv`.

    predictions.csv.shards/job.json           what is predicted, and by which model
    predictions.csv.shards/shard-00017.npy    probabilities of images 17·SIZE .. , (n, classes), written atomically
    predictions.csv                           all of them, when the last shard is there; the folder is removed then

The same command resumes a stopped job: shards that are there are not computed again. A shard is computed by the kernels
for many images, however few its last one has, so that every row has the bits that it has in any other shard.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.process.pipes import printable

SIZE = 10_000  # images in a shard: a tenth of a second or more
AT_LEAST = 128  # images that are predicted together: the kernels for fewer round differently


class Shards:
    """The shards of a job, in a folder beside its output. Raises ValueError if that holds those of another job.

    source: an IdxStream or a FolderStream. model_file: its content is part of the job.
    """

    def __init__(self, out: str | os.PathLike[str], source: Any, model_file: Path, classes: list[str], how: str = ""):
        self.out, self.source, self.classes = Path(out), source, classes
        if self.out.suffix not in (".csv", ".npy"):
            raise ValueError(f"{out}: the output is a .csv (image, class, probability) or a .npy (all probabilities)")
        if self.out.exists():
            raise FileExistsError(f"{out} is there already. Remove it, or choose another --out")
        self.folder = self.out.with_name(f"{self.out.name}.shards")
        self.count = -(-source.count // SIZE)
        sha = hashlib.sha256(model_file.read_bytes()).hexdigest()
        job = {"model": sha, "images": source.identity(), "size": SIZE, "how": how}
        self.folder.mkdir(parents=True, exist_ok=True)
        note = self.folder / "job.json"
        if note.exists() and json.loads(note.read_text()) != job:
            raise ValueError(f"{self.folder} has the shards of another model or of other images. Remove it first")
        with replacing(note) as file:
            file.write(json.dumps(job).encode())

    def path(self, number: int) -> Path:
        """The file of a shard."""
        return self.folder / f"shard-{number:05d}.npy"

    def missing(self) -> list[int]:
        """The numbers of the shards that are still to be computed."""
        return [number for number in range(self.count) if not self.path(number).exists()]

    def images_in(self, number: int) -> int:
        """How many images a shard has."""
        return min(SIZE, self.source.count - SIZE * number)

    def join(self) -> int:
        """Write the output from all shards; how many images could not be used."""
        with replacing(self.out) as file:
            unusable = self.write_npy(file) if self.out.suffix == ".npy" else self.write_csv(file)
        shutil.rmtree(self.folder)
        return unusable

    def write_npy(self, file: Any) -> int:
        """All probabilities, float32 (n, classes); NaN for a picture that cannot be used."""
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.source.count, len(self.classes))}
        np.lib.format.write_array_header_1_0(file, header)
        unusable = 0
        for _, p in self.read():
            file.write(p.astype("<f4").data)
            unusable += int(np.isnan(p[:, 0]).sum())
        return unusable

    def write_csv(self, file: Any) -> int:
        """A line for each image: its number or its file, the class, the probability."""
        named = hasattr(self.source, "names")
        file.write(b"file,class,probability\n" if named else b"image,class,probability\n")
        classes, unusable = [quoted(name) for name in self.classes], 0
        names = (some for _, some in self.source.names(SIZE)) if named else None
        for first, p in self.read():
            keys = [quoted(name) for name in next(names)] if names else range(first, first + len(p))
            bad = np.isnan(p[:, 0])
            best, most = np.where(bad[:, None], 0, p).argmax(axis=1).tolist(), p.max(axis=1).tolist()
            lines = [f"{key},{classes[k]},{q:.6f}\n" for key, k, q in zip(keys, best, most, strict=True)]
            for i in np.flatnonzero(bad):
                lines[i] = f"{keys[i]},,\n"
            file.write("".join(lines).encode(errors="surrogateescape"))
            unusable += int(bad.sum())
        return unusable

    def read(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first image, probabilities) of each shard."""
        for number in range(self.count):
            p = np.load(self.path(number))
            if p.shape != (self.images_in(number), len(self.classes)):
                raise ValueError(f"{self.path(number)}: expected {self.images_in(number)} rows. Remove it, and resume")
            yield SIZE * number, p


def probabilities(model: Any, images: Any) -> np.ndarray:
    """The probabilities of a shard's images; NaN for those that are None."""
    usable = [i for i, image in enumerate(images) if image is not None]
    p = np.full((len(images), model.shapes[-1][-1]), np.nan, np.float32)
    if usable:
        x = images if len(usable) == len(images) and isinstance(images, np.ndarray) else np.stack([
            images[i] for i in usable])  # fmt: skip
        repeated = np.concatenate([x] * -(-AT_LEAST // len(x))) if len(x) < AT_LEAST else x
        p[usable] = model.predict(repeated)[: len(x)]
    return p


def write_shard(path: Path, p: np.ndarray) -> None:
    """Write a shard, complete or not at all."""
    with replacing(path) as file:
        np.save(file, p)


def quoted(text: str) -> str:
    """A field of a CSV file.

    >>> quoted("apple"), quoted('a "red", apple')
    ('apple', '"a ""red"", apple"')
    """
    text = printable(text) if "\n" in text or "\r" in text else text
    return '"{}"'.format(text.replace('"', '""')) if any(c in text for c in ',"\n\r') else text
