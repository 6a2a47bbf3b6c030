"""A golden input: what Python calculates for it, so that a page can check itself before it answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.data.drawing import digit_from_strokes
from scratchnet.model import Sequential

THREE = [[(0.1, 0.15), (0.35, 0.0), (0.6, 0.2), (0.3, 0.45), (0.65, 0.7), (0.35, 1.0), (0.05, 0.85)]]


def golden(model: Sequential) -> dict[str, Any]:
    """{"x": pixels, "label":, "logits":}: a drawn 3, and the textbook's logits in float64.

    >>> len(golden(model)["logits"])
    10
    """
    h, w, c = model.input_shape
    field = np.zeros((h, w, c), np.uint8)
    size = min(h, w)
    field[:size, :size] = digit_from_strokes(THREE, size, max(4, round(size * 20 / 28)))[..., None]
    exact = model.untrained_copy("numpy", np.float64)
    for mine, theirs in ((exact.parameters(), model.parameters()), (exact.state(), model.state())):
        for name, array in mine.items():
            array[...] = theirs[name].astype(np.float32)
    logits = exact.forward(field[None].astype(np.float64))[0]
    return {"x": field.ravel().tolist(), "label": int(np.argmax(logits)), "logits": logits.tolist()}
