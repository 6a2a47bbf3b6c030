"""A captured prediction gives what the same layers give when called from Python, bit for bit, on present weights."""

import threading
from itertools import pairwise

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.compiled.execution.inference_program import InferenceProgram

LAYERS = {
    "norms": lambda: [sn.Conv2D(8, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.MaxPool2D(2), sn.Conv2D(17, 3),
                      sn.ReLU(), sn.Flatten(), sn.Dropout(0.5), sn.Dense(12), sn.BatchNorm(), sn.ReLU(), sn.Dense(7)],
    "cropping": lambda: [sn.Cropping2D(1), sn.Conv2D(16, 3), sn.MaxPool2D(3), sn.Cropping2D(1), sn.Flatten(),
                         sn.Dense(3)],
}  # fmt: skip


class Doubled(sn.layers.Layer):
    """A layer that no kernel knows."""

    def forward(self, x, ctx):
        return 2 * x, None


def model_of(layers, rescale=True):
    return sn.Sequential([*([sn.Rescale()] if rescale else []), *layers], (14, 14, 1), seed=5)


def images(n, dtype=np.uint8):
    return np.random.default_rng(n).integers(0, 256, (n, 14, 14)).astype(dtype)


def programs(model):
    """All captured predictions, by what they are for."""
    return model.backend.inference_programs


def logits(model, x, batch_size=256):
    return np.concatenate(model.map(x, batch_size, lambda part, found: found.copy()))


def step_by_step(model, x):
    """The inference stages, called one by one from Python on three images at a time."""
    parts = []
    for i in range(0, len(x), 3):
        y, ctx = model.check_input(x[i : i + 3]), model.backend.context()
        for stage in model.backend.inference_stages:
            y, _ = stage.forward(y, ctx)
        parts.append(y)
    return np.concatenate(parts)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_native_execution_gives_the_same_bits(layers, dtype):
    model = model_of(LAYERS[layers](), rescale=dtype == np.uint8)
    for n in (1, 5, 16, 17, 90):
        x = images(n, dtype)
        for threads in (1, 2, 5):
            sn.set_threads(threads)
            assert np.array_equal(logits(model, x, batch_size=7), step_by_step(model, x))
    sizes = {(size, threads) for _, size, threads in programs(model)}
    assert sizes == {(1, 1), (5, 1), (16, 1), (16, 2), (16, 5)}


def test_every_part_is_handed_over_once_with_its_own_logits():
    model, x = model_of(LAYERS["norms"]()), images(5000)
    parts = model.map(x, 300, lambda part, found: (part, found.copy()))
    assert [part for part, _ in parts] == [slice(i, min(i + 300, 5000)) for i in range(0, 5000, 300)]
    assert all(np.array_equal(found, step_by_step(model, x[part])) for part, found in parts[-2:])


@pytest.mark.parametrize("size", [0, -1])
def test_batches_of_nothing_are_refused(size):
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {size}"):
        model_of(LAYERS["norms"]()).predict(images(40), batch_size=size)


def test_images_that_cannot_be_written_to_are_read():
    model, x = model_of(LAYERS["norms"]()), images(40)
    expected = logits(model, x)
    x.setflags(write=False)
    assert np.array_equal(logits(model, x), expected)
    assert np.array_equal(logits(model, x[::2]), expected[::2])


def test_changed_weights_and_attributes_are_seen():
    model, x = model_of(LAYERS["norms"]()), images(40)
    seen = [logits(model, x)]
    model.parameters()["1.conv2d.W"][...] *= -1
    seen.append(logits(model, x))
    model.layers[3].running_mean = model.layers[3].running_mean + 1  # another array
    seen.append(logits(model, x))
    model.layers[10].epsilon = 2.0
    seen.append(logits(model, x))
    assert np.array_equal(seen[-1], step_by_step(model, x))
    assert all(not np.array_equal(a, b) for a, b in pairwise(seen))


def test_a_layer_without_kernels_runs_between_the_others():
    model, x = model_of([sn.Flatten(), Doubled(), sn.Dense(4)]), images(40)
    for threads in (1, 3):
        sn.set_threads(threads)
        assert np.array_equal(logits(model, x), step_by_step(model, x))


def test_a_single_image_is_not_computed_sixteen_times(monkeypatch):
    model, x = model_of(LAYERS["norms"]()), images(40)
    sizes, capture = [], InferenceProgram.__init__

    def watched(self, engine, dtype, size, threads):
        sizes.append(size)
        capture(self, engine, dtype, size, threads)

    monkeypatch.setattr(InferenceProgram, "__init__", watched)
    logits(model, x[:1])
    assert sizes == [1]


def test_callers_in_different_threads_do_not_disturb_each_other():
    model, answers = model_of(LAYERS["norms"]()), {}
    batches = {i: images(100 + i) for i in range(8)}
    expected = {i: step_by_step(model, x) for i, x in batches.items()}

    def ask(i):
        answers[i] = [logits(model, batches[i]) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found, expected[i]) for i in batches for found in answers[i])
