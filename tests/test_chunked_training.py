"""A batch in chunks, on several threads: the same step as in one piece, and the same bits on any number of them."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.plan import Plan
from scratchnet.team import Team
from scratchnet.training import train_step
from tests.deadlock import within


class InChunks(Plan):
    """The textbook's layers on chunks of three, by a team."""

    def __init__(self, model, threads):
        super().__init__(model)
        self.threads = threads

    def team(self):
        return Team(self.threads)

    def chunk_size(self, n):
        return 3


def after_three_steps(threads, dtype="float64"):
    """All arrays of a network with BatchNorm and Dropout after three steps on batches of 10."""
    rng = np.random.default_rng(0)
    model = sn.Sequential(
        [sn.Conv2D(3, 3), sn.BatchNorm(), sn.ReLU(), sn.Flatten(), sn.Dense(6), sn.BatchNorm(), sn.Dropout(0.3),
         sn.Dense(3)],
        input_shape=(6, 6, 1), engine="numpy", dtype=dtype,
    )  # fmt: skip
    if threads:
        model.plan = InChunks(model, threads)
    optimizer, losses = sn.Adam(0.01), []
    for _ in range(3):
        x, labels = rng.standard_normal((10, 6, 6, 1)), rng.integers(0, 3, 10)
        losses.append(train_step(model, sn.SoftmaxCrossEntropy(), optimizer, x, labels))
    return {**model.parameters(), **model.state(), "losses": np.array(losses)}


def test_batchnorm_sees_the_batch_and_not_its_chunk():
    whole, chunked = after_three_steps(0), within(60, lambda: after_three_steps(2))
    for name, array in whole.items():
        np.testing.assert_allclose(chunked[name], array, rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_in_chunks_is_the_same_to_the_last_bit_on_any_number_of_threads(dtype):
    on_one = within(60, lambda: after_three_steps(1, dtype))
    for threads in (2, 3, 8):
        on_many = within(60, lambda threads=threads: after_three_steps(threads, dtype))
        for name, array in on_one.items():
            np.testing.assert_array_equal(on_many[name], array, err_msg=f"{name} on {threads} threads")


def test_an_error_in_one_chunk_of_a_training_step_is_the_error_one_sees():
    class Fails(sn.Layer):
        def forward(self, x, ctx):
            if ctx.chunk.index == 2:
                raise FloatingPointError("in chunk 2")
            return x, None

        def backward(self, dy, cache):
            return dy, {}

    model = sn.Sequential([sn.BatchNorm(), Fails(), sn.Dense(2)], input_shape=(4,), engine="numpy")
    model.plan = InChunks(model, 2)
    step = lambda: train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(), np.ones((10, 4)), np.zeros(10, int))  # noqa: E731
    with pytest.raises(FloatingPointError, match="in chunk 2"):
        within(30, step)
