"""Sets of numbers as bits, and the words that go with them: what the compiler makes of a word is its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.compiled.jit.decorators import jit, readable
from scratchnet.compiled.simd.bitset import bitmask, clear_lowest_bit, count_trailing_zeros
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    adjacent,
    element,
    load,
    load_tile,
    offsets,
    store_tile,
    transpose,
)

EACH = tuple(range(LANES))


@jit
def set_of(a, first):
    return bitmask(load(a, 0) > 0.0, first)


@jit
def members(numbers, found):
    n = 0
    while numbers != 0:
        found[n] = count_trailing_zeros(numbers)
        numbers = clear_lowest_bit(numbers)
        n += 1
    return n


@jit
def transposed(a, b):
    places = offsets(EACH, 0, LANES, LANES)
    store_tile(b, places, 0, (0,), transpose(load_tile(a, places, 0, (0,))))


@jit
def elements(a, i):
    return element(a, i)


@jit
def columns(numbers, last):
    return adjacent(numbers, last)


@given(st.lists(st.booleans(), min_size=LANES, max_size=LANES), st.sampled_from([0, LANES, 64 - LANES]))
def test_a_set_gives_back_the_lanes_it_was_made_of_in_order(chosen, first):
    a = np.where(chosen, np.float32(1), np.float32(-1))
    for make, take in ((set_of, members), (readable(set_of), readable(members))):
        found = np.zeros(64, np.int64)
        n = take(make(a, first), found)
        assert list(found[:n]) == [first + lane for lane in range(LANES) if chosen[lane]]


def test_the_highest_bit_is_a_member_like_any_other():
    found = np.zeros(2, np.int64)
    assert members(np.int64(np.iinfo(np.int64).min), found) == 1 and found[0] == 63


@pytest.mark.parametrize("run", [transposed, readable(transposed)])
def test_transpose_makes_rows_of_columns(run):
    a = np.arange(LANES * LANES, dtype=np.float32).reshape(LANES, LANES)
    b = np.empty_like(a)
    run(a, b)
    assert np.array_equal(b, a.T)


def test_elements_and_columns():
    a = np.array([[3, 4], [250, 6]], np.uint8)
    assert elements(a, 2) == readable(elements)(a, 2) == 250
    assert elements(np.array([0.5, -2], np.float32), 1) == -2
    for run in (columns, readable(columns)):
        assert run((5, 5, 5), 7) == (0, LANES, 7) and run((0,), 2) == (2,)
