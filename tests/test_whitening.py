"""The first filters, when they are made from the training images: what their responses are like."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.callbacks.whitening import whitening_filters


def smooth_images(n=300, size=12, channels=2):
    """Noise through a running mean: neighbours are alike, as in photographs."""
    noise = np.random.default_rng(0).normal(size=(n, size + 2, size + 2, channels))
    return sum(noise[:, i : i + size, j : j + size] for i in range(3) for j in range(3)).astype(np.float32)


def begun(x, filters, steps=0):
    """A model's first convolution, before and after WhitenedStart, and what the images are when they meet it."""
    layers = [sn.Rescale(0.5, 1.0), sn.Cropping2D(1), sn.Conv2D(filters, 3), sn.ReLU(), sn.Flatten(), sn.Dense(3)]
    model = sn.Sequential(layers, x.shape[1:], engine="numpy")
    before, optimizer = layers[2].W.copy(), sn.SGD(1e-30)
    optimizer.steps = steps
    y = np.arange(len(x)) % 3
    model.fit(x, y, epochs=1, optimizer=optimizer, callbacks=[sn.WhitenedStart(1e-6)], verbose=False)
    return before, layers[2].W, 0.5 * x[:, 1:-1, 1:-1] + 1


def test_responses_are_uncorrelated_and_of_variance_one_and_come_with_both_signs():
    before, W, images = begun(smooth_images(), filters=40)
    conv = sn.Conv2D(40, 3)
    conv.build(images.shape[1:], np.random.default_rng(0))
    conv.W, conv.b = W, np.zeros(40)
    responses = conv.forward(images[:, ::1], sn.Context())[0][:, ::2, ::2].reshape(-1, 40)
    np.testing.assert_allclose(np.cov(responses[:, :18], rowvar=False), np.eye(18), atol=2e-3)
    np.testing.assert_array_equal(W[..., 18:36], -W[..., :18])
    np.testing.assert_array_equal(W[..., 36:], before[..., 36:])  # a patch has no more than 18 directions


def test_the_first_filters_see_the_directions_in_which_patches_differ_most():
    p = np.random.default_rng(0).normal(size=(5000, 4)) * [1, 4, 2, 3]
    w = np.abs(whitening_filters(p, 1e-9))
    assert w.argmax(axis=1).tolist() == [1, 3, 2, 0]
    np.testing.assert_allclose(w.max(axis=1), [1 / 4, 1 / 3, 1 / 2, 1], rtol=0.05)


def test_a_training_that_goes_on_keeps_its_filters():
    before, W, _ = begun(smooth_images(30), filters=4, steps=7)
    np.testing.assert_array_equal(W, before)


def test_a_model_without_convolution_is_refused():
    model = sn.Sequential([sn.Flatten(), sn.Dense(2)], (3, 3, 1), engine="numpy")
    with pytest.raises(ValueError, match="WhitenedStart: the model has no Conv2D"):
        model.fit(np.zeros((4, 3, 3)), np.zeros(4, int), callbacks=[sn.WhitenedStart()], verbose=False)
    with pytest.raises(ValueError, match="epsilon must be positive, got 0"):
        sn.WhitenedStart(0)
