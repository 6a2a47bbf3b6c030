"""The two kinds of files that Keras writes: what kind it is, the architecture as JSON, and the group of the weights.

    .keras       a zip archive of exactly three members, not compressed: metadata.json, config.json, and the weights,
                 model.weights.h5
    .h5          an HDF5 file. Of a whole model (Keras 1 to 3) it has the architecture as an attribute,
                 model_config, beside the group model_weights; otherwise it holds weights alone

Nothing is unpacked onto the disk, and no name in an archive is used as a path: the three members are read by their
names, into memory. A member must be as long as it says, may stand there once, and all of them together are not longer
than the file.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from scratchnet.interop.hdf5 import SIGNATURE, Group, open_hdf5
from scratchnet.saving.container import FILE_LIMIT, ModelFileError, parse_json, shown
from scratchnet.saving.file_kinds import HEAD, kind_of
from scratchnet.saving.model_file import within

ARCHIVE = b"PK\x03\x04"
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
CONFIG_LIMIT = 1 << 21  # bytes of JSON; Keras writes about 1,000 to 2,000 for a layer


class KerasFile(NamedTuple):
    """The architecture as Keras describes it (None: the file has weights alone), and the weights."""

    config: dict[str, Any] | None
    weights: Group


def read_keras_file(path: str | os.PathLike[str]) -> KerasFile:
    """Read a .keras or .h5 file. Raises ModelFileError, FileNotFoundError."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder: no such file.{within(path)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > FILE_LIMIT:
            raise ModelFileError(f"{size:,} bytes are more than a model file may have, {FILE_LIMIT:,}")
        content = file.read()
    if content.startswith(SIGNATURE):
        return from_hdf5(open_hdf5(content))
    if content.startswith(ARCHIVE):
        return from_archive(content)
    kind = kind_of(content[:HEAD]) or "another kind of file. If scratchnet wrote it: sn.load_model(path)"
    raise ModelFileError(f"not a file of Keras, but {kind}")


def from_hdf5(root: Group) -> KerasFile:
    """A whole model, or weights alone."""
    config = root.attribute("model_config")
    if config is None:
        return KerasFile(None, root)
    weights = root.group("model_weights")
    if weights is None:
        raise ModelFileError("it has an architecture, and no weights")
    return KerasFile(as_config(config, "model_config"), weights)


def from_archive(content: bytes) -> KerasFile:
    """The three members of an archive, or an error that says which rule it breaks."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        check_members(archive.infolist(), len(content))
        config, weights = archive.read(CONFIG), archive.read(WEIGHTS)  # and their CRC-32 is compared
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(f"damaged: {error}") from None
    return KerasFile(as_config(config, CONFIG), open_hdf5(weights))


def check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """An error unless an archive of `size` bytes has the members of a Keras file, and stores them as Keras does."""
    names = [member.filename for member in members if not member.filename.startswith("assets/")]
    if any(name.startswith("model.weights") and name != WEIGHTS for name in names):
        raise ModelFileError("its weights are in several files, or not in HDF5. Save it again with model.save(path)")
    if sorted(names) != sorted((METADATA, CONFIG, WEIGHTS)):
        raise ModelFileError(f"a Keras archive has {METADATA}, {CONFIG} and {WEIGHTS}, each once; got {shown(names)}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ModelFileError(f"{shown(member.filename)} is compressed. Keras stores its files as they are")
        if member.flag_bits & 1:
            raise ModelFileError(f"{shown(member.filename)} is encrypted")
    if sum(member.file_size for member in members) > size:
        raise ModelFileError(f"its members take more than the {size:,} bytes of the file: they overlap")


def as_config(text: Any, where: str) -> dict[str, Any]:
    """The JSON of an architecture, parsed."""
    if not isinstance(text, bytes | str) or len(text) > CONFIG_LIMIT:
        raise ModelFileError(f"{where} is not a text of at most {CONFIG_LIMIT:,} bytes")
    try:
        config = parse_json(text)
    except ModelFileError as error:
        raise ModelFileError(f"{where}: {error}") from None
    if not isinstance(config, dict):
        raise ModelFileError(f"{where} is not an object")
    return config
