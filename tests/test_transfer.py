"""A new head on an old model; frozen layers in checkpoints and in model files."""

import json

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import ModelFileError
from scratchnet.model import from_config
from tests.test_freezing import arrays, assert_same_bits, network
from tests.test_resuming import EveryPosition

# with_head


def test_a_new_head_leaves_all_other_arrays_as_they_are(engine, stripes):
    model = network(engine, "batchnorm")
    model.fit(*stripes, batch_size=32, verbose=False)
    new = model.with_head(7)
    old, own = arrays(model), arrays(new)
    head = {"14.dense.W", "14.dense.b"}
    assert_same_bits({n: a for n, a in own.items() if n not in head}, {n: a for n, a in old.items() if n not in head})
    assert own["14.dense.W"].shape == (12, 7) and (own["14.dense.b"] == 0).all() and new.engine == model.engine
    for array in {**new.parameters(), **new.state()}.values():
        assert not any(np.shares_memory(array, other) for other in {**model.parameters(), **model.state()}.values())
    assert new.class_names is None and model.with_head(2, ["a", "b"]).class_names == ["a", "b"]


def test_the_new_head_is_the_first_of_a_new_model_and_of_its_seed():
    model = network()
    fresh, other = (sn.Sequential([sn.Dense(12), sn.Dense(4)], (3,), seed=seed) for seed in (2, 5))
    assert model.with_head(4).layers[9].W.tobytes() == fresh.layers[1].W.tobytes()  # the second Dense of seed 2
    assert model.with_head(4, seed=5).layers[9].W.tobytes() == other.layers[1].W.tobytes()


def test_a_new_head_starts_undecided(engine, stripes):
    model = network(engine)
    model.fit(*stripes, epochs=3, batch_size=16, verbose=False)
    x, y = stripes
    assert model.with_head(4).evaluate(x, y)["loss"] == pytest.approx(np.log(4), rel=0.3)


def test_the_new_head_is_trained_even_if_the_old_one_was_frozen():
    model = network()
    model.freeze()
    model.layers[9].lr_factor = 0.1
    new = model.with_head(5)
    assert [layer.trainable for layer in new.layers] == [False] * 9 + [True] and new.layers[9].lr_factor == 1
    assert new.trainable_parameters().keys() == {"9.dense.W", "9.dense.b"}


def test_a_head_keeps_the_arguments_of_the_old_one():
    layers = [sn.Flatten(), sn.Dense(4, use_bias=False, initializer="he"), sn.ReLU()]
    new = sn.Sequential(layers, (5, 5, 1), engine="numpy", dtype="float64").with_head(3)
    assert (new.layers[1].use_bias, new.layers[1].initializer, new.dtype) == (False, "he", np.float64)


@pytest.mark.parametrize(("layers", "found"), [
    ([sn.Conv2D(3, 3), sn.GlobalAvgPool2D()], r"layer 0 \(Conv2D\)"),
    ([sn.Flatten(), sn.Dense(3), sn.BatchNorm()], r"layer 2 \(BatchNorm\)"),
    ([sn.Flatten()], "nothing"),
])  # fmt: skip
def test_only_a_dense_at_the_end_can_be_replaced(layers, found):
    model = sn.Sequential(layers, (5, 5, 1), engine="numpy")
    with pytest.raises(ValueError, match=f"with_head replaces a Dense.*here that is {found}"):
        model.with_head(2)


@pytest.mark.parametrize("classes", [0, 2.5, "two", True])
def test_the_number_of_classes_is_a_whole_number_from_1(classes):
    with pytest.raises(ValueError, match="Dense units must be an integer"):
        network().with_head(classes)


