"""Layers that sum over the batch, in chunks on several threads: the same numbers as in one piece, on any number."""

import numpy as np
import pytest

pytest.importorskip("numba")

import scratchnet as sn
from scratchnet.training import train_step
from tests.deadlock import within


class OwnConv(sn.Conv2D):
    """The textbook's, run from Python: a subclass has no kernels."""


class OwnNorm(sn.BatchNorm):
    """Likewise; it waits for all chunks twice in each direction."""


class OwnDropout(sn.Dropout):
    """Likewise; it draws random numbers while the program runs."""


def after_three_steps(engine, threads, dtype="float32"):
    """All arrays of a network with BatchNorm and Dropout after three steps on batches of 100, and the losses."""
    sn.set_threads(threads)
    rng = np.random.default_rng(0)
    model = sn.Sequential(
        [OwnConv(3, 3), OwnNorm(), sn.ReLU(), sn.Dropout(0.2), sn.Flatten(), sn.Dense(6), OwnNorm(), OwnDropout(0.3),
         sn.Dropout(0.1), sn.Dense(3)],
        input_shape=(6, 6, 1), engine=engine, dtype=dtype,
    )  # fmt: skip
    optimizer, losses = sn.SGD(0.05), []
    for _ in range(3):
        x, labels = rng.standard_normal((100, 6, 6, 1)), rng.integers(0, 3, 100)
        losses.append(train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, labels))
    return {"losses": np.array(losses), **model.parameters(), **model.state()}


def test_a_step_in_chunks_is_the_step_in_one_piece():
    exact, got = after_three_steps("numpy", 1, "float64"), within(60, lambda: after_three_steps("numba", 2))
    for name in exact:
        np.testing.assert_allclose(got[name], exact[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_the_result_does_not_depend_on_the_number_of_threads(threads):
    one, many = after_three_steps("numba", 1), within(60, lambda: after_three_steps("numba", threads))
    for name in one:
        np.testing.assert_array_equal(one[name], many[name])


class Fails(sn.Layer):
    """Fails for the examples of one chunk, while the others wait in a BatchNorm."""

    def forward(self, x, ctx):
        if ctx.training and x.max() > 8:
            raise ArithmeticError("this chunk cannot be computed")
        return x, None

    def backward(self, dy, cache):
        return dy, {}


def test_an_error_in_one_chunk_ends_the_step_and_changes_nothing():
    model = sn.Sequential([OwnNorm(), Fails(), OwnNorm(), sn.Flatten(), sn.Dense(3)], (6, 6, 1))
    optimizer, x, labels = sn.Adam(), np.zeros((100, 6, 6, 1), np.float32), np.zeros(100, int)
    x[:, 0] = np.arange(100)[:, None, None] / 100
    train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, labels)
    before = {name: array.copy() for name, array in {**model.parameters(), **model.state()}.items()}
    x[70] = 1e6
    with pytest.raises(ArithmeticError, match="this chunk cannot be computed"):
        within(60, lambda: train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, labels))
    after = {**model.parameters(), **model.state()}
    assert optimizer.steps == 1 and all(np.array_equal(before[name], after[name]) for name in before)
