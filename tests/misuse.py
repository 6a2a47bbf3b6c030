"""Random programs of ordinary calls, right ones and wrong ones, run on both engines and compared.

    python tests/misuse.py FIRST COUNT        prints a line for each program before it runs: after a crash, the culprit

A program is a list of calls on a few models, optimizers and callbacks: build, assign, fit, predict, evaluate, save,
load, reuse. Each call ends in a value or in a kind of error, and both must be the same on both engines. The textbook
engine is NumPy throughout: where it raises, a kernel must not compute; where it computes, the kernel must say the same.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import threading
import warnings
from contextlib import suppress

import numpy as np

import scratchnet as sn
from scratchnet.randomness import ExampleRandom

LENGTH = 8  # calls in a program
SIZE = (8, 8, 1)  # of an image


class Gain(sn.Layer):
    """A layer of a user's own, with mistakes: 0 is right."""

    params = ("g",)

    def __init__(self, mistake=0):
        self.mistake = mistake

    def build(self, input_shape, rng):
        self.g = np.ones(input_shape[-1], self.dtype)
        return input_shape

    def forward(self, x, ctx):
        return (x[..., :-1] * self.g[:-1] if self.mistake == 1 else x * self.g), x

    def backward(self, dy, x):
        dx, dg = dy * self.g, (dy * x).sum(axis=tuple(range(x.ndim - 1)))
        wrong_dg = {2: dg[:-1], 3: dg.astype(np.float64), 4: self.g, 5: np.broadcast_to(dg.mean(), dg.shape)}
        wrong_dx = {6: dx[:, :-1], 7: dx.astype(np.float64)}
        return wrong_dx.get(self.mistake, dx), {"g": wrong_dg.get(self.mistake, dg)}


NETWORKS = (
    lambda: [sn.Rescale(), sn.Flatten(), sn.Dense(16), sn.ReLU(), sn.Dense(3)],
    lambda: [sn.Rescale(), sn.Flatten(), sn.Dense(40), sn.ReLU(), sn.Dropout(0.25), sn.Dense(3)],
    lambda: [sn.Rescale(), sn.Conv2D(4, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(3)],
    lambda: [sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(5), sn.Dense(3)],
    lambda: [sn.Rescale(), sn.Conv2D(4, 3, padding=1), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(4, 3),
             sn.Flatten(), sn.Dense(3)],
    lambda: [sn.Conv2D(4, 3, use_bias=False), sn.ReLU(), sn.GlobalAvgPool2D(), sn.Dense(3)],
    lambda: [sn.Rescale(), sn.Conv2D(4, 3), sn.Residual([sn.Conv2D(4, 3, padding="same"), sn.BatchNorm(), sn.ReLU()]),
             sn.ReLU(), sn.Flatten(), sn.Dense(3, l2=0.01)],
)  # fmt: skip
OPTIMIZERS = (
    lambda: sn.Adam(1e-3, eps=1e-2), lambda: sn.AdamW(1e-3, eps=1e-2, weight_decay=0.1),
    lambda: sn.RMSprop(1e-3, eps=1e-2), lambda: sn.SGD(0.01, momentum=0.9), lambda: sn.SGD(0.01, clip_norm=0.5),
)  # fmt: skip
SETTINGS = (("lr", 1e-4), ("clip_norm", 0.1), ("beta1", 0.5), ("momentum", 0.5), ("weight_decay", 0.0))


def own_network(mistake):
    """A network with the layer above in the middle."""
    return [sn.Rescale(), sn.Flatten(), sn.Dense(6), Gain(mistake), sn.ReLU(), sn.Dense(3)]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def misaligned(array):
    """The same numbers at an odd address."""
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(array.tobytes(), np.uint8)
    return raw.view(array.dtype).reshape(array.shape)


def with_nan(array):
    return np.where(np.arange(array.size).reshape(array.shape) == 3, np.nan, array)


# What becomes of an array before it is given to the library: the same numbers laid out otherwise, or something else.
DISGUISES = (
    lambda a: a, lambda a: a.astype(np.float64), lambda a: a.astype(np.float16), lambda a: a.astype(">f4"),
    lambda a: a.astype(np.int64), lambda a: a.astype(">i4"), lambda a: a.astype(bool), lambda a: a.tolist(),
    np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], lambda a: a[::-1][::-1], read_only, misaligned,
    lambda a: misaligned(a.astype(np.float32)), np.ma.masked_array, lambda a: np.ma.masked_array(a, a == a.flat[0]),
    lambda a: a.astype(complex), lambda a: a.astype(str), lambda a: a.astype(object), lambda a: None, lambda a: 7,
    lambda a: a[..., :-1], lambda a: a[:0], lambda a: a[0], lambda a: a[None], lambda a: np.zeros(3),
    lambda a: a.swapaxes(-1, -2), lambda a: a.reshape(-1), lambda a: a.reshape(a.shape[::-1]), with_nan,
)  # fmt: skip
LABELS = (
    lambda y: y, lambda y: y.tolist(), lambda y: np.eye(3)[y], lambda y: y.astype(np.uint8), lambda y: y.astype(">i4"),
    read_only, misaligned, lambda y: y[:-1], lambda y: y + 1, lambda y: y - 1, lambda y: y.astype(float),
    lambda y: None, lambda y: y[:, None], lambda y: y.astype(str), lambda y: np.eye(4)[y],
    lambda y: y.astype(np.uint64) + 2**63,
)  # fmt: skip
AUGMENTS = (
    None, None, None, lambda x, rng: x[:, ::-1].copy(), lambda x, rng: x.astype(np.float32) + 0.5, lambda x, rng: x[:1],
    lambda x, rng: x[:, :-1], lambda x, rng: np.asfortranarray(x), sn.Augment(shift=1),
)  # fmt: skip
EPOCHS = (1, 1, 1, 1, 2, 2, 2, 2, 2, 1.5, 0, "1")
BATCH_SIZES = (8, 8, 8, 8, 8, 24, 24, 24, 100, 0, 8.0, None)
PARTS = (256, 256, 256, 7, 7, 1, 1, 0, 2.5)  # batch sizes of predict


