"""The energy: what it is, where its threshold lies, and that it tells what a model has learned from what it has not."""

import json

import numpy as np
import pytest
from scipy.special import logsumexp

import scratchnet as sn
from scratchnet.out_of_distribution import FEWEST, energies, energy, energy_threshold, kept_threshold


@pytest.fixture(scope="module")
def trained(stripes_module):
    """A model of stripes, and the stripes."""
    x, y = stripes_module
    layers = [sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(4)]
    model = sn.Sequential(layers, (10, 10, 1), engine="numpy")
    model.fit(x, y, epochs=20, batch_size=16, optimizer=sn.Adam(lr=0.01), verbose=False)
    return model, x


@pytest.fixture(scope="module")
def stripes_module():
    """400 noisy pictures of stripes in four directions."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:10, :10]
    waves = np.stack([np.sin(1.6 * along) for along in (v, u, v + u, v - u)])
    y = np.arange(400) % 4
    return np.clip(128 + 90 * waves[y] + rng.normal(0, 15, (400, 10, 10)), 0, 255).astype(np.uint8), y


def test_the_energy_is_minus_the_logarithm_of_the_softmaxs_denominator(rng):
    z = rng.normal(0, 30, (50, 7))
    np.testing.assert_allclose(energy(z), -logsumexp(z, axis=1), rtol=1e-12)
    np.testing.assert_allclose(energy(z + 1000), energy(z) - 1000, rtol=1e-12)  # probabilities would not see that


def test_a_models_energies_are_those_of_its_logits(trained):
    model, x = trained
    np.testing.assert_allclose(energies(model, x, batch_size=7), -logsumexp(model.forward(x), axis=1), rtol=1e-5)
    assert energies(model, x[:0]).shape == (0,)


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_threshold_is_exceeded_by_its_share(trained, share):
    model, x = trained
    assert (energies(model, x) > energy_threshold(model, x, share)).mean() == pytest.approx(share, abs=1 / len(x))


def test_too_few_images_show_no_hundredth(trained):
    model, x = trained
    assert energy_threshold(model, x[: FEWEST - 1]) is None and energy_threshold(model, x[:FEWEST]) is not None
    for share in (0, 1, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            energy_threshold(model, x, share)


def test_what_is_nothing_like_the_training_images_is_above_the_threshold(trained):
    model, x = trained
    blank = np.full((50, 10, 10), 128, np.uint8) + np.random.default_rng(1).integers(0, 30, (50, 10, 10), np.uint8)
    assert (energies(model, blank) > energy_threshold(model, x)).mean() > 0.9


def test_a_threshold_is_read_from_a_runs_folder_or_there_is_none(tmp_path):
    assert kept_threshold(tmp_path) is None
    for content, threshold in [
        ({"out_of_distribution": {"score": "energy", "threshold": -3.5}}, -3.5),
        ({"out_of_distribution": {"score": "energy", "threshold": None}}, None),
        ({"out_of_distribution": {"score": "another", "threshold": 1.0}}, None),
        ({"test_accuracy": 0.99}, None),
        ([], None),
    ]:
        (tmp_path / "metrics.json").write_text(json.dumps(content))
        assert kept_threshold(tmp_path) == threshold
    (tmp_path / "metrics.json").write_bytes(b"\xff{")
    assert kept_threshold(tmp_path) is None