def test_a_fine_tuned_model_keeps_the_convolutions_and_learns_the_new_classes(engine, stripes):
    x, y = stripes
    model = network(engine)
    model.fit(x, y, epochs=30, batch_size=16, optimizer=sn.Adam(3e-3), verbose=False)
    assert model.evaluate(x, y)["accuracy"] > 0.9
    new = model.with_head(2)  # straight or diagonal?
    new.freeze("conv")
    new.fit(x, y // 2, epochs=30, batch_size=16, optimizer=sn.Adam(3e-3), verbose=False)
    assert new.evaluate(x, y // 2)["accuracy"] > 0.9
    np.testing.assert_array_equal(new.layers[1].W, model.layers[1].W)


# Checkpoints


def train(folder, stripes, engine="numpy", resume=None, frozen=("conv",), thaw=None, epochs=3, optimizer=None):
    """The arrays after a training run of 5 batches an epoch; thaw: the epoch after which everything is trained."""
    model = network(engine, "batchnorm")
    model.freeze(*frozen) if frozen else None
    model.layers[11].lr_factor = 0.5

    def unfreeze(run, logs):
        if logs["epoch"] == thaw:
            run.model.unfreeze()

    callbacks = [sn.LambdaCallback(on_epoch_end=unfreeze), EveryPosition(folder / "x", every_batches=2)]
    optimizer = optimizer or sn.Adam(3e-3)
    history = model.fit(*stripes, epochs=epochs, batch_size=16, optimizer=optimizer, callbacks=callbacks,
                        resume=resume, verbose=False)  # fmt: skip
    return {**arrays(model), "loss": np.array(history["training_loss"]), "slots": slots(optimizer)}


def slots(optimizer):
    return np.concatenate([slot.ravel() for name in sorted(optimizer.memory) for slot in optimizer.memory[name]])


@pytest.mark.parametrize(("frozen", "thaw"), [(("conv",), None), (("..8",), None), (("conv",), 1), (("..8",), 2)])
def test_a_run_with_frozen_layers_resumes_to_the_same_bits_at_every_checkpoint(frozen, thaw, engine, stripes, tmp_path):
    (tmp_path / "a").mkdir()
    expected = train(tmp_path / "a", stripes, engine, frozen=frozen, thaw=thaw)
    positions = sorted((tmp_path / "a").iterdir())
    assert len(positions) == 3 * 3
    for number, position in enumerate(positions):
        (folder := tmp_path / f"b{number}").mkdir()
        found = train(folder, stripes, engine, resume=position, frozen=frozen, thaw=thaw)
        assert_same_bits(found, expected)


@pytest.mark.parametrize(("frozen", "message"), [
    ((), r"frozen\[0\] was '1.conv2d' and is not there"), (("1",), r"frozen\[1\] was '5.conv2d' and is not there"),
    (("conv", "2"), r"frozen\[1\] was '5.conv2d' and is '2.batchnorm'"),
])  # fmt: skip
def test_resuming_with_other_layers_frozen_is_refused_by_name(frozen, message, stripes, tmp_path):
    train(tmp_path, stripes, epochs=1)
    with pytest.raises(ModelFileError, match=message):
        train(tmp_path / "other", stripes, resume=tmp_path / "1-0", frozen=frozen)


def test_resuming_with_another_factor_is_refused_by_name(stripes, tmp_path):
    train(tmp_path, stripes, epochs=1)
    model = network(kind="batchnorm")
    model.freeze("conv")
    model.layers[11].lr_factor = 0.25
    with pytest.raises(ModelFileError, match=r"lr_factors\.11\.dense was 0\.5 and is 0\.25"):
        model.fit(*stripes, epochs=3, batch_size=16, optimizer=sn.Adam(3e-3), resume=tmp_path / "1-0", verbose=False)


def test_freezing_what_has_no_parameters_makes_no_other_run(stripes, tmp_path):
    train(tmp_path, stripes, epochs=1)
    train(tmp_path / "other", stripes, resume=tmp_path / "1-0", frozen=("conv", "0.rescale", "maxpool"), epochs=1)


def test_a_checkpoint_holds_no_moments_of_frozen_layers(stripes, tmp_path):
    train(tmp_path, stripes, epochs=1)
    found = sn.saving.read_file(tmp_path / "1-0")[0]
    assert "optimizer.m.11.dense.W" in found and "optimizer.m.1.conv2d.W" not in found and "1.conv2d.W" in found


def test_a_checkpoint_without_these_entries_is_one_of_a_run_with_nothing_frozen(stripes, tmp_path, monkeypatch):
    from scratchnet.checkpoint import generations

    def without(arrays, data):
        data = {name: value for name, value in data.items() if name not in ("layers", "began")}
        setup = {name: value for name, value in data["setup"].items() if name not in ("frozen", "lr_factors")}
        return arrays, {**data, "setup": setup}

    def run(folder, resume=None):
        model = network()
        model.fit(*stripes, epochs=2, batch_size=16, callbacks=sn.Checkpoint(folder), resume=resume, verbose=False)
        return arrays(model)

    monkeypatch.setattr(
        generations, "write_file", lambda path, a, d, **o: sn.saving.write_file(path, *without(a, d), **o)
    )
    expected = run(tmp_path / "a")
    assert_same_bits(run(tmp_path / "b", tmp_path / "a"), expected)


# Model files


def described(**entries):
    """The description of a small model with other entries."""
    model = sn.Sequential([sn.Flatten(), sn.Dense(2)], (3, 3, 1), engine="numpy")
    return json.loads(json.dumps({**model.config(), **entries}))


def test_a_description_with_frozen_layers_is_read():
    model = from_config(described(frozen=["1.dense"], lr_factors={"0.flatten": 2, "1.dense": 0.5}), "numpy")
    assert [layer.trainable for layer in model.layers] == [True, False]
    assert [layer.lr_factor for layer in model.layers] == [2.0, 0.5]


@pytest.mark.parametrize(("entries", "message"), [
    ({"frozen": "1.dense"}, "frozen must be"), ({"frozen": [1]}, "frozen must be"), ({"frozen": {}}, "frozen must be"),
    ({"frozen": ["1.dense"] * 1001}, "frozen must be 0 to 1,000 times"), ({"frozen": None}, "frozen must be"),
    ({"frozen": ["2.dense"]}, "frozen names '2.dense', which is not one of its layers"),
    ({"frozen": ["\x1b[2J"]}, "frozen must be"), ({"lr_factors": []}, "lr_factors must be"),
    ({"lr_factors": {"1.dense": 0}}, "a positive number for each name"),
    ({"lr_factors": {"1.dense": True}}, "a positive number"), ({"lr_factors": {"1.dense": "2"}}, "a positive number"),
    ({"lr_factors": {"1.dense": float("nan")}}, "a positive number"),
    ({"lr_factors": {"1.dense": float("inf")}}, "a positive number"),
    ({"lr_factors": {"dense": 1.0}}, "lr_factors names 'dense', which is not"),
])  # fmt: skip
def test_a_description_with_anything_else_is_refused(entries, message):
    with pytest.raises(ModelFileError, match=message):
        from_config(described() | entries, "numpy")
