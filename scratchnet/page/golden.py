"""Golden numbers: what Python calculates for one input, so that a page can check itself before it answers.

The page calculates the logits and some derivatives again when it loads. If they differ, either the weights were damaged
on their way or the JavaScript is wrong; then it says so and gives no answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.data.drawing import digit_from_strokes
from scratchnet.model import Sequential
from scratchnet.page.addresses import format_address
from scratchnet.page.ledger import explain_in
from scratchnet.page.passes import Pass

THREE = [[(0.1, 0.15), (0.35, 0.0), (0.6, 0.2), (0.3, 0.45), (0.65, 0.7), (0.35, 1.0), (0.05, 0.85)]]


def golden(model: Sequential, cells: int = 20) -> dict[str, Any]:
    """{"x": pixels, "label":, "logits":, "gradients": {"label":, "cells": [{"address":, "value":}, ...]}}.

    The input is a drawn 3; the numbers are the textbook's, in float64, of the weights in float32 as the page has them.
    label: the model's answer. The derivatives are those of the loss for the least likely class: they are large.
    cells: their number, spread over all parameters.

    >>> found = golden(model, cells=2)
    >>> len(found["logits"]), [cell["address"].split("/")[0] for cell in found["gradients"]["cells"]]
    (10, ['dW', 'db'])
    """
    rounded = model.untrained_copy("numpy", "float32")
    rounded.set_weights(model.get_weights())
    x = drawn_three(model.input_shape)
    run = Pass(rounded, x, 0)
    unlikely = Pass(rounded, x, int(np.argmin(run.logits)))
    arrays = [(f"d{name}", key, g) for key, record in unlikely.by_key.items() for name, g in record.gradients.items()]
    rng = np.random.default_rng(model.seed)
    chosen = [arrays[i % len(arrays)] for i in range(cells if arrays else 0)]
    addresses = [format_address(kind, key, random_index(rng, g.shape)) for kind, key, g in chosen]
    values = [{"address": address, "value": explain_in(unlikely, address).value} for address in addresses]
    return {
        "x": x.ravel().tolist(),
        "label": int(np.argmax(run.logits)),
        "logits": run.logits.tolist(),
        "gradients": {"label": unlikely.label, "cells": values},
    }


def drawn_three(shape: tuple[int, ...]) -> np.ndarray:
    """A drawn 3 in the upper left of an image (h, w, c) of zeros, uint8."""
    x = np.zeros(shape, np.uint8)
    size = min(shape[:2])
    x[:size, :size] = digit_from_strokes(THREE, size, max(4, round(size * 20 / 28)))[..., None]
    return x


def random_index(rng: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """An index of an array of this shape.

    >>> random_index(np.random.default_rng(0), (1, 1))
    (0, 0)
    """
    return tuple(int(rng.integers(size)) for size in shape)
