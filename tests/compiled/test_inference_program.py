"""A captured prediction gives what the same layers give when called from Python, bit for bit, on present weights.

A few images (FEW at most) may be computed by other kernels than many; the difference is one of rounding.
"""

import threading
from itertools import pairwise

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.compiled.execution.engine import FEW, WORTH_A_THREAD
from scratchnet.compiled.execution.inference_program import CHUNK, InferenceProgram
from scratchnet.compiled.execution.packing import HASHES, Packing
from scratchnet.compiled.layers.inference import for_inference
from scratchnet.team import shared_team
from scratchnet.zoo import PRESETS

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
    """The inference stages, called one by one from Python on as many images at a time as a thread gets."""
    parts, few = [], len(x) <= FEW
    size = min(CHUNK, -(-len(x) // shared_team().threads)) if len(x) >= WORTH_A_THREAD else 1
    stages = for_inference(model.backend.stages, size, few)
    for i in range(0, len(x), size):
        y, ctx = model.check_input(x[i : i + size]), model.backend.context()
        for stage in stages:
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
    assert {(size, threads) for _, size, threads, few, _ in programs(model) if not few} == {(16, 1), (16, 2), (16, 5)}
    assert {size for _, size, _, few, _ in programs(model) if few} == {1, 3, 4, 5, 8, 9, 16}


def test_the_number_of_threads_changes_no_bit_of_many_images():
    model, x = model_of(LAYERS["norms"]()), images(90)
    answers = []
    for threads in (1, 2, 5):
        sn.set_threads(threads)
        answers.append(logits(model, x))
    assert np.array_equal(answers[0], answers[1]) and np.array_equal(answers[0], answers[2])


@pytest.mark.parametrize("preset", ["two-conv", "chollet", "pyramid", "vgg-bn", "default", "lenet5"])
def test_a_few_images_are_predicted_like_many(preset):
    model = PRESETS[preset](10).build((28, 28, 1))
    x = np.random.default_rng(0).integers(0, 256, (FEW + 1, 28, 28), np.uint8)
    expected = logits(model, x)
    for n in (1, 2, 3, 7, 16, 33, FEW):
        np.testing.assert_allclose(logits(model, x[:n]), expected[:n], rtol=0, atol=2e-5 * np.abs(expected).max())


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


class Watched(sn.layers.Layer):
    """What `Packing` asks of a compiled layer, for one array."""

    params = ("W",)

    def __init__(self, W):
        self.W, self.layers, self.packed = W, [self], 0

    def pack(self, call, packed, backward):
        self.packed += 1


@pytest.mark.parametrize("size", [1, HASHES - 1, HASHES, 5 * HASHES + 3])
def test_one_changed_bit_anywhere_is_noticed_and_nothing_else(size, rng):
    W = rng.normal(size=size).astype(np.float32)
    packing = Packing({(Watched(W), False): None})

    def changed():
        for call in packing.calls:
            call.run()
        found, packing.changed[0] = bool(packing.changed[0]), 0
        return found

    assert changed() and not changed()
    for i in rng.permutation(size)[:40]:
        before = W[i]
        W.view(np.uint32)[i] ^= np.uint32(1 << rng.integers(32))
        assert changed() and not changed()
        W[i] = before
        assert changed() and not changed()


def test_exchanged_rows_and_columns_are_noticed(rng):
    W = np.round(rng.normal(size=(8, HASHES)), 1).astype(np.float32)
    packing = Packing({(Watched(W), False): None})
    for _ in range(100):
        for exchange in (W, W.T):
            i, k = rng.choice(8, 2, replace=False)
            exchange[[i, k]] = exchange[[k, i]]
            for call in packing.calls:
                call.run()
            assert packing.changed[0]
            packing.changed[0] = 0


def test_weights_are_packed_again_only_when_they_have_changed(monkeypatch):
    model, x = model_of(LAYERS["norms"]()), images(3)
    packed, pack = [], Packing.pack
    monkeypatch.setattr(Packing, "pack", lambda self: (packed.append(1), pack(self)))
    logits(model, x)
    packed.clear()
    logits(model, x)
    assert not packed
    model.parameters()["1.conv2d.W"][0, 0, 0, 0] += 1
    logits(model, x)
    assert packed == [1]


def test_a_layer_without_kernels_runs_between_the_others():
    model, x = model_of([sn.Flatten(), Doubled(), sn.Dense(4)]), images(40)
    for threads in (1, 3):
        sn.set_threads(threads)
        assert np.array_equal(logits(model, x), step_by_step(model, x))


def test_a_single_image_is_not_computed_sixteen_times(monkeypatch):
    model, x = model_of(LAYERS["norms"]()), images(40)
    sizes, capture = [], InferenceProgram.__init__

    def watched(self, engine, dtype, size, *others):
        sizes.append(size)
        capture(self, engine, dtype, size, *others)

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
