"""Random numbers that depend on the example and the step, and on nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.randomness import ExampleRandom, mix, stream_key


def splitmix64(state: int, count: int) -> list[int]:
    """The published algorithm in Python's unbounded integers, cut to 64 bits by hand."""
    mask, out = 2**64 - 1, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out.append(z ^ (z >> 31))
    return out


def test_mix_is_splitmix64():
    states = np.array([(k * 0x9E3779B97F4A7C15) % 2**64 for k in range(1, 6)], np.uint64)
    assert mix(states).tolist() == splitmix64(0, 5)


def test_splitmix64_begins_with_the_number_that_others_published():
    assert splitmix64(0, 1) == [0xE220A8397B1DCDAF]


@given(st.integers(0, 2**63), st.integers(0, 10_000), st.integers(0, 20), st.integers(1, 20))
def test_a_part_of_the_batch_sees_its_part_of_the_numbers(seed, step, first, n):
    whole = ExampleRandom(seed, step)
    part = ExampleRandom(seed, step, first=first)
    for shape in ((2, 3), (), (4,)):  # three draws, of different sizes
        np.testing.assert_array_equal(whole.random((first + n, *shape))[first:], part.random((n, *shape)))


def test_seed_step_draw_example_and_position_each_change_the_number():
    base = ExampleRandom(0, 0).random((2, 2))
    again = ExampleRandom(0, 0)
    again.random((2, 2))
    for other in (ExampleRandom(1, 0).random((2, 2)), ExampleRandom(0, 1).random((2, 2)), again.random((2, 2))):
        assert not (other == base).any()
    assert len(np.unique(base)) == 4


def test_numbers_are_uniform_and_below_one():
    u = ExampleRandom(0, 0).random((1000, 100)).ravel()
    assert u.dtype == np.float64 and u.min() >= 0 and u.max() < 1
    counts, _ = np.histogram(u, bins=20, range=(0, 1))
    chi_squared = ((counts - 5000) ** 2 / 5000).sum()
    assert chi_squared < 50  # 19 degrees of freedom: exceeded once in 10,000


def test_neighbours_are_not_correlated():
    u = ExampleRandom(0, 0).random((500, 200)) - 0.5
    for a, b in ((u[1:], u[:-1]), (u[:, 1:], u[:, :-1]), (u, ExampleRandom(0, 1).random(u.shape) - 0.5)):
        assert abs((a * b).mean() * 12) < 6 / np.sqrt(a.size)


def test_normal_numbers_have_mean_zero_variance_one_and_thin_tails():
    z = ExampleRandom(3, 1).standard_normal((1000, 100))
    assert abs(z.mean()) < 0.02 and z.var() == pytest.approx(1, abs=0.03)
    assert (np.abs(z) > 2).mean() == pytest.approx(0.0455, abs=0.005)
    assert np.isfinite(z).all()


def test_a_key_depends_on_every_number_and_on_their_order():
    keys = {int(stream_key(*numbers)) for numbers in ((0, 0), (0, 1), (1, 0), (0,), (0, 0, 0), (2**64 - 1, 0))}
    assert len(keys) == 6


def test_no_examples_give_no_numbers():
    assert ExampleRandom(0, 0).random((0, 3)).shape == (0, 3)
