"""Numbers that the page checks itself with: an input, and what Python has for it.

The page calculates them again when it loads. If they differ, either the weights were damaged on their way or the
JavaScript is wrong; then it says so and gives no answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scratchnet.model import Sequential
from scratchnet.page.addresses import format_address
from scratchnet.page.ledger import explain_in
from scratchnet.page.passes import Pass


def golden(model: Sequential, x: Any = None, label: int | None = None, cells: int = 20) -> dict[str, Any]:
    """{"x", "label", "logits", "loss", "gradients": [{"address", "value"}, ...]}: plain data, in float64.

    x: an image; by default random pixels. label: by default the least likely class, whose derivatives are large.
    cells: numbers of gradients, spread over all parameters.

    >>> checks = golden(model, cells=4)
    >>> len(checks["x"]), len(checks["logits"]), [cell["address"][:10] for cell in checks["gradients"]]
    (784, 10, ['dW/2.dense', 'db/2.dense', 'dW/2.dense', 'db/2.dense'])
    """
    rng = np.random.default_rng(model.seed)
    if x is None:
        x = rng.integers(0, 256, model.input_shape)
    if label is None:
        label = int(np.argmin(Pass(model, x, 0).logits)) if model.shapes[-1][-1] > 1 else 0
    run = Pass(model, x, label)
    arrays = [(f"d{name}", key, g) for key, record in run.by_key.items() for name, g in record.gradients.items()]
    chosen = [arrays[i % len(arrays)] for i in range(cells if arrays else 0)]
    addresses = [format_address(kind, key, random_index(rng, g.shape)) for kind, key, g in chosen]
    return {
        "x": run.x.ravel().tolist(),
        "label": run.label,
        "logits": run.logits.tolist(),
        "loss": run.loss,
        "gradients": [{"address": address, "value": explain_in(run, address).value} for address in addresses],
    }


def random_index(rng: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """An index of an array of this shape.

    >>> random_index(np.random.default_rng(0), (1, 1))
    (0, 0)
    """
    return tuple(int(rng.integers(size)) for size in shape)
