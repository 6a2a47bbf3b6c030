"""Schedules at their landmarks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet import Adam, Constant, Cosine, OneCycle, StepDecay, WarmUp

steps = st.integers(1, 500)
any_step = st.integers(0, 1000)


@given(any_step)
def test_constant_is(step):
    assert Constant(0.3)(step) == 0.3


def test_step_decay_is_a_staircase():
    schedule = StepDecay(0.8, every=10, factor=0.5)
    assert [schedule(step) for step in (0, 9, 10, 19, 20, 35)] == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.1])


def test_cosine_at_start_quarter_middle_end_and_after():
    schedule = Cosine(1.0, steps=100, final=0.2)
    quarter = 0.2 + 0.8 * (1 + 2**-0.5) / 2
    landmarks = [schedule(step) for step in (0, 25, 50, 100, 5000)]
    assert landmarks == pytest.approx([1.0, quarter, 0.6, 0.2, 0.2])


@given(steps, any_step)
def test_cosine_never_rises(n, step):
    schedule = Cosine(1.0, n)
    assert 0 <= schedule(step + 1) <= schedule(step) <= 1


def test_one_cycle_at_its_landmarks():
    schedule = OneCycle(peak=1.0, steps=100, rise=0.3, start_divisor=25, end_divisor=1e4)
    halfway_up, halfway_down = (0.04 + 1) / 2, (1e-4 + 1) / 2
    landmarks = [schedule(step) for step in (0, 15, 30, 65, 100, 200)]
    assert landmarks == pytest.approx([0.04, halfway_up, 1.0, halfway_down, 1e-4, 1e-4])


@given(steps, st.floats(0, 1), any_step)
def test_one_cycle_rises_to_its_peak_and_then_falls(n, rise, step):
    schedule = OneCycle(1.0, n, rise)
    assert 1e-4 * 0.999 <= schedule(step) <= 1
    if step + 1 <= rise * n:
        assert schedule(step) <= schedule(step + 1)
    elif step >= rise * n:
        assert schedule(step) >= schedule(step + 1)


def test_one_cycle_without_a_rise_begins_at_the_peak():
    assert OneCycle(0.1, steps=10, rise=0)(0) == 0.1


def test_one_cycle_that_only_rises_reaches_the_peak_at_the_end():
    assert OneCycle(0.1, steps=10, rise=1)(10) == pytest.approx(0.1)


def test_warm_up_rises_in_a_straight_line_and_then_hands_over():
    schedule = WarmUp(StepDecay(1.0, every=3, factor=0.1), steps=4)
    expected = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 0.1]
    assert [schedule(step) for step in range(8)] == pytest.approx(expected)


def test_no_warm_up_is_the_schedule_itself():
    assert [WarmUp(Cosine(1.0, 10), 0)(step) for step in range(12)] == [Cosine(1.0, 10)(step) for step in range(12)]


def test_schedules_can_be_compared_and_printed():
    assert Cosine(0.1, 10) == Cosine(0.1, 10) != Cosine(0.1, 11)
    assert repr(WarmUp(Constant(0.1), 5)) == "WarmUp(schedule=Constant(lr=0.1), steps=5)"


def test_any_function_of_the_step_will_do():
    assert Adam(lambda step: 1 / (step + 1)).learning_rate() == 1.0
