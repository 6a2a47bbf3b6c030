"""Each word of the vocabulary means the same compiled and as its NumPy definition, on every instruction set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.compiled.jit.decorators import jit, readable
from scratchnet.compiled.simd import intrinsics as simd
from scratchnet.compiled.simd import target
from scratchnet.compiled.simd.intrinsics import (
    LANES,
    broadcast,
    compress_store,
    count,
    fma,
    lane_numbers,
    load,
    load_pairs,
    load_partial,
    load_row,
    load_row_partial,
    load_tile,
    load_tile_partial,
    maximum,
    minimum,
    narrow,
    offsets,
    outer_fma,
    select,
    store,
    store_partial,
    store_tile,
    store_tile_partial,
    table_offsets,
    to_float,
    to_int,
    widen,
    zero_tile,
)

ROWS, COLUMNS = (0, 1, 2), (0, LANES)
FLOATS = np.array([1.5, -2, 0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 3e38, 0.1, 7, -7, 2.25, 1, -1, 42], np.float32)


@jit
def arithmetic(a, b, out):
    x, y = load(a, 0), load(b, 1)
    store(out, 0 * LANES, x + y)
    store(out, 1 * LANES, x - 2.5 * y)
    store(out, 2 * LANES, x * y - 1)
    store(out, 3 * LANES, maximum(x, y))
    store(out, 4 * LANES, maximum(0, x))
    store(out, 5 * LANES, select(x > y, x, 0.0))
    store(out, 6 * LANES, select((x >= y) & (x == x), broadcast(np.float32(3)), y))
    store(out, 7 * LANES, select((x < 0) | (y <= 0), x, y))
    store(out, 8 * LANES, minimum(x, y))
    store(out, 9 * LANES, 1 / (x * x + 1.0) + x / y)


@jit
def whole_numbers(a, b, out, small):
    x, y = load(a, 0), widen(load(b, 0))
    store(out, 0, x + y * 3 - lane_numbers())
    store(out, LANES, select(x > y, x, y) & 12)
    store(out, 2 * LANES, select(x < y, 1, x) | broadcast(64))
    store(small, 0, narrow(x + y))
    out[3 * LANES] = count(x >= 0)


@jit
def conversions(a, at, out, cut):
    first, second = load_pairs(a, load(at, 0))
    store(out, 0, first)
    store(out, LANES, second + to_float(load(at, 0)))
    store(cut, 0, to_int(first))


@jit
def parts(a, out, at, n):
    store_partial(out, at, load_partial(a, 1, n), n)
    store_partial(out, at + LANES, load_partial(a, 1, n), LANES)


@jit
def chosen(a, keep, out):
    end = 1
    for i in range(0, a.size, LANES):
        end = compress_store(out, end, load(keep, i) > 0, load(a, i))
    return end


@jit
def tiles(a, table, out, width):
    rows = offsets(ROWS, 1, 2, 2 * LANES)
    tile = outer_fma(zero_tile(ROWS, COLUMNS), a, rows, 3, load_row(a, 5, COLUMNS))
    tile = outer_fma(tile, a, table_offsets(ROWS, 0, 2, table), 1, load_row_partial(a, 2, COLUMNS, width))
    tile = fma(tile, load_tile(a, offsets(ROWS, 0, 2, 7), 4, COLUMNS), maximum(0, tile) - 2 * load_row(a, 0, COLUMNS))
    tile = tile + load_tile_partial(a, offsets(ROWS, 0, 2, 3), 1, COLUMNS, width)
    store_tile(out, offsets(ROWS, 0, 2, 2 * LANES), 0, COLUMNS, tile)
    store_tile_partial(out, offsets(ROWS, 3, 5, 2 * LANES), 1, COLUMNS, tile, width)


def both(kernel, arguments):
    """The arguments after the compiled kernel, and after its NumPy definition, and what each returned."""
    copies = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments], list(map(np.copy, arguments))
    return [(run(*copy), copy) for run, copy in zip((kernel, readable(kernel)), copies, strict=True)]


def assert_same_meaning(kernel, *arguments):
    (compiled, after), (expected, wanted) = both(kernel, arguments)
    assert compiled == expected
    for got, want in zip(after, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=3e-6, atol=1e-4, equal_nan=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def check_words():
    rng = np.random.default_rng(0)
    a, b = np.resize(FLOATS, LANES + 1), np.resize(FLOATS[::-1], LANES + 1)
    with np.errstate(all="ignore"):
        assert_same_meaning(arithmetic, a, b, np.zeros(10 * LANES, np.float32))
    ints, small = rng.integers(-300, 300, LANES, dtype=np.int32), rng.integers(0, 256, LANES, dtype=np.uint8)
    assert_same_meaning(whole_numbers, ints, small, np.zeros(3 * LANES + 1, np.int32), np.zeros(LANES, np.uint8))
    numbers, places = (rng.normal(size=90) * 99).astype(np.float32), rng.integers(0, 89, LANES, dtype=np.int32)
    assert_same_meaning(conversions, numbers, places, np.zeros(2 * LANES, np.float32), np.zeros(LANES, np.int32))
    for n in (-1, 0, 1, LANES - 1, LANES, LANES + 5):
        assert_same_meaning(
            parts, rng.normal(size=(2, LANES)).astype(np.float32), np.full(4 * LANES, 9, np.float32), 3, n
        )
    numbers = rng.normal(size=12 * LANES).astype(np.float32)
    for width in (1, LANES, 2 * LANES - 1):
        assert_same_meaning(tiles, numbers, np.array([4, 0, 9], np.int32), np.zeros(14 * LANES, np.float32), width)


def test_words_mean_their_numpy_definition_on_this_instruction_set():
    check_words()


@given(st.lists(st.booleans(), min_size=3 * LANES, max_size=3 * LANES), st.sampled_from([np.float32, np.int32]))
def test_compress_keeps_the_chosen_lanes_in_order(keep, dtype):
    a = np.arange(1, 3 * LANES + 1).astype(dtype)
    out = np.zeros(4 * LANES + 1, dtype)
    end = chosen(a, np.array(keep, np.int32), out)
    assert end == 1 + sum(keep)
    assert out[1:end].tolist() == a[np.array(keep)].tolist()


def test_maximum_lets_nan_through_a_relu():
    out = np.zeros(10 * LANES, np.float32)
    arithmetic(np.full(LANES + 1, np.nan, np.float32), np.ones(LANES + 1, np.float32), out)
    assert np.isnan(out[4 * LANES : 5 * LANES]).all()


def test_a_vector_load_outside_its_count_touches_no_memory():
    """The last bytes before a page that may not be read."""
    mmap = pytest.importorskip("mmap")
    libc = pytest.importorskip("ctypes").CDLL(None)
    if not hasattr(libc, "mprotect"):
        pytest.skip("needs mprotect")
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    numbers = np.frombuffer(memory, np.float32)
    address = numbers.ctypes.data
    ctypes = __import__("ctypes")
    assert libc.mprotect(ctypes.c_void_p(address + page), ctypes.c_size_t(page), 0) == 0
    try:
        a = numbers[page // 4 - 4 : page // 4]
        a[:] = 1, 2, 3, 4
        out = np.zeros(3 * LANES, np.float32)
        parts(a, out, 0, 3)
    finally:
        libc.mprotect(ctypes.c_void_p(address + page), ctypes.c_size_t(page), 3)
    assert out[:4].tolist() == [2, 3, 4, 0]


@pytest.mark.parametrize(
    "triple, assembly, expected",
    [
        ("x86_64-unknown-linux-gnu", "vfmadd213ps %zmm2, %zmm1, %zmm0", (16, 32, True)),
        ("x86_64-pc-windows-msvc", "vfmadd213ps %ymm4, %ymm2, %ymm0", (8, 16, True)),
        ("x86_64-apple-darwin", "callq fmaf", (4, 16, False)),
        ("x86_64-unknown-linux-gnu", "vmovups %ymm0, 96(%rsp)\n callq *%rbx  # fmaf", (8, 16, False)),
        ("arm64-apple-darwin", "fmla.4s v19, v4, v0", (4, 32, True)),
        ("aarch64-unknown-linux-gnu", "fmla v17.4s, v4.4s, v0.4s", (4, 32, True)),
    ],
)
def test_registers_are_read_from_what_the_compiler_emits(triple, assembly, expected):
    assert target.registers_of(triple, assembly) == expected


def test_a_tile_fits_its_registers():
    assert len(target.ROWS) * len(target.PAIR) + len(target.PAIR) + 1 <= target.REGISTERS
    assert target.PAIR == (0, simd.LANES) and target.SINGLE == (0,)
