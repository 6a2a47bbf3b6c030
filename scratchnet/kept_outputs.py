"""The outputs of the frozen layers at the bottom, computed once for all epochs.

Below the lowest layer that is trained nothing changes. If the images do not change either, without augmentation, each
epoch finds there what the first one found:

    once        x --the frozen layers--> outputs
    each step   outputs[rows] --the other layers--> loss, gradients, update

The bits are the same as if every step computed them. They are kept if there is an epoch to come that needs them, and if
they take at most LIMIT bytes. A step of `default` with frozen convolutions then takes 0.18 of the full step's time, and
0.57 without (`benchmarks/frozen.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.world import shared_world

LIMIT = 1 << 30  # bytes: the outputs of 60,000 digits behind the convolutions of `default` take 0.7 of it
AT_ONCE = 256  # images


class KeptOutputs:
    """The outputs of a run's frozen layers, and the engine of the layers above them."""

    def __init__(self, model: Any, examples: int, below: Any, above: Any) -> None:
        self.model, self.below, self.above = model, below, above
        self.outputs = np.empty((examples, *below.network.shapes[-1]), np.float32)
        self.trainable = trainable(model)  # of each layer; if one is frozen now, the outputs of others are to be kept
        self.arrays: dict[str, np.ndarray] = {}  # the frozen ones, as they were when the outputs were computed

    @classmethod
    def of(cls, run: Any) -> KeptOutputs | None:
        """Memory for the outputs of this run, or None if it keeps none."""
        if run.augment is not None or run.epochs - run.epoch < 2 or shared_world().ranks > 1:
            return None
        divided = run.model.backend.divided(run.examples)
        if divided is None or 4 * run.examples * math.prod(divided[0].network.shapes[-1]) > LIMIT:
            return None
        return cls(run.model, run.examples, *divided)

    @classmethod
    def current(cls, run: Any, check: Callable[[], None]) -> KeptOutputs | None:
        """The run's outputs for its present frozen layers; None if it keeps none. check: as for `compute`."""
        kept = run.kept if run.kept is not None and run.kept.hold() else cls.of(run)
        if kept is not None and not kept.computed():
            kept.compute(run.x, check)
        return kept

    def compute(self, x: Any, check: Callable[[], None]) -> None:
        """Compute them. check: called in between; it may raise to break off."""

        def work(part: slice, outputs: np.ndarray) -> None:
            check()
            self.outputs[part] = outputs

        self.below.map(self.below.check_input(x), AT_ONCE, work)
        self.arrays = {name: array.copy() for name, array in self.frozen_arrays().items()}

    def hold(self) -> bool:
        """Whether the same layers are frozen."""
        return self.trainable == trainable(self.model)

    def computed(self) -> bool:
        """Whether they are computed, with the present values of the frozen arrays."""
        now = self.frozen_arrays()
        return bool(self.arrays) and all(np.array_equal(array, now[name]) for name, array in self.arrays.items())

    def frozen_arrays(self) -> dict[str, np.ndarray]:
        """The arrays on which the outputs depend."""
        return self.below.network.arrays("params", "state")


def trainable(model: Any) -> list[bool]:
    """Of each layer, those within blocks included, whether it is trained."""
    return [part.trainable for part in model.network.parts()]
