"""NumPy's archives: what is read, and what a forged or damaged one can do, which is to be refused."""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.data import load_npz_dataset
from scratchnet.data.idx import DataFileError, MissingDataError

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (12, 5, 5), np.uint8), (np.arange(12) % 3).astype(np.uint8)
ARRAYS = {"x_train": X, "y_train": Y, "x_test": X[:4], "y_test": Y[:4]}


def npy(array):
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def archive(path, members, packing=zipfile.ZIP_DEFLATED):
    """A zip archive of these members; an array is written as an .npy file."""
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return path


def forged(shape, descr="|u1", content=b"\0" * 25):
    """An .npy file whose header claims another shape than its content has."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


# What is read


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_to_the_last_bit(save, tmp_path):
    save(tmp_path / "mnist.npz", **ARRAYS)
    (x_train, y_train), (x_test, y_test) = load_npz_dataset(tmp_path / "mnist.npz")
    for array, expected in zip((x_train, y_train, x_test, y_test), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8 and array.flags.writeable and array.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, ">i4", np.float32])
def test_whole_numbers_of_any_type_become_bytes(dtype, tmp_path):
    changed = {name: np.asfortranarray(array.astype(dtype)) for name, array in ARRAYS.items()}
    (x_train, y_train), _ = load_npz_dataset(archive(tmp_path / "a.npz", changed))
    np.testing.assert_array_equal(x_train, X)
    assert x_train.dtype == y_train.dtype == np.uint8 and y_train.tolist() == Y.tolist()


def test_labels_of_one_column_become_a_row_and_large_ones_keep_their_value(tmp_path):
    columns = {**ARRAYS, "y_train": Y[:, None].astype(np.int64) * 200, "y_test": Y[:4, None]}
    (_, y_train), (_, y_test) = load_npz_dataset(archive(tmp_path / "a.npz", columns))
    assert y_train.tolist() == (Y.astype(int) * 200).tolist() and y_test.tolist() == Y[:4].tolist()


def test_other_arrays_beside_the_four_are_not_looked_at(tmp_path):
    load_npz_dataset(archive(tmp_path / "a.npz", {**ARRAYS, "more": forged((10**12,))}))


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": None}, "x_test are missing among 'x_train, y_train, y_test'"),
        ({"x_train": X / 255}, "whole numbers from 0 to 255, found float64 from 0 to 1. Scale them"),
        ({"x_train": X.astype(int) - 1}, "found int64 from -1 to"),
        ({"x_train": np.where(X < 9, np.nan, X)}, "found float64 from nan"),
        ({"x_train": X.reshape(12, 25)}, r"images of rank 3 or 4, found \(12, 25\)"),
        ({"y_train": Y / 2}, "integer labels of rank 1, found float64"),
        ({"y_train": Y[:11]}, "12 images and 11 labels"),
        ({"x_test": X[:4, 1:]}, r"images of one shape, found \(5, 5\) for training and \(4, 5\)"),
        ({"y_train": np.array(list("abcabcabcabc"))}, "expected numbers, found <U1"),
        ({"x_train": forged((12,), "|O")}, "Objects are not read"),
        ({"x_train": forged((10**15, 28, 28))}, r"expected 784000000000000000 bytes of uint8 \(10.*, found 25"),
        ({"x_train": forged((1, 5, 4))}, "expected 20 bytes of uint8"),
        ({"x_train": b"hello"}, "a.npz: expected an .npz file, found damage"),
        ({"x_train": b""}, "found damage"),
        ({"x_train": b"\x93NUMPY\x03\x00" + b" " * 50}, "version 1 or 2 of the .npy format"),
    ],
)
def test_an_archive_of_something_else_is_refused_with_the_cure(change, message, tmp_path):
    members = {name: content for name, content in {**ARRAYS, **change}.items() if content is not None}
    with pytest.raises(DataFileError, match=message):
        load_npz_dataset(archive(tmp_path / "a.npz", members))


def test_a_claimed_size_takes_no_memory(tmp_path):
    path = archive(tmp_path / "a.npz", {**ARRAYS, "x_train": forged((2**31, 28, 28))})
    tracemalloc.start()
    with pytest.raises(DataFileError):
        load_npz_dataset(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path):
    zeros = forged((300_000, 28, 28), content=bytes(300_000 * 784))  # 235 MB, packed 0.23 MB
    path = archive(tmp_path / "a.npz", {**ARRAYS, "x_train": zeros})
    del zeros
    tracemalloc.start()
    with pytest.raises(DataFileError, match="less than pictures or labels need"):
        load_npz_dataset(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_packings_that_numpy_does_not_write_are_refused(tmp_path):
    with pytest.raises(DataFileError, match="another packing"):
        load_npz_dataset(archive(tmp_path / "a.npz", ARRAYS, zipfile.ZIP_LZMA))


def test_what_is_not_a_regular_file_is_told_by_its_name(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind, message in [
        (tmp_path, DataFileError, "a directory or a device"),
        (tmp_path / "pipe", DataFileError, "a directory or a device"),
        (tmp_path / "none.npz", MissingDataError, "no such file"),
    ]:
        with pytest.raises(kind, match=message):
            load_npz_dataset(path)


@given(st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(tmp_path_factory, data):
    path = archive(tmp_path_factory.mktemp("npz") / "a.npz", ARRAYS)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        (x, y), (x_test, y_test) = load_npz_dataset(path)
    except DataFileError:
        return
    for array, expected in zip((x, y, x_test, y_test), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(array, expected)


@given(st.data())
def test_a_file_that_is_cut_off_is_refused(tmp_path_factory, data):
    path = archive(tmp_path_factory.mktemp("npz") / "a.npz", ARRAYS)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DataFileError):
        load_npz_dataset(path)
