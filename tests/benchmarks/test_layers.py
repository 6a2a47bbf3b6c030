"""What layers.py counts: FLOPs and bytes by the definition, and the least time that a roofline allows for them."""

import numpy as np
import pytest

pytest.importorskip("numba")
import layers
from roofline import Roofline, multiply_adds, triad

import scratchnet as sn
from scratchnet.compiled.jit.decorators import readable
from scratchnet.compiled.simd.target import LANES
from scratchnet.training import train_step


def chollet_begins():
    return sn.Sequential(
        [sn.Rescale(), sn.Conv2D(32, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(64, 3), sn.ReLU()], (28, 28, 1)
    )


def test_a_convolutions_flops_are_two_for_each_weight_at_each_position_of_each_image():
    work = layers.work(chollet_begins(), [4, 5], batch=10)
    flops = 2 * 10 * 11 * 11 * (3 * 3 * 32) * 64
    assert work["forward"].flops == flops
    assert work["backward"].flops == 2 * flops  # dW and dx


def test_the_first_layer_that_learns_makes_no_gradient_of_the_images():
    work = layers.work(chollet_begins(), [1, 2, 3], batch=10)
    assert work["backward"].flops == work["forward"].flops


def test_the_bytes_are_those_that_come_in_and_go_out():
    work = layers.work(chollet_begins(), [4, 5], batch=10)
    x, y, W = 10 * 13 * 13 * 32 * 4, 10 * 11 * 11 * 64 * 4, (9 * 32 * 64 + 64) * 4
    assert work["forward"].bytes == x + W + y
    assert work["backward"].bytes == (x + W + y) + (x + W)  # and dx, dW go out
    assert layers.work(chollet_begins(), [0], 10)["forward"].bytes == 10 * 28 * 28 * (1 + 4)  # images are bytes


def test_the_slower_of_arithmetic_and_memory_is_the_bound():
    roof = Roofline(threads=1, peak=100.0, bandwidth=10.0)
    assert (roof.seconds(1000, 1), roof.bound(1000, 1)) == (10.0, "arithmetic")
    assert (roof.seconds(1000, 200), roof.bound(1000, 200)) == (20.0, "memory")


def test_the_stages_of_an_engine_cover_every_layer_once():
    model = chollet_begins()
    assert [i for run in layers.runs_of_layers(model) for i in run] == list(range(len(model.layers)))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_stopwatch_around_a_stage_changes_nothing_and_counts_both_directions(engine, rng):
    x, y = rng.integers(0, 256, (64, 28, 28), np.uint8), rng.integers(0, 5, 64)
    found = []
    for watched in (False, True):
        kinds = [sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.Flatten(), sn.Dense(5)]
        model = sn.Sequential(kinds, (28, 28, 1), engine=engine)
        if watched:
            timed = [layers.Timed(stage.op) for stage in model.backend.stages]
            stages = [stage._replace(op=op) for stage, op in zip(model.backend.stages, timed, strict=True)]
            model.backend.stages = stages
        train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(0.1), x, y)
        found.append(b"".join(array.tobytes() for array in model.parameters().values()))
    assert found[0] == found[1]
    assert all(one.lap("forward") > 0 and one.lap("forward") == 0 for one in timed[1:])
    assert timed[-1].lap("backward") > 0


def test_the_rooflines_kernels_do_the_work_that_is_counted():
    tile = np.linspace(-3, 3, layers.measure.__globals__["TILE"], dtype=np.float32)
    expected = tile.copy()
    readable(multiply_adds)(tile, 3)
    for _ in range(3):
        expected = expected * np.float32(0.5) + 1
    np.testing.assert_allclose(tile, expected, rtol=1e-6)
    a, b, c = (np.arange(2 * LANES, dtype=np.float32) + k for k in range(3))
    readable(triad)(a, b, c, 0.5)
    np.testing.assert_array_equal(a, b + np.float32(0.5) * c)
