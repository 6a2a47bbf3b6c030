"""Every public name says what it takes, what it raises, and shows an example; what it says of errors is true."""

import re

import numpy as np
import pytest

import scratchnet as sn

every_name = pytest.mark.parametrize("name", sn.__all__)
IMAGE, FLAT = (8, 8, 1), (5,)
ERRORS = re.compile(
    r"Raises|[A-Z]\w+Error\b|raises \w+Error|no input is an error|is a warning|a warning instead of an error"
)
NO_ERRORS = {"Constant", "StepDecay", "Cosine", "OneCycle", "WarmUp", "LearningRates", "Progress", "Callback", "Layer",
             "rank", "ranks"}  # fmt: skip
# Records of two or three numbers, and callbacks, which take no arrays.
NO_SHAPES = {
    "Constant", "StepDecay", "Cosine", "OneCycle", "WarmUp", "set_threads", "Progress", "Callback", "CSVLogger",
    "LambdaCallback", "EarlyStopping", "TerminateOnNaN", "ReduceLROnPlateau", "LearningRateSchedule", "WeightAverage",
    "WhitenedStart", "ModelCheckpoint", "Checkpoint", "Health", "History", "SGD", "RMSprop", "AdamW", "rank", "ranks",
}  # fmt: skip
SHAPES = re.compile(r"shape|\(n\b|\(h\b|\(classes|\([a-z0-9]+, |arrays? of equal length|images|a model|MODEL|file")


@every_name
def test_a_public_name_has_an_example(name):
    assert ">>> " in getattr(sn, name).__doc__


@every_name
def test_a_public_name_says_what_it_raises(name):
    if name not in NO_ERRORS:
        assert ERRORS.search(getattr(sn, name).__doc__), getattr(sn, name).__doc__


@every_name
def test_a_public_name_says_what_it_takes(name):
    thing = getattr(sn, name)
    if name not in NO_SHAPES and not (isinstance(thing, type) and issubclass(thing, Exception)):
        assert SHAPES.search(thing.__doc__), thing.__doc__


def built(layer, shape):
    return layer.build(shape, np.random.default_rng(0))


def test_no_input_of_these_is_an_error():
    for make in (sn.ReLU, sn.LeakyReLU, sn.ELU, sn.GELU, sn.SiLU, sn.Sigmoid, sn.Tanh, sn.Softmax):
        for shape in ((1,), (3,), (2, 2, 1)):
            layer = make()
            built(layer, shape)
            x = np.random.default_rng(0).normal(size=(2, *shape)) * 1000
            y, cache = layer.forward(x, sn.Context(training=True, rng=np.random.default_rng(0)))
            assert y.shape == x.shape and layer.backward(np.ones_like(y), cache)[0].shape == x.shape


def model():
    return sn.Sequential([sn.Flatten(), sn.Dense(2)], IMAGE, engine="numpy")


def fitted(**options):
    return model().fit(np.zeros((4, 8, 8)), np.zeros(4, int), verbose=False, **options)


STATED = [
    (lambda: sn.load_synthetic(n_train=0), ValueError),
    (lambda: sn.write_idx_dataset("x", ((np.zeros((2, 2, 2), complex), np.zeros(2)),) * 2), sn.DataFileError),
    (lambda: sn.train_val_split(np.zeros(4, int), 4), ValueError),
    (lambda: sn.digits_from_image(np.zeros((9, 9))), ValueError),
    (lambda: sn.Augment(shift=-1), ValueError),
    (lambda: sn.Rescale("much"), (ValueError, TypeError)),
    (lambda: built(sn.Cropping2D(9), IMAGE), ValueError),
    (lambda: sn.ZeroPadding2D(-1), ValueError),
    (lambda: built(sn.Conv2D(2, 3), FLAT), ValueError),
    (lambda: built(sn.Conv2D(2, 9), IMAGE), ValueError),
    (lambda: built(sn.DepthwiseConv2D(9), IMAGE), ValueError),
    (lambda: sn.LeakyReLU(-1), ValueError),
    (lambda: sn.ELU(-1), ValueError),
    (lambda: built(sn.MaxPool2D(9), IMAGE), ValueError),
    (lambda: built(sn.AvgPool2D(2), FLAT), ValueError),
    (lambda: built(sn.GlobalAvgPool2D(), FLAT), ValueError),
    (lambda: built(sn.Dense(2), IMAGE), ValueError),
    (lambda: sn.Dropout(1.0), ValueError),
    (lambda: sn.Dropout(0.5).forward(np.ones((1, 2)), sn.Context(training=True)), ValueError),
    (lambda: sn.BatchNorm(momentum=1.0), ValueError),
    (lambda: sn.BatchNorm(epsilon=0.0), ValueError),
    (lambda: built(sn.Residual([sn.Conv2D(2, 3)]), IMAGE), ValueError),
    (lambda: sn.Residual([]), ValueError),
    (lambda: sn.SoftmaxCrossEntropy()(np.zeros((1, 2)), np.array([2])), ValueError),
    (lambda: sn.BinaryCrossEntropy()(np.zeros((1, 2)), np.zeros((2, 2))), ValueError),
    (lambda: sn.SGD(0.1).step({"W": np.zeros(1)}, {"b": np.zeros(1)}), KeyError),
    (lambda: sn.SGD(momentum=1.0), ValueError),
    (lambda: sn.RMSprop(rho=1.0), ValueError),
    (lambda: sn.Adam(beta1=1.0), ValueError),
    (lambda: sn.AdamW(weight_decay=-1), ValueError),
    (lambda: sn.Sequential([sn.Dense(2)], IMAGE), ValueError),
    (lambda: sn.load_model("nothing.safetensors"), FileNotFoundError),
    (lambda: sn.set_threads(0), ValueError),
    (lambda: sn.Ensemble([]), ValueError),
    (lambda: sn.Ensemble([model(), sn.Sequential([sn.Dense(2)], FLAT, engine="numpy")]), ValueError),
    (lambda: sn.predict_augmented(model(), np.zeros((1, 5))), ValueError),
    (lambda: sn.LambdaCallback(on_batch=3), TypeError),
    (lambda: fitted(callbacks=[sn.EarlyStopping("val_loss")]), ValueError),
    (lambda: sn.ReduceLROnPlateau(factor=1.5), ValueError),
    (lambda: sn.LearningRateSchedule(0.1), TypeError),
    (lambda: sn.WeightAverage(1.0), ValueError),
    (lambda: fitted(callbacks=[sn.WhitenedStart()]), ValueError),
    (lambda: sn.Checkpoint("x", every_batches=0), ValueError),
    (lambda: sn.Health(sample=0), ValueError),
    (lambda: sn.lr_find(model(), np.zeros((4, 8, 8)), np.zeros(4, int), start=1.0, end=0.1), ValueError),
    (lambda: sn.History()["loss"], KeyError),
    (lambda: sn.ConfusionMatrix(np.zeros((2, 3))), ValueError),
    (lambda: sn.ConfusionMatrix(np.zeros((2, 2)), ["a"]), ValueError),
    (lambda: sn.Predictions(model(), np.zeros((2, 8, 8))).confusion, ValueError),
    (lambda: sn.Predictions(model(), np.zeros((2, 8, 8)), [0, 2]), ValueError),
]


@pytest.mark.parametrize(("call", "error"), STATED)
def test_a_stated_error_is_raised(call, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as raised:
        call()
    assert len(str(raised.value)) > 20  # and it says what is wrong