def choose(rng, things):
    return things[rng.integers(len(things))]


def disguised(rng, array, disguises, share):
    """The array, or with this probability something that it is not."""
    return choose(rng, disguises)(array) if rng.random() < share else array


class World:
    """The models, optimizers and callbacks of a program, on one engine."""

    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        self.models = [self.model(NETWORKS[0]()), self.model(NETWORKS[2]())]
        self.optimizers = [OPTIMIZERS[0](), OPTIMIZERS[3]()]
        self.callbacks = [sn.EarlyStopping("loss"), sn.WeightAverage(0.5), sn.ReduceLROnPlateau("loss", patience=1)]

    def call(self, rng):
        """Make one random call; its name, and what came of it: a value, or the kind of an error and its text."""
        name = choose(rng, self.CALLS)
        try:
            return name, getattr(self, name)(rng)
        except Exception as error:
            return name, type(error).__name__, str(error)

    def model(self, layers):
        return sn.Sequential(layers, SIZE, engine=self.engine)

    def images(self, rng, n):
        return disguised(rng, rng.integers(0, 256, (n, *SIZE)).astype(np.uint8), DISGUISES, 0.3)

    def examples(self, rng):
        return rng.integers(0, 256, (24, *SIZE)).astype(np.uint8), rng.integers(0, 3, 24)

    # the calls

    CALLS = (
        "build", "assign", "assign", "adjust", "fit", "fit", "fit", "predict", "evaluate", "save_and_load", "resume",
        "new_optimizer", "copy_optimizer", "set_optimizer", "in_threads", "own_loop", "lr_find",
    )  # fmt: skip

    def build(self, rng):
        layers = own_network(int(rng.integers(8))) if rng.random() < 0.5 else choose(rng, NETWORKS)()
        self.models[rng.integers(2)] = self.model(layers)

    def assign(self, rng):
        """layer.W = something, or layer.W[...] = something."""
        layer = choose(rng, [layer for layer in choose(rng, self.models).layers if layer.params])
        name = choose(rng, [*layer.params, *layer.state])
        array = 0.2 * rng.standard_normal(getattr(layer, name).shape).astype(np.float32)
        value = choose(rng, DISGUISES)(np.abs(array) + 0.1 if name == "running_var" else array)
        if rng.random() < 0.7:
            setattr(layer, name, value)
        else:
            getattr(layer, name)[...] = value

    def adjust(self, rng):
        """Set another attribute of a layer or of a model."""
        model = choose(rng, self.models)
        layer = choose(rng, model.layers)
        setattr(*choose(rng, (
            (layer, "rate", 0.5), (layer, "epsilon", 0.1), (layer, "momentum", 0.5), (layer, "scale", 0.01),
            (layer, "stride", (2, 2)), (layer, "units", 7), (layer, "use_bias", False), (layer, "params", ()),
            (layer, "offset", "no"), (layer, "trainable", False), (layer, "forward", None), (model, "engine", "numpy"),
            (model, "layers", []), (model, "seed", 5), (model, "dtype", "float64"),
        )))  # fmt: skip

    def fit(self, rng):
        n = choose(rng, (5, 24, 40))
        options = {
            "epochs": choose(rng, EPOCHS), "batch_size": choose(rng, BATCH_SIZES), "augment": choose(rng, AUGMENTS),
            "callbacks": [callback for callback in self.callbacks if rng.random() < 0.2],
            "loss": choose(rng, (None, sn.SoftmaxCrossEntropy(0.1))), "optimizer": choose(rng, self.optimizers),
            "validation_data": (self.images(rng, 6), rng.integers(0, 3, 6)) if rng.random() < 0.3 else None,
        }  # fmt: skip
        x, y = self.images(rng, n), disguised(rng, rng.integers(0, 3, n), LABELS, 0.3)
        return choose(rng, self.models).fit(x, y, verbose=False, **options).epochs[-1]["loss"]

    def predict(self, rng):
        return choose(rng, self.models).predict(self.images(rng, choose(rng, (1, 5, 24, 40))), choose(rng, PARTS))

    def evaluate(self, rng):
        y = disguised(rng, rng.integers(0, 3, 24), LABELS, 0.3)
        return choose(rng, self.models).evaluate(self.images(rng, 24), y)["loss"]

    def save_and_load(self, rng):
        path = os.path.join(self.folder, f"{self.engine}.safetensors")
        choose(rng, self.models).save(path)
        self.models[rng.integers(2)] = sn.load_model(path, self.engine, layers=[Gain])

    def new_optimizer(self, rng):
        self.optimizers[rng.integers(2)] = choose(rng, OPTIMIZERS)()

    def copy_optimizer(self, rng):
        self.optimizers[0] = copy.deepcopy(self.optimizers[1])

    def set_optimizer(self, rng):
        optimizer, (name, value) = choose(rng, self.optimizers), choose(rng, SETTINGS)
        if hasattr(optimizer, name):
            setattr(optimizer, name, value)

    def in_threads(self, rng):
        """Both models predict at once, in threads of the user's."""
        sn.set_threads(int(rng.integers(1, 4)))
        (x, _), found = self.examples(rng), {}

        def work(i):
            with suppress(ValueError):  # a layer of the user's own with a mistake
                found[i] = self.models[i].predict(x)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return np.concatenate([found[i] for i in sorted(found)])

    def own_loop(self, rng):
        """Forward and backward as in a training loop of one's own; dL/dlogits may have a wrong shape."""
        model, training, x = choose(rng, self.models), bool(rng.integers(2)), self.images(rng, choose(rng, (1, 24)))
        if not all(np.isfinite(array).all() for array in model.parameters().values()):
            return None  # 0 · NaN is NaN in a product, and 0 where only what is not 0 is added up
        ctx = model.context(training, ExampleRandom(seed=1, step=int(rng.integers(9))) if training else None)
        logits, caches = model.forward_cached(finite(x), ctx)
        dy = disguised(rng, rng.standard_normal(logits.shape).astype(np.float32), DISGUISES, 0.4)
        _, grads = model.backward(finite(dy), caches)
        return np.concatenate([np.ravel(grads[name]) for name in model.parameters()])

    def resume(self, rng):
        """Train with a checkpoint, and go on from it with some model and some optimizer."""
        path = os.path.join(self.folder, f"checkpoint-{self.engine}.safetensors")
        callbacks = [callback for callback in self.callbacks if rng.random() < 0.3]
        examples, options = self.examples(rng), {"batch_size": 8, "verbose": False}
        first = {"optimizer": choose(rng, self.optimizers), "callbacks": [*callbacks, sn.Checkpoint(path)]}
        choose(rng, self.models).fit(*examples, epochs=1, **first, **options)
        if rng.random() < 0.5:
            self.new_optimizer(rng)
        then = {"optimizer": choose(rng, self.optimizers), "callbacks": callbacks}
        return choose(rng, self.models).fit(*examples, epochs=2, resume=path, **then, **options).epochs[-1]["loss"]

    def lr_find(self, rng):
        options = {"batch_size": 8, "steps": 10, "end": 1e-2, "optimizer": choose(rng, self.optimizers)}
        return sn.lr_find(choose(rng, self.models), *self.examples(rng), **options).losses[:3]


def finite(array):
    """Without NaN."""
    return np.nan_to_num(array) if np.asarray(array).dtype.kind == "f" else array


def differ(one, other) -> bool:
    """Whether two outcomes of a call are not the same."""
    if len(one) != len(other):
        return True
    if len(one) == 3:
        return one[1] != other[1]
    a, b = one[1], other[1]
    if a is None or b is None:
        return a is not b
    return np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=5e-3, atol=5e-3, equal_nan=True)


def run(number: int, folder) -> str | None:
    """Run a program on both engines, call by call; the first difference."""
    worlds = [World(engine, folder) for engine in ("numpy", "numba")]
    for call in range(LENGTH):
        textbook, compiled = (world.call(np.random.default_rng([number, call])) for world in worlds)
        if differ(textbook, compiled):
            return f"program {number}, call {call}: {textbook!r:.300} but compiled {compiled!r:.300}"
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    first, count = map(int, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            print(number, flush=True)
            if difference := run(number, folder):
                print(difference, flush=True)
