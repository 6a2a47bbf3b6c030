"""Metrics: counted in loops, compared with scipy and with the published definitions."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scratchnet import metrics


@pytest.fixture
def answers(rng):
    """200 answers of a model of five classes, about half of them right; class 4 is never predicted."""
    labels = rng.integers(0, 5, 200)
    logits = rng.standard_normal((200, 5)) + 2 * np.eye(5)[labels]
    logits[:, 4] = -9
    p = np.exp(logits)
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32), labels


# the confusion matrix and what follows from it


def test_the_confusion_matrix_counts_what_was_taken_for_what(answers):
    probabilities, labels = answers
    expected = [[0] * 5 for _ in range(5)]
    for p, label in zip(probabilities.tolist(), labels, strict=True):
        expected[label][p.index(max(p))] += 1
    assert metrics.measure(*answers)["confusion_matrix"] == expected


def test_precision_recall_and_f1_are_those_of_counting(answers):
    probabilities, labels = answers
    predicted = probabilities.argmax(axis=1)
    for k, row in enumerate(metrics.measure(*answers)["classes"]):
        called, true = set(np.flatnonzero(predicted == k)), set(np.flatnonzero(labels == k))
        assert row["support"] == len(true)
        assert row["recall"] == pytest.approx(len(called & true) / len(true))
        if called:
            assert row["precision"] == pytest.approx(len(called & true) / len(called))
        if row["precision"] and row["recall"]:
            assert 2 / row["f1"] == pytest.approx(1 / row["precision"] + 1 / row["recall"])  # the harmonic mean


def test_a_class_that_is_never_predicted_has_zeros_and_is_named(answers):
    result = metrics.measure(*answers)
    assert result["never_predicted"] == [4] and result["without_examples"] == []
    assert [result["classes"][4][name] for name in ("precision", "recall", "f1")] == [0, 0, 0]


def test_averages_leave_out_classes_without_examples_and_count_those_never_predicted():
    scores = metrics.class_scores(np.array([[6, 2, 0], [2, 0, 0], [0, 0, 0]]))
    mean = metrics.averages(scores)
    assert mean["macro"]["recall"] == pytest.approx((0.75 + 0) / 2)
    assert mean["weighted"]["recall"] == pytest.approx(6 / 10)  # which is the accuracy
    assert mean["macro"]["precision"] == pytest.approx((0.75 + 0) / 2)
    assert metrics.measure(np.eye(3)[[0, 1]], np.array([0, 1]))["without_examples"] == [2]


def test_the_weighted_recall_is_the_accuracy(answers):
    result = metrics.measure(*answers)
    assert result["weighted"]["recall"] == pytest.approx(result["accuracy"])
    assert result["mistakes"] == round(200 * (1 - result["accuracy"]))


def test_the_most_confused_pairs_are_the_largest_numbers_beside_the_diagonal(answers):
    confusion = np.array(metrics.measure(*answers)["confusion_matrix"])
    pairs = metrics.most_confused(confusion, top=100)
    counts = [count for _, _, count in pairs]
    assert counts == sorted(counts, reverse=True) and sum(counts) == confusion.sum() - np.trace(confusion)
    assert all(i != j and confusion[i, j] == count > 0 for i, j, count in pairs)
    assert metrics.most_confused(np.diag([3, 4])) == []


# uncertainty


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(n, share, confidence):
    right = round(share * n)
    expected = stats.binomtest(right, n).proportion_ci(confidence, method="wilson")
    assert metrics.wilson_interval(right, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilsons_interval_covers_the_truth_about_as_often_as_it_says():
    n, p = 200, 0.95
    probability = stats.binom.pmf(np.arange(n + 1), n, p)
    covered = [low <= p <= high for low, high in (metrics.wilson_interval(k, n) for k in range(n + 1))]
    assert 0.93 < (probability * covered).sum() < 0.97


def test_wilsons_interval_knows_its_limits():
    assert metrics.wilson_interval(0, 0) == (0, 1)
    for n in range(1, 200):
        (low, _), (_, high) = metrics.wilson_interval(0, n), metrics.wilson_interval(n, n)
        assert 0 <= low < 1e-15 and 1 - 1e-15 < high <= 1
    with pytest.raises(ValueError, match="got 11 of 10"):
        metrics.wilson_interval(11, 10)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_mcnemars_test_is_the_binomial_test_of_the_differences(only_a, only_b, both):
    a = np.array([True] * (only_a + both) + [False] * only_b)
    b = np.array([False] * only_a + [True] * (both + only_b))
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    result = metrics.mcnemar(a, b)
    assert result[:2] == (only_a, only_b)
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_works_for_thousands_of_differences_and_is_symmetric():
    a = np.arange(20000) % 2 == 0
    result = metrics.mcnemar(a, ~a)
    assert result.p_value == 1
    b = np.where(np.arange(20000) < 12000, a, ~a)
    c = b.copy()
    c[:200] = ~c[:200] | True
    assert metrics.mcnemar(b, c).p_value == metrics.mcnemar(c, b).p_value < 1e-20
    with pytest.raises(ValueError, match=r"got \(3,\) and \(4,\)"):
        metrics.mcnemar(np.ones(3), np.ones(4))


# confidence


def test_the_calibration_error_is_that_of_a_loop_over_examples(answers):
    probabilities, labels = answers
    bins: dict[int, list[tuple[float, bool]]] = {}
    for p, label in zip(probabilities.astype(float), labels, strict=True):
        bins.setdefault(math.ceil(p.max() * 15), []).append((p.max(), p.argmax() == label))
    expected = sum(abs(sum(conf for conf, _ in b) - sum(right for _, right in b)) for b in bins.values()) / 200
    found = metrics.calibration(probabilities, labels)
    assert found.error == pytest.approx(expected)
    assert found.count.tolist() == [len(bins.get(b + 1, [])) for b in range(15)]


def test_a_model_that_knows_how_much_it_knows_has_no_calibration_error():
    labels = np.array([0, 0, 0, 1])
    assert metrics.calibration(np.tile([0.75, 0.25], (4, 1)), labels).error == 0
    assert metrics.calibration(np.tile([1.0, 0.0], (4, 1)), labels).error == pytest.approx(0.25)


def test_the_mean_confidence_is_told_apart_for_right_and_wrong_answers():
    result = metrics.measure(np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]), np.array([0, 1, 1]))
    assert result["confidence_when_right"] == pytest.approx(0.8)
    assert result["confidence_when_wrong"] == pytest.approx(0.6)
    assert metrics.measure(np.eye(2), np.array([0, 1]))["confidence_when_wrong"] is None


# single examples


def test_top_losses_are_the_largest_surprises_in_order(answers):
    probabilities, labels = answers
    everything = [(-math.log(p[label]), i) for i, (p, label) in enumerate(zip(probabilities, labels, strict=True))]
    expected = sorted(everything, reverse=True)[:25]
    found = metrics.top_losses(probabilities, labels)
    assert [e.index for e in found] == [i for _, i in expected]
    for e, (loss, i) in zip(found, expected, strict=True):
        assert e.loss == pytest.approx(loss, rel=1e-6)
        assert (e.true, e.predicted) == (labels[i], probabilities[i].argmax())
        assert (e.p_true, e.p_predicted) == (probabilities[i, labels[i]], probabilities[i].max())


def test_the_most_confident_mistakes_are_mistakes(answers):
    found = metrics.confident_mistakes(*answers, top=5)
    assert all(e.true != e.predicted for e in found)
    assert [e.p_predicted for e in found] == sorted((e.p_predicted for e in found), reverse=True)
    wrong = answers[0][answers[0].argmax(axis=1) != answers[1]]
    assert found[0].p_predicted == wrong.max()


def test_a_probability_of_zero_is_a_large_loss_and_not_infinity():
    (worst,) = metrics.top_losses(np.array([[1.0, 0.0]]), np.array([1]))
    assert 80 < worst.loss < 90


def test_everything_can_be_written_as_json(answers):
    result = metrics.measure(*answers)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


# mistakes of the caller


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.ones((3, 2)), np.zeros(4, int), r"got \(3, 2\) and int64 \(4,\)"),
        (np.ones((3, 2)), np.eye(3, 2), "One-hot labels"),
        (np.ones((0, 2)), np.zeros(0, int), "there are no examples"),
        (np.ones((1, 2)), np.array([2]), "labels from 2 to 2 for a model of 2 classes"),
        (np.array([[np.nan, 1]]), np.array([0]), "parameters are damaged"),
    ],
)
def test_mistakes_are_explained(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.measure(probabilities, labels)
