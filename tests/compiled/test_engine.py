"""The engine as a whole: the same bits on any number of threads, one model in many threads, bounded memory."""

import gc
import hashlib
import os
import threading

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.losses import SoftmaxCrossEntropy
from scratchnet.training import train_step


def network():
    """Convolutions with and without pool, BatchNorm, Dropout: everything that could depend on how a batch is cut."""
    return [
        sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.MaxPool2D(2),
        sn.Conv2D(16, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2),
        sn.Flatten(), sn.Dropout(0.4), sn.Dense(24), sn.ReLU(), sn.Dense(10),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (1000, 16, 16), np.uint8), rng.integers(0, 10, 1000)


def fingerprint(digits, threads, steps=50, batch=100, clip_norm=None):
    """SHA-256 of all parameters after some steps."""
    sn.set_threads(threads)
    x, y = digits
    model, optimizer = sn.Sequential(network(), (16, 16, 1), seed=3), sn.Adam(1e-3, clip_norm=clip_norm)
    for step in range(steps):
        rows = np.arange(step * batch, (step + 1) * batch) % len(x)
        train_step(model, SoftmaxCrossEntropy(), optimizer, x[rows], y[rows])
    digest = hashlib.sha256()
    for array in {**model.parameters(), **model.state()}.values():
        digest.update(array.tobytes())
    return digest.hexdigest()


def test_parameters_are_the_same_bits_for_any_number_of_threads(digits):
    one = fingerprint(digits, threads=1)
    assert {threads: fingerprint(digits, threads) for threads in (2, 3, 4, 8)} == dict.fromkeys((2, 3, 4, 8), one)


def test_clipped_gradients_give_the_same_bits_for_any_number_of_threads(digits):
    one = fingerprint(digits, threads=1, steps=10, clip_norm=0.1)
    assert one == fingerprint(digits, threads=3, steps=10, clip_norm=0.1) != fingerprint(digits, threads=3, steps=10)


def test_ten_repeats_give_the_same_bits(digits):
    assert len({fingerprint(digits, threads=2, steps=10) for _ in range(10)}) == 1


def test_a_meeting_of_more_chunks_than_threads_does_not_deadlock(digits):
    assert fingerprint(digits, threads=1, steps=2, batch=1000) == fingerprint(digits, threads=2, steps=2, batch=1000)


def test_sixteen_threads_may_predict_while_another_trains(digits):
    x, y = digits
    sn.set_threads(2)
    model = sn.Sequential(network(), (16, 16, 1), seed=1)
    expected = model.predict(x[:200])
    learner = sn.Sequential(network(), (16, 16, 1), seed=2)
    wrong, done = [], threading.Event()

    def ask():
        while not done.is_set():
            if not np.array_equal(model.predict(x[:200]), expected):
                wrong.append("another answer")

    askers = [threading.Thread(target=ask) for _ in range(16)]
    for asker in askers:
        asker.start()
    learner.fit(x, y, epochs=3, batch_size=100, verbose=False)
    done.set()
    for asker in askers:
        asker.join(timeout=60)
    assert not wrong and not any(asker.is_alive() for asker in askers)


def test_the_training_model_may_be_asked_while_it_trains(digits):
    x, y = digits
    model, answers, done = sn.Sequential(network(), (16, 16, 1)), [], threading.Event()

    def ask():
        while not done.is_set():
            answers.append(model.predict(x[:50]))

    asker = threading.Thread(target=ask)
    asker.start()
    model.fit(x, y, epochs=3, batch_size=100, verbose=False)
    done.set()
    asker.join(timeout=60)
    assert answers and all(np.isfinite(p).all() and np.allclose(p.sum(axis=1), 1, atol=1e-5) for p in answers)


def test_predictions_see_a_change_of_the_live_parameters(digits):
    model = sn.Sequential(network(), (16, 16, 1))
    before = model.predict(digits[0][:10])
    model.parameters()["1.conv2d.W"][...] *= -1
    assert not np.allclose(model.predict(digits[0][:10]), before)


def test_a_forward_pass_keeps_its_cache_while_others_run(digits):
    x = digits[0]
    model = sn.Sequential(network(), (16, 16, 1))
    logits, cache = model.forward_cached(x[:40], model.context(True, np.random.default_rng(0)))
    kept = logits.copy()
    model.forward_cached(x[40:80], model.context(True, np.random.default_rng(1)))
    model.predict(x)
    np.testing.assert_array_equal(logits, kept)
    dx, _ = model.backward(np.ones_like(logits), cache)
    again, cache = model.forward_cached(x[:40], model.context(True, np.random.default_rng(0)))
    np.testing.assert_array_equal(model.backward(np.ones_like(again), cache)[0], dx)


def test_resident_memory_does_not_grow_with_the_steps(digits):
    x, y = digits
    model, optimizer, loss = sn.Sequential(network(), (16, 16, 1)), sn.Adam(1e-3), SoftmaxCrossEntropy()

    def steps(count):
        for _ in range(count):
            train_step(model, loss, optimizer, x[:100], y[:100])
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("resident memory is read from /proc")
    before = steps(100)
    assert steps(400) - before < 5e6


def test_labels_out_of_range_are_an_error_and_not_a_read_beyond_the_logits(digits):
    model = sn.Sequential(network(), (16, 16, 1))
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.9"):
        train_step(model, SoftmaxCrossEntropy(), sn.Adam(), digits[0][:40], np.full(40, 10))


def test_inputs_that_are_read_only_or_not_contiguous_are_fine(digits):
    x = digits[0][:40]
    model = sn.Sequential(network(), (16, 16, 1))
    expected = model.predict(x)
    frozen = x.copy()
    frozen.flags.writeable = False
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]
    fortran = np.asfortranarray(x)
    for variant in (frozen, strided, fortran, x.astype(np.int64), x.astype(np.float64)):
        np.testing.assert_allclose(model.predict(variant), expected, atol=1e-6)


def test_training_on_this_instruction_set():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (120, 16, 16), np.uint8), rng.integers(0, 10, 120)
    losses = []
    for engine in ("numba", "numpy"):
        model, optimizer = sn.Sequential(network(), (16, 16, 1), engine=engine), sn.Adam(1e-3)
        losses.append([train_step(model, SoftmaxCrossEntropy(), optimizer, x, y) for _ in range(5)])
    np.testing.assert_allclose(*losses, rtol=1e-4)
