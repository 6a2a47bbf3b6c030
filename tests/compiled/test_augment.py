"""The compiled augmentation is the textbook's, on any number of threads."""

import numpy as np
import pytest

pytest.importorskip("numba")

import scratchnet as sn
from scratchnet.compiled.jit.decorators import readable
from scratchnet.compiled.training import augment as kernels
from scratchnet.compiled.training.augment import CompiledAugment, is_compiled
from scratchnet.data.augment import Augment
from scratchnet.randomness import ExampleRandom
from tests.data.test_augment import EACH, EVERYTHING


def compiled(augment, images, rng):
    """The images as the compiled Augment changes them."""
    assert is_compiled(augment, images)
    return CompiledAugment(augment).changed(images, rng)


CASES = {**EACH, "everything": EVERYTHING, "light": Augment.light(), "digits": Augment.digits()}
each_case = pytest.mark.parametrize("name", CASES)
shapes = pytest.mark.parametrize("shape", [(28, 28), (17, 12, 1), (9, 21, 3), (1, 1), (2, 40)], ids=str)


@shapes
@each_case
def test_the_kernel_rounds_what_the_textbook_computes(name, shape, rng):
    augment, images = CASES[name], rng.integers(0, 256, (40, *shape), np.uint8)
    got = compiled(augment, images, ExampleRandom(2, 5, first=3))
    exact = augment(images.astype(np.float64), ExampleRandom(2, 5, first=3)).clip(0, 255)
    assert got.dtype == np.uint8 and got.shape == images.shape
    # Half a grey level for the rounding; the kernel computes in float32, the textbook in float64.
    np.testing.assert_allclose(got, exact, rtol=0, atol=0.5 + 0.02)


@each_case
def test_kernel_and_textbook_differ_only_where_the_value_lies_between_two_grey_levels(name, rng):
    augment, images = CASES[name], rng.integers(0, 256, (100, 28, 28), np.uint8)
    exact = augment(images.astype(np.float64), ExampleRandom(0, 0))
    differ = compiled(augment, images, ExampleRandom(0, 0)) != augment(images, ExampleRandom(0, 0))
    assert np.abs(exact[differ] % 1 - 0.5).max(initial=0) < 0.02
    assert differ.mean() < 1e-3


@pytest.mark.filterwarnings("ignore:overflow")
def test_the_kernel_as_plain_python_gives_the_same_images(rng, monkeypatch):
    images = rng.integers(0, 256, (2, 6, 5, 2), np.uint8)
    native = compiled(EVERYTHING, images, ExampleRandom(0, 0))
    monkeypatch.setattr(kernels, "change", readable(kernels.change))
    plain = compiled(EVERYTHING, images, ExampleRandom(0, 0))
    assert np.abs(native.astype(int) - plain).max() <= 1  # the compiler may fuse a · b + c


@pytest.mark.parametrize("size", [1, 7, 32, 50])
def test_the_chunk_does_not_change_a_bit(size, rng):
    images = rng.integers(0, 256, (50, 14, 14), np.uint8)
    parts = [compiled(EVERYTHING, images[i : i + size], ExampleRandom(0, 1, first=i)) for i in range(0, 50, size)]
    np.testing.assert_array_equal(np.concatenate(parts), compiled(EVERYTHING, images, ExampleRandom(0, 1)))


def test_any_number_of_threads_trains_the_same_bits_with_augmentation(rng):
    x, y = rng.integers(0, 256, (150, 12, 12), np.uint8), rng.integers(0, 4, 150)
    results = set()
    for threads in (1, 2, 3):
        sn.set_threads(threads)
        model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dropout(0.2), sn.Dense(4)], (12, 12, 1), seed=1)
        model.fit(x, y, epochs=2, batch_size=100, augment=EVERYTHING, verbose=False)
        results.add(b"".join(array.tobytes() for array in model.parameters().values()))
    assert len(results) == 1


def test_both_engines_train_on_the_same_images(rng, monkeypatch):
    x, y, seen = rng.integers(0, 256, (40, 12, 12), np.uint8), rng.integers(0, 4, 40), {}

    class Watch(sn.Layer):
        """Keeps what it is shown in training."""

        def __init__(self, shown):
            self.shown = shown

        def forward(self, x, ctx):
            if ctx.training:
                self.shown.append(x.copy())
            return x, None

        def backward(self, dy, cache):
            return dy, {}

    for engine in ("numpy", "numba"):
        shown = []
        model = sn.Sequential([sn.Rescale(1), Watch(shown), sn.Flatten(), sn.Dense(4)], (12, 12, 1), engine=engine)
        model.fit(x, y, batch_size=16, augment=EVERYTHING, verbose=False)
        seen[engine] = shown
    assert all(np.abs(a - b).max() <= 1 for a, b in zip(seen["numpy"][-2:], seen["numba"][-2:], strict=True))


def test_floats_and_functions_and_subclasses_of_a_user_are_the_textbooks(rng):
    class Mine(Augment):
        """Does something else."""

    images = rng.integers(0, 256, (5, 8, 8, 1), np.uint8)
    assert not is_compiled(EVERYTHING, images.astype(np.float32))
    assert not is_compiled(Mine(), images) and not is_compiled(lambda images, rng: images, images)
    assert not is_compiled(None, images)
    engine = sn.Sequential([sn.Flatten(), sn.Dense(2)], (8, 8, 1)).backend
    floats = rng.random((5, 8, 8, 1), np.float32)
    expected = EVERYTHING(floats, ExampleRandom(0, 0))
    got = engine.augmented(EVERYTHING, floats, ExampleRandom(0, 0))
    np.testing.assert_array_equal(got, expected.astype(np.float32))
