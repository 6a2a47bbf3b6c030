"""A picture of any kind, a file, a Pillow image or an array, as the bytes that a network sees.

Files differ in more than their pixels: a photograph may be turned by a note beside them, a drawing transparent,
a scan in 16 bits, a cartoon in a palette. Here all of them become upright pictures in 8 bits on white paper.
Nothing is believed of a file: what Pillow cannot read, for whatever reason, is a ValueError with its name.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


def whole_image(source, shape: tuple[int, int, int], invert: bool = False) -> np.ndarray:
    """The whole picture scaled to `shape` = (h, w, c) -> uint8 (h, w) for c = 1, (h, w, 3) for c = 3.

    source: as for `digit_from_image`, which is better for a single digit. invert: black becomes white, as a
    network needs it that has learned from white ink on black. Raises ValueError if `source` is no image.

    >>> whole_image(np.full((60, 40, 3), 255, np.uint8), (2, 2, 1), invert=True).tolist()
    [[0, 0], [0, 0]]
    """
    from PIL.Image import Resampling

    h, w, c = shape
    if c not in (1, 3):
        raise ValueError(f"whole_image: expected 1 channel (grey) or 3 (red, green, blue), got {c}. Use arrays.")
    image = open_image(source).convert("L" if c == 1 else "RGB")
    if image.size != (w, h):
        image = image.resize((w, h), Resampling.BILINEAR)  # when it shrinks, a mean over what a pixel covers
    array = np.array(image)
    return 255 - array if invert else array


def open_image(source: str | os.PathLike[str] | Image | np.ndarray) -> Image:
    """Any picture -> a Pillow image in 8 bits, upright, what is transparent lying on white."""
    from PIL import Image

    if isinstance(source, str | os.PathLike):
        image = _read(source)
    elif isinstance(source, Image.Image):
        image = source
    else:
        image = Image.fromarray(_as_bytes(np.asarray(source)))

    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = Image.fromarray(_as_bytes(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _read(path: str | os.PathLike[str]) -> Image:
    """The picture in a file, turned as its camera says."""
    from PIL import Image, ImageOps

    expected = f"{path}: expected an image file, such as PNG or JPEG"
    if not stat.S_ISREG(os.stat(path).st_mode):  # asked before opening: a FIFO would wait for ever
        raise ValueError(f"{expected}, found a directory or a device")
    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{expected}, found another kind of file") from error
    except Exception as error:  # a damaged file can make a decoder stumble in any way
        if getattr(error, "errno", None):  # not the decoder's, the system's: no permission
            raise
        raise ValueError(f"{expected}, found a damaged one ({error})") from error


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
