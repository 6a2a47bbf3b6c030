"""What fit accepts in several forms, and what each form means."""

import numpy as np
import pytest

import scratchnet as sn
from tests.test_model import network


def small(engine="numpy"):
    return sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dropout(0.2), sn.Dense(4)], (10, 10, 1), engine=engine)


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


def train(stripes, engine="numpy", **options):
    """The bits of a model after a training with these options."""
    model = small(engine)
    model.fit(*stripes, batch_size=32, verbose=False, **options)
    return bits(model)


# optimizer, loss, callbacks


@pytest.mark.parametrize(("name", "optimizer"), [
    ("adam", sn.Adam), ("SGD", sn.SGD), ("rmsprop", sn.RMSprop), ("AdamW", sn.AdamW), (None, sn.Adam),
])  # fmt: skip
def test_the_name_of_an_optimizer_is_that_optimizer(name, optimizer, engine, stripes):
    assert train(stripes, engine, optimizer=name) == train(stripes, engine, optimizer=optimizer())


@pytest.mark.parametrize(("optimizer", "message"), [
    (sn.Adam, r"optimizer is the class Adam. Make one of it: optimizer=Adam\(\)"),
    ("adamax", r"optimizer must be one of 'sgd', 'rmsprop', 'adam', 'adamw', or .* Adam\(lr=1e-3\); got 'adamax'"),
    (0.01, "optimizer must be one of .*; got 0.01"),
])  # fmt: skip
def test_another_optimizer_is_refused(optimizer, message, stripes):
    with pytest.raises(TypeError, match=message):
        train(stripes, optimizer=optimizer)
    with pytest.raises(TypeError, match=message):
        sn.lr_find(small(), *stripes, optimizer=optimizer)


def test_softmax_cross_entropy_has_three_names(stripes):
    names = "softmax_cross_entropy", "categorical_crossentropy", "sparse_categorical_crossentropy"
    for loss in (*names, None, sn.SoftmaxCrossEntropy()):
        assert train(stripes, loss=loss) == train(stripes)


@pytest.mark.parametrize(("loss", "message"), [
    ("mae", "loss must be one of 'softmax_cross_entropy', 'categorical_crossentropy', .*'mse', .*; got 'mae'"),
    (sn.MeanSquaredError, r"loss is the class MeanSquaredError. Make one of it: loss=MeanSquaredError\(\)"),
    (sn.SoftmaxCrossEntropy, r"loss is the class SoftmaxCrossEntropy. Make one of it: loss=SoftmaxCrossEntropy\(\)"),
    (3, "loss must be one of .*; got 3"),
])  # fmt: skip
def test_another_loss_is_refused(loss, message, stripes):
    with pytest.raises(TypeError, match=message):
        train(stripes, loss=loss)


def test_one_callback_needs_no_list(stripes):
    stop = sn.EarlyStopping("loss")
    assert train(stripes, epochs=3, callbacks=stop) == train(stripes, epochs=3, callbacks=[sn.EarlyStopping("loss")])
    assert stop.best_epoch == 3
    assert train(stripes, callbacks=None) == train(stripes)


@pytest.mark.parametrize("callbacks", [sn.EarlyStopping, [sn.EarlyStopping]])
def test_a_class_of_callbacks_is_no_callback(callbacks, stripes):
    message = r"callbacks holds the class EarlyStopping. Make one of it: EarlyStopping\(\)"
    with pytest.raises(TypeError, match=message):
        train(stripes, callbacks=callbacks)


# validation


def test_validation_data_is_a_pair(stripes):
    x, y = stripes
    assert small().fit(x, y, validation_data=[x, y], verbose=False)["val_accuracy"]
    with pytest.raises(ValueError, match=r"validation_data has three parts. Sample weights are for .*: pass \(x, y\)"):
        small().fit(x, y, validation_data=(x, y, np.ones(80)))
    with pytest.raises(TypeError, match=r"a pair of images and labels, \(x, y\), got an array of shape \(80, 10, 10\)"):
        small().fit(x, y, validation_data=x)
    with pytest.raises(TypeError, match=r"got tuple"):
        small().fit(x, y, validation_data=(x,))


