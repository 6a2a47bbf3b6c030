"""Which of the files in a folder are the four of a data set.

Archives are unpacked in many ways, and MNIST's relatives have names of their own. The search order is

    train-images-idx3-ubyte, with .gz, .idx or .bin     in the folder itself; also with a dot, as some unpackers
                                                        write it, train-images.idx3-ubyte, and in capitals
    train-images-idx3-ubyte/<file>                      a folder of that name that holds the file
    emnist-letters-train-images-idx3-ubyte              EMNIST: prefixed with the set's name, and test for t10k
    raw/, MNIST/raw/, FashionMNIST/raw/                 a torchvision root

Several sets in one folder are selected by name: the path `<folder>/emnist-letters` means one of them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scratchnet.data.idx import DataFileError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<part>train|t10k|test)-(?P<what>images|labels)"
    r"(?P<format>(?:[-.]idx\d)?(?:-ubyte)?(?:\.(?:idx|bin|ubyte|gz))*)",
    re.IGNORECASE,
)
USUAL = re.compile(r"(?:train|t10k)-(?:images|labels)[-.]idx\d-ubyte(?:\.gz)?")


@dataclass
class Found:
    """The files of a set, name in FILES -> path, and its place: a folder, or a folder and the set's name."""

    place: Path
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.paths) == len(FILES)

    def usual_in(self, folder: Path) -> bool:
        """Whether these files are in this folder, under their usual names."""
        return all(path.parent == folder and USUAL.fullmatch(path.name) for path in self.paths.values())


def locate(folder: str | os.PathLike[str]) -> Found:
    """The four files of a folder, or those of them that are in the folder itself.

    Raises DataFileError if the folder itself has no set, and its subfolders have several.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():  # <folder>/emnist-letters
        return next((found for found in sets_in(folder.parent) if found.place == folder), Found(folder))
    places = [folder, folder / "raw", *sorted(folder.glob("*/raw"))]
    sets = [found for place in places for found in sets_in(place)]
    complete = [found for found in sets if found.complete]
    for found in sets:
        if found.place == folder and (found.complete or not complete):
            return found
    if len(complete) > 1:
        names = ", ".join(str(found.place) for found in complete)
        raise DataFileError(f"{folder}: expected the files of one data set, found several. Name one of: {names}")
    return complete[0] if complete else Found(folder)


def find_file(folder: Path, name: str) -> Path | None:
    """The path of the file that FILES calls `name`, packed or not."""
    return locate(folder).paths.get(name)


def sets_in(place: Path) -> list[Found]:
    """The sets whose files are in this folder, or in folders with the files' names, complete or not."""
    sets: dict[str, Found] = {}
    best: dict[tuple[str, str], tuple] = {}
    with suppress(OSError):  # the folder does not exist, or is not readable
        for path in sorted(place.iterdir()):
            match = NAME.fullmatch(path.name)
            if not match or not match["format"] or not path.exists():
                continue
            part = "train" if match["part"].lower() == "train" else "t10k"
            name = next(name for name in FILES if name.startswith(f"{part}-{match['what'].lower()}"))
            file, of = inside(path, match), match["set"] or ""
            key = (file != path, "idx4" in path.name, ".idx" in path.name, match["part"] == "test",
                   not path.name.endswith(".gz"), path.name)  # fmt: skip
            if (of, name) not in best or key < best[of, name]:
                best[of, name] = key
                sets.setdefault(of, Found(place / of if of else place)).paths[name] = file
    return [sets[of] for of in sorted(sets)]


def inside(path: Path, match: re.Match[str]) -> Path:
    """The path; if it is a folder, the file in it of the same name, or the only one."""
    if not path.is_dir():
        return path
    files = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    alike = [
        file for file in files
        if (other := NAME.fullmatch(file.name)) and (other["part"], other["what"]) == (match["part"], match["what"])
    ]  # fmt: skip
    return next(iter(alike or files[:1] * (len(files) == 1)), path)
