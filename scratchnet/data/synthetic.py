"""Synthetic digits, for machines without MNIST and without a network: distorted printed characters.

Each image starts as a character of one of matplotlib's fonts, with strokes of random width. A random affine map
rotates, stretches, shears and shifts it,

    p_font = A · (p_image - centre - shift) + centre_font        A = stretch⁻¹ · shear⁻¹ · turn⁻¹

It is drawn at twice the size and averaged down, so that its edges are as soft as MNIST's, and noise is added.
Like MNIST, this is easy for a small convolutional network and too hard for a linear model; but it is not MNIST, and
its accuracies must not be called MNIST's. The images are cached as four IDX files in a folder named after their
parameters, and read back by MNIST's reader.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from scratchnet.data.folder import Dataset, read_folder, write_idx_dataset
from scratchnet.data.idx import DataFileError
from scratchnet.data.mnist import cache_folder

RECIPE = 1  # part of the folder's name: increase it whenever the same arguments give different images
CHARACTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without I and O, which look like 1 and 0
FONTS = (  # of matplotlib's fonts, those whose digits are legible and look like digits
    "DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique DejaVuSansMono DejaVuSansMono-Bold "
    "DejaVuSansMono-Oblique DejaVuSansMono-BoldOblique DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic "
    "DejaVuSerif-BoldItalic STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta "
    "cmb10 cmr10 cmss10 cmti10 cmtt10"
).split()
PENS = (0, 1, 2, 3)  # pixels added on each side of a stroke, in a character of HEIGHT
HEIGHT, CANVAS = 64, 144  # pixels: a capital letter, and the picture around it


def load_synthetic(
    n_train: int = 12000,
    n_test: int = 2000,
    seed: int = 0,
    size: int = 28,
    classes: int = 10,
    channels: int = 1,
    data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Distorted printed characters, white on black -> (x_train, y_train), (x_test, y_test), like load_mnist.

    Images are uint8 (n, size, size), or (n, size, size, channels) in random colours for more than one channel;
    labels are uint8 (n,), equally many of each class: the digits, then capital letters. The files are cached in
    a subfolder of `data_dir` (default: the user's cache directory). The same arguments give the same images.

    Raises ValueError for an argument out of its range.

    >>> (x_train, y_train), (x_test, y_test) = load_synthetic(n_train=50, n_test=10, data_dir=".")
    >>> x_train.shape, y_test.max()
    ((50, 28, 28), np.uint8(9))
    """
    _check_range("n_train", n_train, 1)
    _check_range("n_test", n_test, 1)
    _check_range("seed", seed, 0)
    _check_range("size", size, 8)
    _check_range("classes", classes, 1, len(CHARACTERS))
    _check_range("channels", channels, 1)

    shape = (size, size) if channels == 1 else (size, size, channels)
    name = f"synthetic{RECIPE}-{n_train}+{n_test}-{size}x{size}x{channels}-{classes}classes-seed{seed}"
    folder = (Path(data_dir).expanduser() if data_dir else cache_folder()) / name

    with suppress(DataFileError):  # missing or damaged files are generated again
        kept = read_folder(folder)
        if [x.shape for x, _ in kept] == [(n_train, *shape), (n_test, *shape)]:
            return kept

    glyphs = _draw_glyphs(CHARACTERS[:classes])
    streams = np.random.SeedSequence(seed).spawn(2)
    made = [
        _distorted(glyphs, n, shape, np.random.Generator(np.random.PCG64(stream)))
        for n, stream in zip((n_train, n_test), streams, strict=True)
    ]
    try:
        write_idx_dataset(folder, (made[0], made[1]), CHARACTERS[:classes])
    except OSError as error:
        warnings.warn(f"{folder}: cannot keep the synthetic digits ({error})", UserWarning, stacklevel=2)
        return made[0], made[1]
    return read_folder(folder)


def _check_range(name: str, value: int, least: int, most: float = float("inf")) -> None:
    """An argument must be in its range."""
    if not least <= value <= most:
        raise ValueError(f"load_synthetic: expected {name} from {least} to {most}, got {value}")


def _draw_glyphs(characters: str) -> list[list]:
    """For each character a list of glyphs, one per font and pen, white on black, centred."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    paths = [folder / f"{name}.ttf" for name in FONTS]
    fonts = [ImageFont.truetype(str(path), HEIGHT * 4 // 3) for path in paths if path.exists()]
    if not fonts:
        raise FileNotFoundError(f"{folder}: matplotlib's fonts are missing. Reinstall matplotlib.")

    def draw(character: str, font: ImageFont.FreeTypeFont, pen: int) -> Image.Image:
        image = Image.new("L", (CANVAS, CANVAS))
        left, top, right, bottom = font.getbbox(character)
        corner = (CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2
        ImageDraw.Draw(image).text(corner, character, font=font, fill=255, stroke_width=pen)
        return image

    return [[draw(character, font, pen) for font in fonts for pen in PENS] for character in characters]


def _distorted(glyphs: list[list], n: int, shape: tuple, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n images of random glyphs under random affine maps, with noise -> x (n, *shape), y (n,)."""
    from PIL.Image import Resampling, Transform

    size = shape[0]
    y = rng.permutation(np.arange(n) % len(glyphs)).astype(np.uint8)
    version = rng.integers(len(glyphs[0]), size=n)
    maps = _affine_maps(n, size, rng)

    twice = (2 * size, 2 * size)
    ink = np.empty((n, size, size), np.float32)
    for i in range(n):
        glyph = glyphs[y[i]][version[i]]
        ink[i] = glyph.transform(twice, Transform.AFFINE, maps[i], Resampling.BILINEAR).reduce(2)
    ink = ink.reshape(n, size, size, *[1] * (len(shape) - 2)) / 255  # 0 to 1

    per_image = (n, 1, 1, *shape[2:])  # one brightness, or one for each channel
    paper = rng.uniform(0, 100 if len(shape) == 3 else 0, per_image).astype(np.float32)
    pen = rng.uniform(155, 255, per_image).astype(np.float32)
    x = paper + (pen - paper) * ink  # (n, *shape)
    x += 10 * rng.standard_normal(x.shape, np.float32)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8), y


def _affine_maps(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 6): a, b, c, d, e, f of the map from an image point (u, v) to the font's (au + bv + c, du + ev + f).

    The matrix (a, b; d, e) is zoom · (1, -shear; 0, 1) · (cos, sin; -sin, cos): A in the file's docstring.
    """
    turn = rng.uniform(-0.21, 0.21, n)  # radians: 12 degrees to either side
    shear = rng.uniform(-0.25, 0.25, n)
    zoom = HEIGHT / (20 / 28 * 2 * size) * np.exp(rng.uniform(-0.2, 0.2, (n, 2)))  # font pixels per pixel
    shift = rng.uniform(-0.07, 0.07, (n, 2)) * 2 * size

    cos, sin = np.cos(turn), np.sin(turn)
    a, b = zoom[:, 0] * (cos + shear * sin), zoom[:, 0] * (sin - shear * cos)
    d, e = -zoom[:, 1] * sin, zoom[:, 1] * cos
    u, v = (size + shift).T
    return np.stack([a, b, CANVAS / 2 - a * u - b * v, d, e, CANVAS / 2 - d * u - e * v], axis=1)
