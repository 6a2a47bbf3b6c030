"""A snapshot of a network that is being trained, small enough to keep many of them.

    filters         the first filters, as pictures              maps            what the layers make of one image
    dead            per ReLU, the share of units that are       confusion       of some held-out images: true class by
                    zero for every image of a sample                            predicted class
    probabilities   of the watched image

Pictures are kept in 8 bits, with the value of the largest: a snapshot takes some ten kilobytes as JSON. The network is
in evaluation mode and unchanged; the maps come from the textbook's layers, as in `health`.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from scratchnet.health import dead_share
from scratchnet.layers import Conv2D, Dense, Flatten, ReLU, Rescale
from scratchnet.layers.base import Context
from scratchnet.metrics import confusion_matrix

LAYERS, MAPS, FILTERS = 5, 8, 32  # at most: layers with maps, maps of each, first filters
SAMPLE, HELD_OUT = 32, 500  # images for the dead units, and for the confusion matrix
ELEMENTWISE = {"ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "BatchNorm", "Dropout"}
Snapshot = dict[str, Any]


class Observer:
    """Takes snapshots of a model, always on the same images.

    x, y: held-out images and their classes. The first of them is watched, until `watch` names another one.

    >>> snapshot = Observer(x, y).snapshot(model)
    >>> sorted(snapshot)
    ['accuracy', 'confusion', 'dead', 'filters', 'maps', 'probabilities']
    """

    def __init__(self, x: np.ndarray, y: np.ndarray):
        chosen = np.linspace(0, len(x) - 1, min(len(x), HELD_OUT)).astype(np.int64)
        self.x, self.y = np.asarray(x)[chosen], np.asarray(y)[chosen]
        if self.y.ndim == 2:  # one-hot
            self.y = self.y.argmax(axis=1)
        self.watch(self.x[0])

    def watch(self, image: np.ndarray) -> None:
        """Snapshot at the maps of this image from now on."""
        self.watched = np.array(image)

    @np.errstate(all="ignore")  # a network that diverges is the loop's to report
    def snapshot(self, model: Any) -> Snapshot:
        """What is to be seen now, as plain data."""
        names = [type(layer).__name__ for layer in model.layers]
        followers = [*names[1:], ""]
        images = np.concatenate([self.watched[None], self.x.reshape(-1, *self.watched.shape)])
        maps: list[dict[str, Any]] = []
        dead: dict[str, float] = {}
        activations = model.backend.activations(model.check_input(images[: 1 + SAMPLE]), Context())
        for (name, layer, y), follower in zip(activations, followers, strict=True):
            if isinstance(layer, ReLU):
                dead[name] = dead_share(y[1:])
            if y.ndim == 4 and follower not in ELEMENTWISE and name != "0.rescale" and len(maps) < LAYERS:
                maps.append({"name": name, **packed(y[0, ..., :MAPS])})
        own, *others = model.predict(images)
        predicted = np.argmax(others, axis=1)
        return {
            "filters": first_filters(model),
            "maps": maps,
            "dead": dead,
            "probabilities": rounded(own),
            "confusion": confusion_matrix(self.y, predicted, model.shapes[-1][-1]).tolist(),
            "accuracy": float((predicted == self.y).mean()),
        }

    def image(self) -> dict[str, Any]:
        """The watched image, for the page."""
        pixels = np.clip(np.rint(np.float64(self.watched)), 0, 255).astype(np.uint8)
        return {"shape": [*pixels.shape, 1][:3], "pixels": base64.b64encode(pixels.tobytes()).decode()}


def first_filters(model: Any) -> dict[str, Any] | None:
    """The first layer's filters as pictures (h, w, c, filters); of a Dense on pixels each unit's weights are a picture.

    >>> first_filters(model)["shape"]
    [28, 28, 1, 10]
    """
    for name, layer, shape in zip(model.names, model.layers, model.shapes[:-1], strict=True):
        if isinstance(layer, Conv2D):
            return {"name": name, **packed(layer.W[..., :FILTERS])}
        if isinstance(layer, Dense):
            pixels = next((s for s in reversed(model.shapes[: model.names.index(name)]) if len(s) == 3), None)
            if pixels is None or int(np.prod(pixels)) != shape[0]:
                return None
            return {"name": name, **packed(layer.W[:, : FILTERS // 2].reshape(*pixels, -1))}
        if not isinstance(layer, Rescale | Flatten) and layer.params:
            return None
    return None


def rounded(p: np.ndarray) -> list[float]:
    """Probabilities to four digits; 0 where a network that diverged has none.

    >>> rounded(np.array([0.123456, np.nan]))
    [0.1235, 0.0]
    """
    return [round(float(value), 4) for value in np.nan_to_num(p)]


def packed(values: np.ndarray) -> dict[str, Any]:
    """Numbers in 8 bits: value = scale · level / 127.

    >>> packed(np.array([0.5, -1.0]))
    {'shape': [2], 'scale': 1.0, 'levels': 'QIE='}
    """
    finite = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    scale = float(np.abs(finite).max(initial=0.0))
    levels = np.rint(finite / (scale or 1.0) * 127).astype(np.int8)
    return {"shape": list(values.shape), "scale": scale, "levels": base64.b64encode(levels.tobytes()).decode()}
