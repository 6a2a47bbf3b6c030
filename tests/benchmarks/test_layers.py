"""What layers.py counts: FLOPs and bytes by the definition, and the least time that a roofline allows for them."""

import numpy as np
import pytest

pytest.importorskip("numba")
import layers
from roofline import Roofline, multiply_adds, triad

import scratchnet as sn
from scratchnet.compiled.jit import readable
from scratchnet.compiled.target import LANES


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


def test_the_steps_of_a_plan_cover_every_layer_once():
    model = chollet_begins()
    assert [i for run in layers.runs_of_layers(model) for i in run] == list(range(len(model.layers)))


def test_a_stopwatch_around_a_step_changes_nothing_and_counts_both_directions():
    class Twice:
        def forward(self, x, ctx):
            return 2 * x, "cache"

        def backward(self, dy, cache):
            return (dy, cache), {}

    timed = layers.Timed(Twice())
    assert timed.forward(3, None) == (6, "cache") and timed.backward(4, "c") == ((4, "c"), {})
    assert len(timed.seconds["forward"]) == len(timed.seconds["backward"]) == 1
    assert timed.lap("forward") >= 0 and timed.lap("forward") == 0


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
