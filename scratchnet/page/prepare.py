"""A picture from anywhere as the model's input, with every step that leads there.

The steps are those of `scripts/predict.py` (`scratchnet.data.images` describes them). A page can show them one beside
the other, and a reader sees where a digit was lost: in the crop, in the scaling, or off the centre.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnet.data import whole_image
from scratchnet.data.images import DigitSteps, digit_steps, reads_digits

SHOWN = 120  # pixels on the longer side of the first step
Picture = dict[str, Any]  # {"name":, "shape": [h, w, c], "pixels": base64 of h·w·c bytes}


def prepared(source: bytes, shape: tuple[int, ...], class_names: Sequence[str] | None) -> dict[str, Any]:
    """The bytes of a picture file -> {"shape", "pixels", "steps", "digits"}.

    shape: (h, w, c) of the model's input. For a model of digits the digit is found; "digits" has all of them with their
    steps, and the other fields are those of the first. For other models the whole picture is scaled.
    Raises ValueError if the bytes are no picture, or no digit is found.
    """
    h, w, c = shape
    if not reads_digits(shape, class_names):
        image = whole_image(source, (h, w, c))
        return {**picture("input", image.reshape(shape)), "steps": [], "digits": []}
    digits = [shown(steps) for steps in digit_steps(source, h, round(h * 20 / 28))]
    found = [{**steps[-1], "steps": steps} for steps in digits]
    return {**found[0], "digits": found}


def shown(steps: DigitSteps) -> list[Picture]:
    """The steps as pictures; the ink of a photograph in at most `SHOWN` pixels."""
    from PIL.Image import Resampling, fromarray

    ink = fromarray(steps.ink)
    ink.thumbnail((SHOWN, SHOWN), Resampling.BOX)
    return [picture("ink", np.asarray(ink)), picture("box", steps.box), picture("field", steps.field)]


def picture(name: str, array: np.ndarray) -> Picture:
    """An image of bytes (h, w) or (h, w, c) for JSON.

    >>> picture("field", np.array([[0, 255]], np.uint8))
    {'name': 'field', 'shape': [1, 2, 1], 'pixels': 'AP8='}
    """
    shape = [*array.shape, 1][:3]
    return {"name": name, "shape": shape, "pixels": base64.b64encode(array.tobytes()).decode()}
