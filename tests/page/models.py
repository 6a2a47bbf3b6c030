"""Models for the tests of the page, and how they and their numbers get into the browser."""

import base64

import numpy as np

import scratchnet as sn
from scratchnet import saving
from scratchnet.page.describe import describe
from scratchnet.page.ledger import format_address, kinds


def base64_of(arrays, folder, meta=None):
    """The bytes of a safetensors file with these arrays."""
    path = folder / "arrays.safetensors"
    saving.write_file(path, arrays, meta or {"test": {}})
    return base64.b64encode(path.read_bytes()).decode()


def for_browser(model, x, label, folder, **settings):
    """What `READ` makes a model, an image and a pass of."""
    arrays = {**model.parameters(), **model.state()}
    return {
        "description": describe(model), "weights": base64_of(arrays, folder),
        "x": np.asarray(x, float).ravel().tolist(), "label": int(label), "settings": settings,
    }  # fmt: skip


READ = """
    const buffer = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
    const model = net.makeModel(argument.description, net.readSafetensors(buffer(argument.weights)).tensors);
    const x = net.tensor(model.inputShape, argument.x);
    const run = net.pass(model, x, argument.label, argument.settings);
"""


def every_array(run):
    """All arrays of a pass by the beginning of their addresses, with dots: y.4.conv2d, dW.4.conv2d, ..."""
    found = {f"{kind}.{key}": a for key, record in run.by_key.items() for kind, a in kinds(record).items()}
    outer = {name: getattr(run, name) for name in ("logits", "probabilities", "dlogits", "dx")}
    return {name: np.ascontiguousarray(a, np.float64) for name, a in {**found, **outer}.items()}


def addresses(run, rng, count):
    """Random addresses of a pass: every kind of number is as likely as any other."""
    pool = [(kind, key, np.shape(a)) for key, record in run.by_key.items() for kind, a in kinds(record).items()]
    pool += [
        (f"new.{name}", key, g.shape) for key, record in run.by_key.items() for name, g in record.gradients.items()
    ]
    pool += [(name, "", getattr(run, name).shape) for name in ("x", "dx", "logits", "probabilities", "dlogits")]
    pool += [("loss", "", ())]
    chosen = (pool[i] for i in rng.integers(len(pool), size=count))
    return [format_address(kind, key, tuple(int(rng.integers(size)) for size in shape)) for kind, key, shape in chosen]


def small(outputs="softmax", units=4):
    """A convolutional model on images of 8 × 8 × 2, its arrays moved from their start."""
    layers = [
        sn.Rescale(), sn.Conv2D(3, 3, padding="same", l2=0.01), sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2),
        sn.Flatten(), sn.Dropout(0.4), sn.Dense(units),
    ]  # fmt: skip
    model = sn.Sequential(layers, (8, 8, 2), seed=1, engine="numpy")
    rng = np.random.default_rng(1)
    for name, array in {**model.parameters(), **model.state()}.items():
        array[...] += rng.uniform(0.1 if "var" in name else -0.3, 0.3, array.shape)
    model.outputs = outputs
    return model, rng.integers(0, 256, (8, 8, 2)).astype(np.uint8)
