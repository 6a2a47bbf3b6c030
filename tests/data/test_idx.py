"""IDX files, against bytes put together by hand, and against everything that can be wrong with a file."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scratchnet.data.idx import DataFileError, MissingDataError, idx_sha256, read_idx, write_idx

FORMATS = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}  # struct's letters
DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
MNIST = os.environ.get("SCRATCHNET_DATA", "")


def header(code=8, *sizes):
    return bytes([0, 0, code, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@pytest.fixture
def refused(tmp_path):
    """A function that writes bytes to a file and expects a DataFileError that names it -> the message."""

    def refused(content, name="file.gz", **kwargs):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataFileError) as caught:
            read_idx(path, **kwargs)
        assert str(path) in str(caught.value)
        assert not isinstance(caught.value, MissingDataError)
        return str(caught.value)

    return refused


# What a good file holds


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("code", FORMATS)
def test_entries_are_big_endian_with_the_last_index_fastest(code, pack, tmp_path):
    values = [0, 1, 2, 100, 101, 127]
    (tmp_path / "a").write_bytes(pack(header(code, 2, 3) + struct.pack(">6" + FORMATS[code], *values)))
    array = read_idx(tmp_path / "a")
    assert array.tolist() == [values[:3], values[3:]]
    assert array.dtype == np.dtype(DTYPES[list(FORMATS).index(code)])
    assert array.dtype.isnative and array.flags.c_contiguous and array.flags.writeable


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(["", ".gz"]))
def test_what_is_written_is_what_is_read_bit_for_bit(folder, data, dtype, suffix):
    shape = array_shapes(min_dims=1, max_dims=6, min_side=0, max_side=4)
    array = data.draw(arrays(np.dtype(dtype), shape))  # with NaN and infinities
    write_idx(folder / f"a{suffix}", array)
    again = read_idx(folder / f"a{suffix}")
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_strides_and_byte_order_of_the_array_do_not_reach_the_file(tmp_path):
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    doubled = array.repeat(2, axis=2)
    for same in (array, np.asfortranarray(array), array.astype(">i4"), doubled[:, :, ::2]):
        write_idx(tmp_path / "a", same)
        assert (tmp_path / "a").read_bytes() == header(0x0C, 2, 3, 4) + struct.pack(">24i", *range(24))


def test_the_hash_of_an_array_is_the_hash_of_its_unpacked_file(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_idx(tmp_path / "a", array)
    assert idx_sha256(array) == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()


def test_packing_is_seen_in_the_content_and_not_in_the_name(tmp_path):
    (tmp_path / "raw.gz").write_bytes(header(8, 2) + b"ab")
    (tmp_path / "packed").write_bytes(gzip.compress(header(8, 2) + b"ab"))
    assert read_idx(tmp_path / "raw.gz").tolist() == read_idx(tmp_path / "packed").tolist() == [97, 98]


def test_the_same_array_gives_the_same_packed_bytes(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, np.arange(1000, dtype=np.int16))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes())[:8] == header(0x0B, 1000)


def test_rank_is_limited_only_by_numpy(tmp_path, refused):
    (tmp_path / "64").write_bytes(header(8, *[1] * 64) + b"x")
    assert read_idx(tmp_path / "64").shape == (1,) * 64
    for rank in (65, 255):
        assert f"rank {rank}" in refused(header(8, *[1] * rank) + b"x")


INEXPRESSIBLE = [np.int64([1]), np.array(["a"]), np.array([True]), np.uint16([1]), np.uint8(3)]


@pytest.mark.parametrize("array", INEXPRESSIBLE)
def test_what_idx_cannot_express_is_not_written(array, tmp_path):
    with pytest.raises(DataFileError, match="expected"):
        write_idx(tmp_path / "a", array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path(MNIST, "t10k-labels-idx1-ubyte.gz").is_file(), reason="needs SCRATCHNET_DATA")
def test_the_first_test_labels_of_mnist_are_known():
    assert read_idx(Path(MNIST, "t10k-labels-idx1-ubyte.gz"))[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


# What a bad file is told


def test_messages_say_what_was_expected_and_what_was_found(refused):
    assert "4 bytes of magic number, found 0" in refused(b"")
    assert "perhaps a web page" in refused(b"<!DOCTYPE html><html>404</html>")
    assert "0x0A" in refused(header(0x0A, 1) + b"x")
    assert "rank of at least 1" in refused(header(8) + b"x")
    assert "-1 among them" in refused(header(8, 2**32 - 1) + b"x")
    assert "8 bytes of sizes, found 5" in refused(header(8, 1, 1)[:9])
    assert "expected 11 bytes in all, as its header says, found 10" in refused(header(8, 3) + b"ab")
    assert "3 bytes of entries, found 2" in refused(gzip.compress(header(8, 3) + b"ab"))
    assert "at most 2 bytes" in refused(header(8, 3) + b"abc", max_bytes=2)


def test_a_missing_file_is_both_kinds_of_error(tmp_path):
    for kind in (MissingDataError, DataFileError, FileNotFoundError):
        with pytest.raises(kind, match=r"nothing.*there is no such file"):
            read_idx(tmp_path / "nothing")
