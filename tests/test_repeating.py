"""The same again: a training is a function of its seed, its data and nothing else."""

import numpy as np
import pytest

import scratchnet as sn
from tests.test_training import fingerprint, network


def after_twenty_steps(stripes, engine="numpy", seed=0, augment=None):
    model = network(engine, seed)
    model.fit(*stripes, epochs=5, batch_size=20, optimizer=sn.Adam(1e-2), augment=augment, verbose=False)
    return fingerprint(model)


def test_the_same_seed_gives_the_same_bits_after_twenty_steps(engine, stripes):
    assert after_twenty_steps(stripes, engine) == after_twenty_steps(stripes, engine)
    assert after_twenty_steps(stripes, engine) != after_twenty_steps(stripes, engine, seed=1)


def test_the_number_of_threads_does_not_change_a_bit(stripes):
    pytest.importorskip("numba")
    results = set()
    for threads in (1, 2, 5):
        sn.set_threads(threads)
        results.add(after_twenty_steps(stripes, "numba"))
    assert len(results) == 1


def test_numpys_global_random_state_is_neither_used_nor_changed(stripes):
    np.random.seed(1)
    first = after_twenty_steps(stripes)
    state = np.random.get_state()[1].copy()
    np.random.seed(2)
    assert after_twenty_steps(stripes) == first
    np.random.seed(1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_one_hot_labels_train_the_same_bits(stripes):
    x, labels = stripes
    assert after_twenty_steps((x, np.eye(4)[labels])) == after_twenty_steps((x, labels))


def test_one_hot_labels_train_the_same_to_rounding(engine, stripes):
    x, labels = stripes
    histories = [
        network(engine).fit(x, y, epochs=2, batch_size=16, verbose=False)["training_loss"]
        for y in (labels, labels.astype(np.uint8), np.eye(4)[labels], np.eye(4, dtype=bool)[labels])
    ]
    for history in histories[1:]:
        assert history == pytest.approx(histories[0], rel=1e-4)


def test_augmentation_repeats_and_changes_the_training(stripes):
    def noisy(images, rng):
        return images * (0.5 + rng.random(images.shape)).astype(np.float32)

    assert after_twenty_steps(stripes, augment=noisy) == after_twenty_steps(stripes, augment=noisy)
    assert after_twenty_steps(stripes, augment=noisy) != after_twenty_steps(stripes)


def test_the_data_set_is_left_as_it_was(engine, stripes):
    x, labels = stripes[0].copy(), stripes[1].copy()
    x.flags.writeable = labels.flags.writeable = False
    network(engine).fit(x, labels, batch_size=32, verbose=False)
    np.testing.assert_array_equal(x, stripes[0])
