"""Softmax cross-entropy against the definition in 60-digit decimals, and against finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet import SoftmaxCrossEntropy
from scratchnet.losses import log_softmax, one_hot, softmax
from tests import oracles


@st.composite
def batches(draw, largest=50.0):
    """Logits (n, classes) and class numbers."""
    n, classes = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.uniform(-largest, largest, (n, classes)), rng.integers(0, classes, n)


def targets(labels, classes, smoothing=0.0):
    """One row of probabilities per label: the definition, number by number."""
    return [[(1 - smoothing) * (k == label) + smoothing / classes for k in range(classes)] for label in labels]


@given(batches(), st.sampled_from([0.0, 0.1, 0.5]))
def test_value_and_gradient_are_the_definitions(batch, smoothing):
    logits, labels = batch
    value, dlogits = SoftmaxCrossEntropy(smoothing)(logits, labels)
    expected, gradient = oracles.cross_entropy(logits, targets(labels, logits.shape[1], smoothing))
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-13)
    np.testing.assert_allclose(dlogits, gradient, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_logits_of_ten_thousand_are_no_trouble(dtype, smoothing):
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype)
    labels = np.array([0, 0, 2])
    value, dlogits = SoftmaxCrossEntropy(smoothing)(logits, labels)
    expected, gradient = oracles.cross_entropy(logits, targets(labels, 3, smoothing))
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(dlogits, gradient, rtol=0, atol=1e-7)
    assert dlogits.dtype == dtype


def test_value_and_gradient_by_hand():
    value, dlogits = SoftmaxCrossEntropy()(np.log([[1.0, 3.0], [1.0, 1.0]]), np.array([0, 1]))
    assert value == pytest.approx((math.log(4) + math.log(2)) / 2)
    np.testing.assert_allclose(dlogits, [[(0.25 - 1) / 2, 0.75 / 2], [0.5 / 2, (0.5 - 1) / 2]], atol=1e-15)


@given(batches(largest=5.0), st.sampled_from([0.0, 0.2]))
def test_finite_differences_agree(batch, smoothing):
    logits, labels = batch
    loss = SoftmaxCrossEntropy(smoothing)
    _, dlogits = loss(logits, labels)
    for index in np.ndindex(logits.shape):
        h = np.zeros_like(logits)
        h[index] = 1e-5
        difference = (loss(logits + h, labels)[0] - loss(logits - h, labels)[0]) / 2e-5
        assert dlogits[index] == pytest.approx(difference, abs=1e-9)


@given(batches(), st.sampled_from([0.0, 0.1]))
def test_one_hot_labels_mean_the_same_as_class_numbers(batch, smoothing):
    logits, labels = batch
    rows = np.array(targets(labels, logits.shape[1]))
    for one in (rows, rows.astype(np.uint8), rows.astype(bool)):
        value, dlogits = SoftmaxCrossEntropy(smoothing)(logits, one)
        assert value == SoftmaxCrossEntropy(smoothing)(logits, labels)[0]
        np.testing.assert_array_equal(dlogits, SoftmaxCrossEntropy(smoothing)(logits, labels)[1])


@given(batches())
def test_the_gradient_of_each_example_sums_to_zero(batch):
    _, dlogits = SoftmaxCrossEntropy(0.1)(*batch)  # adding a constant to all logits changes nothing
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-15)


def test_equal_logits_cost_the_log_of_the_number_of_classes():
    for classes in (1, 2, 10, 1000):
        value, _ = SoftmaxCrossEntropy()(np.full((3, classes), 7.0), np.zeros(3, int))
        assert value == pytest.approx(math.log(classes))


def test_smoothing_makes_certainty_cost_something():
    certain = np.array([[30.0, 0.0]])
    assert SoftmaxCrossEntropy()(certain, np.array([0]))[0] < 1e-12
    assert SoftmaxCrossEntropy(0.1)(certain, np.array([0]))[0] == pytest.approx(0.05 * 30, rel=1e-9)


def test_logits_and_labels_are_left_as_they_were(rng):
    logits, labels = rng.standard_normal((4, 3)), np.eye(3)[[0, 2, 1, 1]]
    before = logits.copy(), labels.copy()
    logits.flags.writeable = labels.flags.writeable = False
    SoftmaxCrossEntropy(0.1)(logits, labels)
    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(labels, before[1])


@given(batches(largest=1e4))
def test_softmax_gives_probabilities_and_log_softmax_their_logarithms(batch):
    logits, _ = batch
    p = softmax(logits)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(log_softmax(logits)), p, rtol=1e-12, atol=1e-300)


def test_one_hot_marks_the_class():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot([1], 2, "float64").dtype == np.float64


@pytest.mark.parametrize(("labels", "message"), [
    ([0, 3], r"labels must lie in 0..2, got 0..3. The last Dense layer needs one unit per class"),
    ([-1, 0], r"labels must lie in 0..2, got -1..0"),
    ([0.0, 1.0], r"labels must be class numbers, integers of shape \(n,\), or one-hot .* got float64 of shape \(2,\)"),
    ([True, False], "labels must be class numbers"),
    (["a", "b"], "labels must be class numbers"),
    ([[1, 0], [0, 1]], "one-hot labels of 2 classes for a model of 3 classes"),
    ([[0, 1, 2], [1, 2, 0]], "each row of one-hot labels must sum to 1"),
    ([[0, 0, 255], [255, 0, 0]], "each row of one-hot labels must sum to 1"),
    ([[0, 0, np.nan], [1, 0, 0]], "each row of one-hot labels must sum to 1"),
    ([[[0, 0, 1]], [[1, 0, 0]]], "labels must be class numbers"),
    ([0, 1, 2], r"2 rows of logits but labels of shape \(3,\)"),
    (0, r"2 rows of logits but labels of shape \(\)"),
])  # fmt: skip
def test_wrong_labels_are_explained(labels, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxCrossEntropy()(np.zeros((2, 3)), np.array(labels))


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 3, 4)])
def test_logits_that_are_not_one_row_per_example_are_explained(shape):
    with pytest.raises(ValueError, match=r"expected logits \(n, classes\) of at least one example, got"):
        SoftmaxCrossEntropy()(np.zeros(shape), np.zeros(shape[:1], int))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_must_be_a_fraction(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got"):
        SoftmaxCrossEntropy(smoothing)


def test_pytorch_agrees_with_smoothing_and_without(rng):
    torch = pytest.importorskip("torch")
    logits, labels = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    for smoothing in (0.0, 0.3):
        z = torch.tensor(logits, requires_grad=True)
        theirs = torch.nn.functional.cross_entropy(z, torch.tensor(labels), label_smoothing=smoothing)
        theirs.backward()
        value, dlogits = SoftmaxCrossEntropy(smoothing)(logits, labels)
        assert value == pytest.approx(theirs.item(), rel=1e-12)
        np.testing.assert_allclose(dlogits, z.grad.numpy(), atol=1e-14)
