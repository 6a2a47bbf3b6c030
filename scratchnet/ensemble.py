"""Ensembles: the mean of several models' probabilities, or of one model's for several views of an image.

Models trained from different seeds often misclassify different images. So does one model for shifted copies of an
image. Their mean makes fewer errors: where all agree it changes nothing, where they disagree the majority and the
more confident ones decide. Probabilities are averaged, not logits, whose
scale is each model's own. That the mean cannot be bad follows from the convexity of -log (Jensen's inequality):

    -log (1/m Σ p_i) ≤ 1/m Σ -log p_i        its loss is at most the mean of their losses

The price is time: m models, or m views of an image, take m times as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from scratchnet.layers.base import integer


class Ensemble:
    """Several models; `predict` returns the mean of their probabilities. They have the same input and classes.

    x: images, as each of the models takes them. Raises ValueError for models of different inputs or classes.

    >>> both = Ensemble([model, model])
    >>> bool((both.predict(x) == model.predict(x)).all())
    True
    """

    def __init__(self, models: Iterable):
        self.models = list(models)
        if not self.models:
            raise ValueError("Ensemble: needs at least one model")
        first = self.models[0]
        for i, model in enumerate(self.models):
            for what in ("input_shape", "class_names"):
                if (found := getattr(model, what)) != (expected := getattr(first, what)):
                    raise ValueError(f"Ensemble: {what} of model {i} is {found}, of model 0 {expected}")
            if (found := model.shapes[-1]) != (expected := first.shapes[-1]):
                raise ValueError(f"Ensemble: model {i} answers with shape {found}, model 0 with {expected}")
        self.input_shape, self.class_names, self.shapes = first.input_shape, first.class_names, first.shapes

    def check_input(self, x: np.ndarray) -> np.ndarray:
        """x as (n, *input_shape), or an error."""
        return self.models[0].check_input(x)

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Class probabilities, (n, classes)."""
        return np.mean([model.predict(x, batch_size) for model in self.models], axis=0)


def predict_augmented(model: Any, x: np.ndarray, shifts: int = 1, batch_size: int = 256) -> np.ndarray:
    """Class probabilities, (n, classes): the mean over every image shifted by up to `shifts` pixels either way.

    (2 shifts + 1)² views of each image, itself among them; what a shift uncovers repeats the image's border.
    model: anything with `predict` and `check_input`, an Ensemble too.

    Raises ValueError for images that the model does not take.

    >>> predict_augmented(model, x, shifts=1).shape
    (8, 10)
    """
    x, s = model.check_input(x), integer(shifts, "predict_augmented: shifts", 0)
    if x.ndim != 4:
        raise ValueError(f"predict_augmented: expects a model of images (n, h, w, c), its input is {x.shape}")
    _, h, w, _ = x.shape
    padded = np.pad(x, ((0, 0), (s, s), (s, s), (0, 0)), mode="edge")  # (n, h + 2s, w + 2s, c)
    places = [(i, j) for i in range(2 * s + 1) for j in range(2 * s + 1)]
    return np.mean([model.predict(padded[:, i : i + h, j : j + w], batch_size) for i, j in places], axis=0)
