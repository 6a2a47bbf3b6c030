"""A layer within a Residual is frozen, and trained more slowly, as one that stands in the model itself."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import summary, transfer
from scratchnet.randomness import ExampleRandom
from tests.test_freezing import arrays, assert_same_bits, of_layers

WHAT = {
    "a convolution in the branch": ["3.residual.0.conv2d"],
    "the last layer of the branch": ["3.residual.4.batchnorm"],
    "the shortcut": ["3.residual.shortcut.0.conv2d", "3.residual.shortcut.1.batchnorm"],
    "all convolutions": ["conv"],
    "a class": [sn.BatchNorm],
    "all below": ["..3.residual.1.batchnorm"],
    "the block": ["3.residual"],
    "a number": [3],
}
each = pytest.mark.parametrize("what", WHAT.values(), ids=WHAT)


def network(engine="numpy", dtype="float32"):
    """A convolution, a block with a projection, and a head."""

    def conv(size=3):
        return sn.Conv2D(6, size, padding="same")

    branch = [conv(), sn.BatchNorm(), sn.ReLU(), conv(), sn.BatchNorm()]
    layers = [sn.Rescale(), conv(), sn.ReLU(), sn.Residual(branch, shortcut=[conv(1), sn.BatchNorm()]), sn.ReLU()]
    return sn.Sequential([*layers, sn.GlobalAvgPool2D(), sn.Dense(4)], (10, 10, 1), 1, engine, dtype)


def leaves(model, names):
    """The names of the layers that hold arrays, of which these are the names or those of their blocks."""
    every = dict.fromkeys(name.rpartition(".")[0] for name in arrays(model))
    return [leaf for leaf in every if any(leaf == name or leaf.startswith(f"{name}.") for name in names)]


@each
def test_what_is_frozen_keeps_every_bit_and_all_else_moves(what, engine, stripes):
    model = network(engine)
    frozen, before = model.freeze(*what), arrays(model)
    assert frozen and frozen == transfer.frozen(model)
    model.fit(*stripes, epochs=2, batch_size=32, verbose=False)
    after, kept = arrays(model), leaves(model, frozen)
    assert_same_bits(of_layers(kept, after), of_layers(kept, before))
    for name, array in after.items():
        assert name.rpartition(".")[0] in kept or (array != before[name]).any(), name


@each
def test_both_engines_compute_the_gradients_of_the_rest(what, stripes):
    pytest.importorskip("numba")
    (x, y), found = stripes, []
    for engine in ("numpy", "numba"):
        model = network(engine)
        model.freeze(*what)
        found.append(model.backend.gradients(sn.SoftmaxCrossEntropy(), model.check_input(x), y, ExampleRandom(0, 0)))
    (value, expected), (other, grads) = found
    assert other == pytest.approx(value, rel=1e-5)
    assert grads.keys() == expected.keys() == model.trainable_parameters().keys()
    scale = max(np.abs(g).max() for g in expected.values())
    for name, g in grads.items():
        np.testing.assert_allclose(g, expected[name], rtol=2e-4, atol=1e-5 * scale, err_msg=name)


@pytest.mark.parametrize("what", [WHAT["a convolution in the branch"], WHAT["the shortcut"], WHAT["all convolutions"]])
def test_a_run_resumes_to_the_same_bits(what, engine, stripes, tmp_path):
    def train(epochs, resume=None):
        model = network(engine)
        model.freeze(*what)
        model.layers[3].layers[4].lr_factor = 0.5
        model.fit(*stripes, epochs=epochs, batch_size=32, callbacks=[sn.Checkpoint(tmp_path / "c")], resume=resume,
                  verbose=False)  # fmt: skip
        return model

    expected = train(4)
    (tmp_path / "c").unlink()
    train(2)
    resumed = train(4, resume=tmp_path / "c")
    assert_same_bits(arrays(resumed), arrays(expected))
    other = network(engine)
    with pytest.raises(ValueError, match="frozen"):
        other.fit(*stripes, epochs=5, batch_size=32, resume=tmp_path / "c", verbose=False)


@each
def test_a_file_and_a_copy_keep_what_is_frozen(what, tmp_path):
    model = network()
    frozen = model.freeze(*what)
    model.layers[3].layers[4].lr_factor = 0.25
    model.save(tmp_path / "m")
    for other in (sn.load_model(tmp_path / "m", "numpy"), model.with_head(3)):
        assert transfer.frozen(other) == frozen and transfer.lr_factors(other) == {"3.residual.4.batchnorm": 0.25}
        assert other.trainable_parameters().keys() == model.trainable_parameters().keys()


def test_the_factor_of_an_inner_layer_scales_its_step_alone(engine, stripes):
    x, y = stripes
    steps = []
    for factor in (1.0, 0.5):
        model = network(engine)
        model.layers[3].layers[0].lr_factor = factor
        before = arrays(model)
        model.fit(x, y, batch_size=len(x), optimizer=sn.SGD(0.1), verbose=False)
        steps.append({name: array - before[name] for name, array in arrays(model).items()})
    for name, step in steps[1].items():
        factor = 0.5 if name.startswith("3.residual.0.") else 1
        np.testing.assert_allclose(step, factor * steps[0][name], rtol=1e-3, atol=1e-6, err_msg=name)


def test_a_block_is_trained_as_long_as_a_layer_in_it_is():
    model = network()
    block = model.layers[3]
    for name in ("0.conv2d", "1.batchnorm", "3.conv2d", "4.batchnorm", "shortcut.0.conv2d"):
        model.freeze(f"3.residual.{name}")
        assert block.trainable
    assert model.freeze("3.residual.shortcut.1.batchnorm") == ["3.residual.shortcut.1.batchnorm"]
    assert not block.trainable and transfer.frozen(model) == ["3.residual"]
    assert model.unfreeze("3.residual.3.conv2d") == ["3.residual.3.conv2d"] and block.trainable
    block.trainable = True
    assert transfer.frozen(model) == []


def test_a_batchnorm_behind_a_frozen_convolution_in_a_block_is_frozen_with_it():
    model = network()
    model.freeze("3.residual.0.conv2d", "3.residual.shortcut.0.conv2d")
    assert transfer.freeze_normalisation(model) == ["3.residual.1.batchnorm", "3.residual.shortcut.1.batchnorm"]


def test_the_summary_says_that_a_block_is_partly_frozen(capsys):
    model = network()
    model.freeze("1.conv2d", "3.residual.0.conv2d")
    assert [row.frozen for row in summary.rows(model)] == ["", "frozen", "", "partly frozen", "", "", ""]
    model.summary()
    said = capsys.readouterr().out
    trained = sum(array.size for array in model.trainable_parameters().values())
    assert "3.residual (partly frozen)" in said and f"{trained:,} of them trained" in said


def test_an_unknown_inner_name_is_an_error_that_suggests_one():
    with pytest.raises(ValueError, match=r"Did you mean '3\.residual\.0\.conv2d'"):
        network().freeze("3.residual.0.conv")
