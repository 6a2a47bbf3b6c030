"""Several answers: their mean, and which views of an image are asked about."""

import numpy as np
import pytest
from scipy.ndimage import shift

import scratchnet as sn
from scratchnet.losses import softmax
from scratchnet.metrics import losses
from tests.test_callbacks import network


class Recorder:
    """A stand-in for a model that keeps the images it is asked about."""

    def __init__(self):
        self.asked = []

    def check_input(self, x):
        return np.asarray(x)

    def predict(self, x, batch_size):
        self.asked.append(np.array(x))
        return np.full((len(x), 2), 0.5)


def trained(stripes, seed, engine="numpy"):
    model = network(engine, seed)
    model.fit(*stripes, epochs=2, batch_size=16, optimizer=sn.Adam(0.01), verbose=False)
    return model


def test_an_ensembles_probabilities_are_the_mean_of_its_models(stripes):
    models = [trained(stripes, seed) for seed in range(3)]
    by_hand = sum(softmax(model.forward(stripes[0]).astype(np.float64)) for model in models) / 3
    np.testing.assert_allclose(sn.Ensemble(models).predict(stripes[0], batch_size=7), by_hand, rtol=1e-5, atol=1e-7)


def test_an_ensembles_loss_is_at_most_the_mean_of_its_models_losses(stripes):
    """Jensen's inequality, example by example; and strictly less in the mean for models that differ."""
    x, y = stripes
    models = [trained(stripes, seed) for seed in range(3)]
    together = losses(sn.Ensemble(models).predict(x), y)
    mean = np.mean([losses(model.predict(x), y) for model in models], axis=0)
    assert (together <= mean + 1e-6).all() and together.mean() < mean.mean() - 1e-4


def test_the_views_are_the_image_moved_by_up_to_so_many_pixels_its_border_repeated(rng):
    x, model = rng.integers(0, 256, (2, 7, 5, 1)).astype(np.uint8), Recorder()
    sn.predict_augmented(model, x, shifts=2)
    moves = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
    expected = {shift(x, (0, i, j, 0), order=0, mode="nearest").tobytes() for i, j in moves}
    assert len(model.asked) == len(expected) == 25 and {views.tobytes() for views in model.asked} == expected
    assert all(views.dtype == np.uint8 for views in model.asked)


def test_a_model_that_looks_at_one_pixel_averages_over_its_neighbours(engine):
    """Two logits, 0 and the pixel in the middle: the answer is the mean of nine sigmoids."""
    model = sn.Sequential([sn.Flatten(), sn.Dense(2)], (5, 5, 1), engine=engine)
    model.layers[1].W[...] = 0
    model.layers[1].W[12, 1] = 1
    x = np.random.default_rng(0).normal(size=(4, 5, 5)).astype(np.float32)
    p = sn.predict_augmented(model, x, shifts=1)[:, 1]
    np.testing.assert_allclose(p, (1 / (1 + np.exp(-x[:, 1:4, 1:4]))).mean(axis=(1, 2)), rtol=1e-5)


def test_without_shifts_it_is_the_plain_prediction(stripes, engine):
    model = network(engine)
    np.testing.assert_array_equal(sn.predict_augmented(model, stripes[0], shifts=0), model.predict(stripes[0]))


def test_both_engines_agree_about_views_and_ensembles(stripes):
    pytest.importorskip("numba")
    answers = []
    for engine in ("numpy", "numba"):
        models = sn.Ensemble([network(engine, 1), network(engine, 2)])
        answers.append(sn.predict_augmented(models, stripes[0]))
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("models", "message"), [
    ([], "Ensemble: needs at least one model"),
    ([network(), network(units=3)], r"model 1 answers with shape \(3,\), model 0 with \(4,\)"),
    ([network(), sn.Sequential([sn.Flatten(), sn.Dense(4)], (9, 9, 1), engine="numpy")],
     r"input_shape of model 1 is \(9, 9, 1\), of model 0 \(10, 10, 1\)"),
    ([network(), sn.Sequential([sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine="numpy", class_names=list("abcd"))],
     r"class_names of model 1 is \['a', 'b', 'c', 'd'\], of model 0 None"),
])  # fmt: skip
def test_models_that_do_not_belong_together_are_refused(models, message):
    with pytest.raises(ValueError, match=message):
        sn.Ensemble(models)


def test_what_has_no_place_to_move_is_refused():
    flat = sn.Sequential([sn.Dense(2)], (4,), engine="numpy")
    with pytest.raises(ValueError, match=r"expects a model of images \(n, h, w, c\), its input is \(3, 4\)"):
        sn.predict_augmented(flat, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="shifts must be an integer of at least 0, got -1"):
        sn.predict_augmented(network(), np.zeros((1, 10, 10)), shifts=-1)
