"""A model with the interface of scikit-learn's classifiers.

An estimator there is a set of parameters with `fit`, `predict` and `score`: it can be cloned, searched over and put
behind a transformer, and its labels are of any type. `ImageClassifier` is such an estimator, and makes its Sequential
in `fit`, when the shape of the images and the classes are known. scikit-learn itself is not needed; where it calls,
it receives its own types.

    from sklearn.model_selection import cross_val_score
    cross_val_score(ImageClassifier(epochs=5), images, labels)
"""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np

from scratchnet.examples import as_classes, as_rows, flat_features, labelled, not_fitted
from scratchnet.keywords import explained
from scratchnet.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Rescale
from scratchnet.model import Sequential
from scratchnet.optimizers import Adam, Optimizer, as_optimizer
from scratchnet.zoo import PRESETS, Recipe

SAMPLE = 10_000  # examples whose mean and deviation scale the default network's input


class ImageClassifier:
    """A classifier of images (n, h, w) or (n, h, w, c), or of rows of features (n, features).

    layers: the name of a recipe ("fast"; all: `zoo.PRESETS`), or a list of unbuilt layers that ends with
    Dense(classes), copied for every `fit`. None: two convolutions for images, a hidden layer for features, and
    in front of them a Rescale that gives the training data mean 0 and deviation 1.
    image_shape: what each row of features is, (8, 8) for scikit-learn's digits: convolutions then see an image.
    epochs, batch_size, optimizer: None takes the recipe's, or 10, 32 and Adam(1e-3) where there is no recipe. A
    recipe's schedule, label smoothing, weight average and callbacks are used too, its augmentation only if passed.
    seed, engine: as for Sequential. augment, verbose: as for fit.

    After fit: classes_, n_features_in_ (numbers in one example), model_ (the Sequential), history_.

    `fit` raises ValueError for rows that are no images of one shape; `predict` before `fit` is an error, too.

    >>> classifier = ImageClassifier(epochs=3, engine="numpy").fit(x, ["even", "odd"] * 4)
    >>> classifier.classes_.tolist(), classifier.predict_proba(x).shape
    (['even', 'odd'], (8, 2))
    """

    _estimator_type = "classifier"  # what scikit-learn before 1.6 asks for

    @explained
    def __init__(
        self, layers: str | list[Layer] | None = None, image_shape: tuple[int, ...] | None = None,
        epochs: int | None = None, batch_size: int | None = None, optimizer: Optimizer | str | None = None,
        seed: int = 0, engine: str = "numba", augment: Any = None, verbose: bool = False,
    ):  # fmt: skip
        self.layers, self.image_shape = layers, image_shape
        self.epochs, self.batch_size, self.optimizer = epochs, batch_size, optimizer
        self.seed, self.engine, self.augment, self.verbose = seed, engine, augment, verbose

    def fit(self, X: Any, y: Any) -> ImageClassifier:
        """Train a new model. X: images or features; y: a label of any type for each."""
        rows, (classes, numbers) = as_rows(X), as_classes(y)
        labelled(rows, numbers)
        images = self.images(rows)
        recipe = self.recipe(images, len(classes))
        names = [str(name) for name in classes] if classes.dtype.kind in "USO" else None
        model = Sequential(recipe.layers, images.shape[1:], self.seed, self.engine, class_names=names)
        self.history_ = model.fit(
            images, numbers, **recipe.fit_options(len(images)) | {"augment": self.augment, "verbose": self.verbose}
        )
        self.model_, self.classes_, self.shape_ = model, classes, rows.shape[1:]
        self.n_features_in_ = math.prod(self.shape_)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each example, (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, (n, classes), in the order of `classes_`."""
        if not self.__sklearn_is_fitted__():
            raise not_fitted(f"this {type(self).__name__} has no model yet: call fit(X, y) first")
        rows = as_rows(X)
        if rows.shape[1:] != self.shape_:
            raise ValueError(
                f"X has {flat_features(rows)} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                f"features as input: examples of shape {self.shape_}, got {rows.shape[1:]}"
            )
        return self.model_.predict(self.images(rows))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right answers."""
        right = self.predict(X) == np.asarray(y).reshape(-1)
        return float(np.average(right, weights=sample_weight))

    # parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> ImageClassifier:
        """Set arguments of the constructor; they count from the next `fit` on."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        said = {name: value for name, value in self.get_params().items() if value is not defaults[name].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier", target_tags=TargetTags(required=True), transformer_tags=None,
            classifier_tags=ClassifierTags(), regressor_tags=None, input_tags=InputTags(three_d_array=True),
        )  # fmt: skip

    # the network

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The examples in the shape that the network takes."""
        if self.image_shape is None or rows.ndim > 2:
            return rows[..., None] if rows.ndim == 3 else rows
        shape = tuple(self.image_shape) + (1,) * (len(self.image_shape) == 2)
        if math.prod(shape) != rows.shape[1]:
            raise ValueError(f"image_shape={self.image_shape} has {math.prod(shape)} numbers, each row {rows.shape[1]}")
        return rows.reshape(len(rows), *shape)

    def recipe(self, images: np.ndarray, classes: int) -> Recipe:
        """What is trained, and how: new layers and a new optimizer."""
        if isinstance(self.layers, str):
            if self.layers not in PRESETS:
                raise ValueError(f"layers={self.layers!r} is no recipe; there are {', '.join(PRESETS)}")
            recipe = PRESETS[self.layers](classes)
        else:
            layers = network(images, classes) if self.layers is None else copy.deepcopy(list(self.layers))
            recipe = Recipe(layers, Adam(1e-3), epochs=10, batch_size=32)
        recipe.epochs = recipe.epochs if self.epochs is None else self.epochs
        recipe.batch_size = recipe.batch_size if self.batch_size is None else self.batch_size
        if self.optimizer is not None:
            recipe.optimizer = as_new(self.optimizer)
            recipe.schedule, recipe.warm_up = "constant", 0
        return recipe


def as_new(optimizer: Optimizer | str) -> Optimizer:
    """An optimizer that has made no step."""
    made = copy.deepcopy(as_optimizer(optimizer))
    made.steps, made.memory = 0, {}
    return made


def network(images: np.ndarray, classes: int) -> list[Layer]:
    """The default network for such examples."""
    sample = images[:: max(1, len(images) // SAMPLE)]
    mean, deviation = float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64)) or 1.0
    layers: list[Layer] = [Rescale(1 / deviation, -mean / deviation)]
    if images.ndim == 4:
        for filters in (32, 64):
            layers += [Conv2D(filters, 3, padding="same"), ReLU()]
            if min(images.shape[1:3]) >= 4:
                layers += [MaxPool2D(2)]
    return [*layers, Flatten(), Dense(128), ReLU(), Dense(classes)]
