"""Splits, epochs and batches are arrays of positions, given by their seed alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.data.batches import batches, epoch_order, train_val_split

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(LABELS, st.floats(0, 1, exclude_max=True), st.integers(0, 9))
def test_a_split_is_a_partition_in_which_each_class_has_its_share(labels, fraction, seed):
    labels, n = np.array(labels), len(labels)
    for val in (fraction, int(fraction * n)):
        train_index, val_index = train_val_split(labels, val, seed)
        assert sorted([*train_index, *val_index]) == list(range(n))
        assert (np.diff(train_index) > 0).all() and (np.diff(val_index) > 0).all()
        assert len(train_index) >= 1
        for label in range(6):
            share = (labels == label).sum() * len(val_index) / n
            assert abs((labels[val_index] == label).sum() - share) < 1


def test_a_count_is_exact_and_a_fraction_is_rounded():
    labels = np.arange(60000) % 10
    assert len(train_val_split(labels, 5000)[1]) == 5000
    assert len(train_val_split(labels, 0.1)[1]) == 6000
    assert len(train_val_split(labels[:7], 0.5)[1]) == 4
    assert len(train_val_split(labels, 0)[1]) == len(train_val_split(labels, 0.0)[1]) == 0
    assert len(train_val_split(labels[:1], 0.9)[1]) == 0
    for ten in (np.int64(10), np.float32(0.5)):
        assert len(train_val_split(labels[:20], ten)[1]) == 10


def test_a_split_depends_on_the_seed_and_not_on_the_names_of_the_classes():
    labels = np.arange(1000) % 10
    names = np.array(list("abcdefghij"))[labels]
    for seed in (0, 1):
        by_number, by_name = (train_val_split(y, 100, seed)[1] for y in (labels, names))
        np.testing.assert_array_equal(by_number, by_name)
    assert set(train_val_split(labels, 100, 0)[1]) != set(train_val_split(labels, 100, 1)[1])


def test_a_split_takes_each_example_equally_often():
    labels = np.repeat([0, 1], [5, 15])
    taken = np.zeros(20)
    for seed in range(400):
        taken[train_val_split(labels, 4, seed)[1]] += 1
    np.testing.assert_allclose(taken, 80, atol=5 * np.sqrt(400 * 0.2 * 0.8))  # five standard deviations


@pytest.mark.parametrize("val", [-1, 4, 1.0, 1.5, -0.1, True, float("nan"), "0.1", None])
def test_a_wrong_share_is_refused_with_the_right_ones(val):
    with pytest.raises(ValueError, match="expected a count from 0 to 3 or a fraction below"):
        train_val_split(np.zeros(4, int), val)


@pytest.mark.parametrize("labels", [np.zeros((4, 10)), np.zeros(0), 3])
def test_labels_must_be_a_row_with_something_in_it(labels):
    with pytest.raises(ValueError, match="labels of shape"):
        train_val_split(labels, 0.5)


def test_an_epoch_visits_every_example_once():
    for n in (0, 1, 2, 1000):
        assert sorted(epoch_order(n, 0, 0)) == list(range(n))


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    seventh = epoch_order(100, seed=5, epoch=7)
    np.random.seed(0)
    for epoch in range(7):
        epoch_order(100, seed=5, epoch=epoch)
    assert epoch_order(100, seed=5, epoch=7).tolist() == seventh.tolist()
    orders = {tuple(epoch_order(100, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_batches_of_two_epochs_hold_different_examples():
    first, second = ([set(batch) for batch in batches(epoch_order(1000, 0, epoch), 100)] for epoch in (0, 1))
    assert not any(batch in second for batch in first)


def test_no_other_use_of_the_seed_draws_the_numbers_of_an_epoch():
    for seed in range(3):
        children = np.random.SeedSequence(seed).spawn(20)
        others = [np.random.default_rng(source).permutation(50) for source in (seed, *children)]
        epochs = [epoch_order(50, seed, epoch) for epoch in range(20)]
        assert len({tuple(order) for order in (*others, *epochs)}) == 41


def test_batches_are_slices_of_the_order_and_the_last_may_be_short():
    order = np.array([4, 2, 0, 1, 3])
    parts = list(batches(order, 2))
    assert [part.tolist() for part in parts] == [[4, 2], [0, 1], [3]]
    assert all(np.shares_memory(part, order) for part in parts)
    assert [len(part) for part in batches(order, 5)] == [len(part) for part in batches(order, 99)] == [5]
    assert list(batches(order[:0], 2)) == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_at_least_one_example(size):
    with pytest.raises(ValueError, match="batch_size of at least 1"):
        batches(np.arange(3), size)
