"""The losses against their definitions in 60-digit decimals, and against finite differences."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from scratchnet.losses import WeightedLoss, as_loss, log_softmax, one_hot, softmax, weighted
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


# binary cross-entropy, mean squared error


def binary_cross_entropy(logits, targets):
    """Value and gradient from -t log p - (1 - t) log (1 - p), in 60-digit decimals."""
    with localcontext() as context:
        context.prec = 60
        value, gradient = Decimal(0), np.zeros(np.shape(logits))
        for place, z in np.ndenumerate(logits):
            t, z = Decimal(float(targets[place])), Decimal(float(z))
            p = 1 / (1 + (-z).exp())
            value -= (t * p.ln() if t else 0) + ((1 - t) * (1 - p).ln() if t != 1 else 0)
            gradient[place] = (p - t) / logits.size
        return float(value / logits.size), gradient


@st.composite
def numbers(draw, largest=30.0):
    """Outputs (n, k), and targets between 0 and 1, many of them 0 and 1."""
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.uniform(-largest, largest, shape), rng.uniform(-0.5, 1.5, shape).clip(0, 1)


@given(numbers())
def test_binary_cross_entropy_is_its_definition(batch):
    value, dlogits = BinaryCrossEntropy()(*batch)
    expected, gradient = binary_cross_entropy(*batch)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(dlogits, gradient, rtol=0, atol=1e-15)


@given(numbers())
def test_mean_squared_error_is_its_definition(batch):
    z, t = batch
    value, dz = MeanSquaredError()(z, t)
    terms = [(a - b) ** 2 for a, b in zip(z.ravel().tolist(), t.ravel().tolist(), strict=True)]
    assert value == pytest.approx(math.fsum(terms) / len(terms), rel=1e-13)
    np.testing.assert_allclose(dz, 2 * (z - t) / z.size, rtol=1e-13)


@given(numbers(largest=5.0), st.sampled_from([BinaryCrossEntropy(), MeanSquaredError()]))
def test_finite_differences_agree_for_all_losses(batch, loss):
    outputs, targets = batch
    _, gradient = loss(outputs, targets)
    for index in np.ndindex(outputs.shape):
        h = np.zeros_like(outputs)
        h[index] = 1e-5
        difference = (loss(outputs + h, targets)[0] - loss(outputs - h, targets)[0]) / 2e-5
        assert gradient[index] == pytest.approx(difference, abs=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_logits_of_ten_thousand_are_no_trouble(dtype):
    value, dlogits = BinaryCrossEntropy()(np.array([[1e4], [-1e4], [1e4], [-1e4]], dtype), np.array([1, 0, 0, 1]))
    assert value == 5000 and dlogits.ravel().tolist() == [0, 0, 0.25, -0.25] and dlogits.dtype == dtype


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), MeanSquaredError()])
def test_class_numbers_are_rows_of_zero_and_one(loss, rng):
    outputs, labels = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)
    value, gradient = loss(outputs, labels)
    for same in (np.eye(3)[labels], np.eye(3, dtype=np.uint8)[labels], np.eye(3, dtype=bool)[labels]):
        assert loss(outputs, same)[0] == value
        np.testing.assert_array_equal(loss(outputs, same)[1], gradient)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), MeanSquaredError()])
def test_of_one_output_the_labels_are_its_targets(loss):
    outputs, labels = np.array([[0.5], [-2.0]]), np.array([1, 0])
    for same in (labels[:, None], labels.astype(float), labels.astype(bool)):
        assert loss(outputs, same)[0] == loss(outputs, labels)[0]


@pytest.mark.parametrize(("loss", "labels", "message"), [
    (BinaryCrossEntropy(), [[0, 2], [1, 0]], "labels of a binary cross-entropy must be 0 or 1, .* got 0 to 2. .*y > 0"),
    (BinaryCrossEntropy(), [[-1, 1], [1, 1]], "got -1 to 1"), (BinaryCrossEntropy(), [[0, np.nan], [1, 1]], "got nan"),
    (MeanSquaredError(), [[1, 2, 3], [1, 2, 3]], r"of shape \(n, 2\), .* got int64 of shape \(2, 3\)"),
    (MeanSquaredError(), [0.5, 0.5], r"numbers of shape \(n, 2\), .*got float64 of shape \(2,\)"),
    (MeanSquaredError(), [0, 2], r"labels must lie in 0..1, got 0..2"),
    (MeanSquaredError(), [0], "2 rows of logits but"),
    (MeanSquaredError(), [["a", "b"], ["a", "b"]], "labels must be numbers"),
])  # fmt: skip
def test_labels_that_a_loss_cannot_use_are_explained(loss, labels, message):
    with pytest.raises(ValueError, match=message):
        loss(np.zeros((2, 2)), np.array(labels))


def test_losses_have_the_names_that_keras_gives_them():
    assert isinstance(as_loss("mse"), MeanSquaredError) and isinstance(as_loss("mean_squared_error"), MeanSquaredError)
    assert isinstance(as_loss("binary_crossentropy"), BinaryCrossEntropy)


def test_pytorch_agrees_on_the_other_losses(rng):
    torch = pytest.importorskip("torch")
    outputs, targets = rng.standard_normal((6, 5)), rng.random((6, 5))
    functions = torch.nn.functional.mse_loss, torch.nn.functional.binary_cross_entropy_with_logits
    for loss, function in zip((MeanSquaredError(), BinaryCrossEntropy()), functions, strict=True):
        z = torch.tensor(outputs, requires_grad=True)
        theirs = function(z, torch.tensor(targets))
        theirs.backward()
        value, gradient = loss(outputs, targets)
        assert value == pytest.approx(theirs.item(), rel=1e-12)
        np.testing.assert_allclose(gradient, z.grad.numpy(), atol=1e-15)


# weights


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(0.1), BinaryCrossEntropy(), MeanSquaredError()])
@pytest.mark.parametrize("one_hot_labels", [False, True])
def test_a_weighted_loss_is_the_weighted_sum_over_n(loss, one_hot_labels, rng):
    outputs, labels, w = rng.standard_normal((5, 3)), rng.integers(0, 3, 5), rng.uniform(0, 2, 5)
    labels = np.eye(3)[labels] if one_hot_labels else labels
    value, gradient = WeightedLoss(loss)(outputs, weighted(labels, w))
    each = [loss(outputs[i : i + 1], labels[i : i + 1]) for i in range(5)]
    assert value == pytest.approx(sum(w[i] * l for i, (l, _) in enumerate(each)) / 5, rel=1e-13)
    np.testing.assert_allclose(gradient, [w[i] * g[0] / 5 for i, (_, g) in enumerate(each)], atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_one_change_nothing(dtype, rng):
    outputs, labels = rng.standard_normal((5, 3)).astype(dtype), rng.integers(0, 3, 5)
    value, gradient = SoftmaxCrossEntropy()(outputs, labels)
    again, weighted_gradient = WeightedLoss(SoftmaxCrossEntropy())(outputs, weighted(labels, np.ones(5)))
    assert again == value and weighted_gradient.dtype == dtype
    np.testing.assert_array_equal(weighted_gradient, gradient)
