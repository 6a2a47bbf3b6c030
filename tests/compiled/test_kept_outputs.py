"""Outputs of frozen layers that are kept for all epochs: the same bits, and no step that uses old ones."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import kept_outputs
from scratchnet.process.interrupts import Interrupted
from tests.test_freezing import CASES, arrays, assert_same_bits, network
from tests.test_resuming import EveryPosition


@pytest.fixture
def images():
    """(150, 10, 10, 1) images of noise with a bright quarter, which is the label: more than a few."""
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 100, (150, 10, 10, 1), np.uint8), rng.integers(0, 4, 150)
    for image, label in zip(x, y, strict=True):
        image[5 * (label // 2) :, 5 * (label % 2) :][:5, :5] += 100
    return x, y


def computed(monkeypatch):
    """A list that gets an entry each time outputs are computed: how many there are."""
    found, compute = [], kept_outputs.KeptOutputs.compute

    def counted(self, x, check):
        compute(self, x, check)
        found.append(self.outputs.shape)

    monkeypatch.setattr(kept_outputs.KeptOutputs, "compute", counted)
    return found


def trained(images, what, kind="batchnorm", callbacks=(), epochs=3, **options):
    model = network("numba", kind)
    model.freeze(*what)
    how = {"batch_size": 32, "optimizer": sn.Adam(3e-3), "callbacks": callbacks, "verbose": False, **options}
    model.fit(*images, epochs=epochs, **how)
    return arrays(model)


@pytest.mark.parametrize(("kind", "what"), CASES)
def test_the_weights_are_the_same_bits_as_without_them(kind, what, images, monkeypatch):
    kept = trained(images, what, kind)
    monkeypatch.setattr(kept_outputs, "LIMIT", 0)
    assert_same_bits(kept, trained(images, what, kind))


def test_they_are_computed_once_up_to_the_lowest_layer_that_changes(images, monkeypatch):
    found = computed(monkeypatch)
    trained(images, ["conv", "batchnorm"])
    assert found == [(150, 2 * 2 * 16)]  # behind Flatten: the Dropout above it draws in every step
    trained(images, ["conv"])
    assert found[1:] == [(150, 10, 10, 8)]  # below the BatchNorm, whose averages move


@pytest.mark.parametrize("options", [
    {"augment": sn.Augment.light()}, {"epochs": 1}, {"what": ["dense"]},
])  # fmt: skip
def test_nothing_is_kept_where_the_outputs_change_or_are_needed_once(options, images, monkeypatch):
    found = computed(monkeypatch)
    trained(images, **{"what": ["conv", "batchnorm"], **options})
    assert found == []


def test_outputs_behind_a_layer_of_ones_own_are_not_kept(images, monkeypatch):
    class Halved(sn.Layer):
        def forward(self, x, ctx):
            return x / 2, None

        def backward(self, dy, cache):
            return dy / 2, {}

    found = computed(monkeypatch)
    layers = [sn.Rescale(), sn.Conv2D(4, 3), Halved(), sn.Conv2D(4, 3), sn.Flatten(), sn.Dense(4)]
    model = sn.Sequential(layers, (10, 10, 1))
    model.freeze("conv")
    model.fit(*images, epochs=2, verbose=False)
    assert found == [(150, 8, 8, 4)]


def test_a_layer_that_is_unfrozen_within_an_epoch_is_trained_from_the_next_step_on(images, monkeypatch):
    def unfreeze(run, logs=None):
        if (run.epoch, run.batch) == (1, 2):
            run.model.unfreeze("5.conv2d")

    callback = sn.LambdaCallback(on_batch_end=unfreeze)
    kept = trained(images, ["conv", "batchnorm"], callbacks=[callback])
    monkeypatch.setattr(kept_outputs, "LIMIT", 0)
    assert_same_bits(kept, trained(images, ["conv", "batchnorm"], callbacks=[callback]))


def test_a_frozen_array_that_is_changed_between_epochs_changes_the_outputs(images, monkeypatch):
    def change(run):
        run.model.layers[1].W[...] *= -1

    callback = sn.LambdaCallback(on_epoch_begin=change)
    found = computed(monkeypatch)
    kept = trained(images, ["conv", "batchnorm"], callbacks=[callback])
    assert len(found) == 3
    monkeypatch.setattr(kept_outputs, "LIMIT", 0)
    assert_same_bits(kept, trained(images, ["conv", "batchnorm"], callbacks=[callback]))


def test_a_run_that_is_resumed_within_an_epoch_has_the_same_bits(images, tmp_path):
    every = EveryPosition(tmp_path / "x", every_batches=3)
    whole = trained(images, ["conv", "batchnorm"], callbacks=[every])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 6  # of each epoch of 5 batches after the third, and at the end
    for file in files:
        assert_same_bits(trained(images, ["conv", "batchnorm"], resume=file), whole)


def test_ctrl_c_while_they_are_computed_ends_the_run_before_its_first_step(images):
    model = network("numba", "batchnorm")
    model.freeze("conv", "batchnorm")

    def stop():
        raise Interrupted

    kept = kept_outputs.KeptOutputs(model, 150, *model.backend.divided(150))
    with pytest.raises(Interrupted):
        kept.compute(images[0], stop)
    assert not kept.computed()