def test_validation_split_holds_out_the_last_examples(engine, stripes):
    x, y = stripes
    split, pair = small(engine), small(engine)
    logs = split.fit(x, y, epochs=2, validation_split=0.25, verbose=False)
    same = pair.fit(x[:60], y[:60], epochs=2, validation_data=(x[60:], y[60:]), verbose=False)
    assert bits(split) == bits(pair)
    assert logs["val_loss"] == same["val_loss"] and logs.epochs[0]["images"] == 60


@pytest.mark.parametrize("n", [1, 7, 100, 12345])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 1 / 3])
def test_the_share_is_rounded_as_in_keras(n, share):
    from scratchnet.arguments import split

    begin = int(np.floor(n * (1 - share)))
    if begin == 0:
        with pytest.raises(ValueError, match=f"leaves 0 of {n} examples for training"):
            split(np.zeros(n), np.zeros(n, int), share)
    else:
        data = split(np.zeros(n), np.zeros(n, int), share)
        assert len(data.x) == begin and len(data.validation[0]) == n - begin


@pytest.mark.parametrize("share", [1, 1.0, -0.1, 5000, True, "0.1"])
def test_a_split_is_a_share(share, stripes):
    with pytest.raises(ValueError, match="validation_split is the share of the examples, from 0 to below 1"):
        train(stripes, validation_split=share)


def test_two_kinds_of_validation_are_one_too_many(stripes):
    with pytest.raises(ValueError, match="validation_data and validation_split were both given"):
        train(stripes, validation_split=0.1, validation_data=stripes)


def test_a_split_of_sorted_data_is_a_warning(stripes):
    x, y = stripes
    order = np.argsort(y, kind="stable")
    with pytest.warns(UserWarning, match="the last 16 examples, and class 3 occurs only there. Is the") as said:
        train((x[order][:76], y[order][:76]), validation_split=0.2)
    assert "test_fit_arguments" in said[0].filename


# order and epochs


def test_without_shuffling_every_epoch_has_the_order_of_the_data(stripes):
    x, y = stripes
    seen = []

    def record(images, rng):
        seen.append(images[:, :, :, 0].copy())
        return images

    small().fit(x, y, epochs=2, batch_size=80, shuffle=False, augment=record, verbose=False)
    for images in seen[-2:]:
        np.testing.assert_array_equal(images, x)
    assert train(stripes, shuffle=False) != train(stripes, shuffle=True)


def test_a_training_in_two_parts_is_one_training(engine, stripes):
    model, optimizer = small(engine), sn.Adam(1e-2)
    model.fit(*stripes, epochs=2, batch_size=32, optimizer=optimizer, verbose=False)
    history = model.fit(*stripes, epochs=5, initial_epoch=2, batch_size=32, optimizer=optimizer, verbose=False)
    assert history["epoch"] == [3, 4, 5]
    assert bits(model) == train(stripes, engine, epochs=5, optimizer=sn.Adam(1e-2))


def test_an_initial_epoch_behind_the_last_one_is_explained(stripes):
    with pytest.raises(ValueError, match=r"initial_epoch=5 with epochs=5: no epoch is left.* pass epochs=10"):
        train(stripes, epochs=5, initial_epoch=5)
    with pytest.raises(TypeError, match=r"initial_epoch must be an integer, got 1.5"):
        train(stripes, epochs=5, initial_epoch=1.5)


class Interrupt(sn.Callback):
    """Ends a training in the middle, as a power cut would."""

    def __init__(self, epoch, batch):
        self.at = epoch, batch

    def on_batch_end(self, run, logs):
        if (run.epoch, run.batch) == self.at:
            raise RuntimeError("power cut")


