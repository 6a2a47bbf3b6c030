"""Any image source (a file, its bytes, a Pillow image, an array) -> an upright 8-bit image.

Files differ in more than their pixels: a photograph may have an EXIF orientation, a drawing transparency, a scan 16
bits, a cartoon a palette. A transparent picture is placed on white, or on black if everything visible is white.
Files are untrusted: any failure of Pillow to read one becomes a ValueError with the file's name.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

EXPECTED = "expected an image file, such as PNG or JPEG"
Source: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | Image | np.ndarray"
WHITE = 250  # of 255: from here on paint is invisible on white paper
HEIF = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}  # brands of ISO/IEC 23008-12


def whole_image(source: Source, shape: tuple[int, int, int], invert: bool = False) -> np.ndarray:
    """The whole picture scaled to `shape` = (h, w, c) -> uint8 (h, w) for c = 1, (h, w, 3) for c = 3.

    source: as for `open_image`; `digit_from_image` is better for a single digit. invert: swap black and white, for a
    network trained on white ink on black. Raises ValueError if `source` is not an image.

    >>> whole_image(np.full((60, 40, 3), 255, np.uint8), (2, 2, 1), invert=True).tolist()
    [[0, 0], [0, 0]]
    """
    from PIL.Image import Resampling

    h, w, c = shape
    if c not in (1, 3):
        raise ValueError(f"whole_image: expected 1 channel (grey) or 3 (red, green, blue), got {c}. Use arrays.")
    image = open_image(source).convert("L" if c == 1 else "RGB")
    if image.size != (w, h):
        image = image.resize((w, h), Resampling.BILINEAR)  # when shrinking, Pillow averages over each new pixel's area
    array = np.array(image)
    return 255 - array if invert else array


def open_image(source: Source) -> Image:
    """Any picture -> a Pillow image in 8 bits, upright, transparency replaced by white (or black).

    source: a path; the bytes of a file, or a file opened in binary mode, such as an io.BytesIO; a Pillow image, which
    is rotated by its EXIF orientation (only once: ImageOps.exif_transpose removes the tag); or an array. Raises
    ValueError if it is not an image.

    >>> open_image(np.zeros((40, 60), np.uint8)).size
    (60, 40)
    """
    from PIL import Image, ImageOps

    if isinstance(source, str | os.PathLike):
        if not stat.S_ISREG(os.stat(source).st_mode):  # checked before opening: opening a FIFO would block
            raise ValueError(f"{source}: {EXPECTED}, found a directory or a device")
        with open(source, "rb") as file:
            image = _read(file, str(source))
    elif isinstance(source, bytes | bytearray | memoryview):
        image = _read(io.BytesIO(source), "bytes")
    elif isinstance(source, Image.Image):
        with _as_pixel_error("image"):
            image = ImageOps.exif_transpose(source)
    elif not isinstance(source, np.ndarray) and hasattr(source, "read"):
        image = _read(_in_memory(source), str(getattr(source, "name", type(source).__name__)))
    else:
        image = Image.fromarray(_as_bytes(np.asarray(source)))

    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = Image.fromarray(_as_bytes(np.asarray(image)))
    return _on_paper(image) if image.has_transparency_data else image


def _on_paper(image: Image) -> Image:
    """A transparent picture on white, or on black if everything visible is white."""
    from PIL import Image

    image = image.convert("RGBA")
    pixels = np.asarray(image)
    visible = pixels[pixels[..., 3] > 0, :3]
    colour = "black" if visible.size and visible.min() >= WHITE else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image)


def _in_memory(file: IO[bytes]) -> io.BytesIO:
    """The content of an open file, from its beginning if the file is seekable."""
    if file.seekable():
        file.seek(0)
    content = file.read()
    if isinstance(content, str):
        raise ValueError(f'{EXPECTED}, found one opened as text. Open it as bytes: open(path, "rb")')
    return io.BytesIO(content)


def _read(file: IO[bytes], name: str) -> Image:
    """The picture in an open file, rotated by its EXIF orientation. name: for errors."""
    from PIL import Image, ImageOps

    start = file.read(12)
    heif = start[4:8] == b"ftyp" and start[8:12] in HEIF
    if heif:
        _teach_heif()
    try:
        with _as_pixel_error(name), Image.open(file) as image:
            return ImageOps.exif_transpose(image)
    except Image.UnidentifiedImageError as error:
        kind = "a HEIC photo: export it as JPEG, or pip install pillow-heif" if heif else "another kind of file"
        raise ValueError(f"{name}: {EXPECTED}, found {kind}") from error


def _teach_heif() -> None:
    """Register the plugin without which Pillow cannot read HEIC photos, the format of many phones."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()


@contextmanager
def _as_pixel_error(name: str) -> Iterator[None]:
    """Turn any error of a decoder into a ValueError with the file's name."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError:
        raise
    except Exception as error:
        if getattr(error, "errno", None):  # an error of the system, not of the decoder: no permission
            raise
        raise ValueError(f"{name}: {EXPECTED}, found a damaged one ({error})") from error


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Numbers up to 1 (floats), 255 or 65535 -> uint8, (h, w) or (h, w, 3 or 4)."""
    shape, last = array.shape, array.shape[-1] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or 0 in shape or last not in (1, 3, 4) or array.dtype.kind not in "buif":
        raise ValueError(
            "expected one image, (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), of numbers, "
            f"got {array.dtype} of shape {shape}. Pass the images of a batch one by one."
        )
    if not (np.isfinite(array).all() and 0 <= array.min() and array.max() <= 65535):
        raise ValueError(
            f"expected numbers from 0 to 1, 255 or 65535, got {array.min()} to {array.max()}. Scale the image first."
        )
    unit = array.dtype.kind == "b" or (array.dtype.kind == "f" and array.max() <= 1)
    scale = 255 if unit else 1 if array.max() <= 255 else 255 / 65535
    if array.ndim == 3 and last == 1:
        array = array[:, :, 0]
    return np.rint(array * np.float64(scale)).astype(np.uint8)