@pytest.mark.parametrize("options", [{"shuffle": False}, {"initial_epoch": 2}, {"validation_split": 0.2}], ids=str)
def test_a_resumed_training_ends_with_the_same_bits(options, engine, stripes, tmp_path):
    whole = small(engine)
    whole.fit(*stripes, epochs=5, batch_size=16, verbose=False, **options)
    for at in ((2, 3), (3, 1), (4, 4)):
        path = tmp_path / f"{at}.safetensors"
        with pytest.raises(RuntimeError):
            callbacks = [sn.Checkpoint(path, every_batches=1), Interrupt(*at)]
            small(engine).fit(*stripes, epochs=5, batch_size=16, callbacks=callbacks, verbose=False, **options)
        model = small(engine)
        history = model.fit(*stripes, epochs=5, batch_size=16, resume=path, verbose=False, **options)
        assert bits(model) == bits(whole)
        assert history["epoch"] == list(range(options.get("initial_epoch", 0) + 1, 6))


@pytest.mark.parametrize(("options", "message"), [
    ({"shuffle": False}, "shuffle was True and is False"),
    ({"initial_epoch": 1}, "initial_epoch was 0 and is 1"),
    ({"validation_split": 0.5}, "data.x was .* and is .*"),
])  # fmt: skip
def test_another_order_is_another_training(options, message, stripes, tmp_path):
    path = tmp_path / "c.safetensors"
    small().fit(*stripes, callbacks=sn.Checkpoint(path), verbose=False)
    with pytest.raises(sn.ModelFileError, match=message):
        small().fit(*stripes, epochs=3, resume=path, verbose=False, **options)


def test_a_checkpoint_of_the_first_version_is_resumed(stripes, tmp_path, monkeypatch):
    """It says nothing of the order, which was always shuffled."""
    from scratchnet import checkpoint

    path, setup_of = tmp_path / "c.safetensors", checkpoint.setup_of
    older = lambda run: {k: v for k, v in setup_of(run).items() if k not in ("shuffle", "initial_epoch")}  # noqa: E731
    monkeypatch.setattr(checkpoint, "setup_of", older)
    small().fit(*stripes, callbacks=sn.Checkpoint(path), verbose=False)
    monkeypatch.undo()
    assert len(small().fit(*stripes, epochs=2, resume=path, verbose=False).epochs) == 2
    with pytest.raises(sn.ModelFileError, match="shuffle was True and is False"):
        small().fit(*stripes, epochs=2, resume=path, shuffle=False, verbose=False)


# the shape and the type of a model


@pytest.mark.parametrize(("shape", "message"), [
    (784, r"input_shape must be a tuple, got 784. Did you mean \(784,\), or \(28, 28, 1\) for images\?"),
    (np.int64(10), r"input_shape must be a tuple, got 10. Did you mean \(10,\)\?$"),
    ("28x28", "input_shape must be a tuple such as"),
    (None, "input_shape must be a tuple such as .*; got None"),
])  # fmt: skip
def test_an_input_shape_is_a_tuple(shape, message):
    with pytest.raises(TypeError, match=message):
        sn.Sequential([sn.Flatten(), sn.Dense(2)], shape)


@pytest.mark.parametrize(("shape", "message"), [
    ((28, 28), r"layer 0 \(Conv2D\): expects images .* Did you mean input_shape=\(28, 28, 1\)\?"),
    ((1, 28, 28), r"layer 0 \(Conv2D\): a window of 3×3 .* Did you mean input_shape=\(28, 28, 1\)\? The channels"),
    ((None, 28, 28, 1), r"input_shape is the shape of one example: \(28, 28, 1\) instead of \(None, 28, 28, 1\)"),
])  # fmt: skip
def test_an_input_shape_of_another_library_is_recognised(shape, message):
    with pytest.raises(ValueError, match=message):
        sn.Sequential([sn.Conv2D(2, 3), sn.Flatten(), sn.Dense(2)], shape)


def test_channels_first_is_a_warning_where_the_model_can_be_built():
    with pytest.warns(UserWarning, match=r"an image of height 3. Did you mean input_shape=\(32, 32, 3\)"):
        sn.Sequential([sn.Conv2D(2, 3, padding="same"), sn.Flatten(), sn.Dense(2)], (3, 32, 32), engine="numpy")


def test_half_precision_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"dtype float16 is refused: it has 3 digits .* Use float32"):
        network(dtype="float16")
