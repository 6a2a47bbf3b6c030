"""Where the four files are looked for, and what is said about their content.

The canonical files are too large to be made here, so their hashes are replaced by those of a small data set.
"""

import gzip
import hashlib
import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import download, mnist
from scratchnet.data.folder import FILES, find_file, load_idx_dataset
from scratchnet.data.idx import DataFileError, MissingDataError, write_idx
from scratchnet.data.mnist import data_folder, is_mnist, load_mnist

REAL = os.environ.get("SCRATCHNET_DATA", "")
RNG = np.random.default_rng(0)
SMALL = [
    RNG.integers(0, 256, (30, 28, 28), np.uint8),
    np.arange(30, dtype=np.uint8) % 10,
    RNG.integers(0, 256, (20, 28, 28), np.uint8),
    np.arange(20, dtype=np.uint8) % 10,
]


def spelled_out(array):
    """The IDX file of a uint8 array, put together by hand."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """A folder with the four files of SMALL, packed."""
    for name, array in zip(FILES, SMALL, strict=True):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(spelled_out(array)))
    return tmp_path


@pytest.fixture
def small_is_canonical(monkeypatch):
    hashes = [hashlib.sha256(spelled_out(array)).hexdigest() for array in SMALL]
    monkeypatch.setattr(mnist, "SHA256", dict(zip(FILES, hashes, strict=True)))


def assert_small(dataset):
    for array, expected in zip(itertools.chain(*dataset), SMALL, strict=True):
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, expected)


# Where


def test_the_argument_wins_over_the_variable_and_the_variable_over_the_cache(monkeypatch):
    monkeypatch.setattr(mnist, "cache_folder", lambda: Path("cache"))
    monkeypatch.setenv("SCRATCHNET_DATA", "variable")
    assert data_folder("argument") == Path("argument")
    assert data_folder() == Path("variable")
    monkeypatch.setenv("SCRATCHNET_DATA", "")
    assert data_folder() == Path("cache/mnist")
    monkeypatch.delenv("SCRATCHNET_DATA")
    assert data_folder() == Path("cache/mnist")


def test_a_tilde_is_the_home_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert data_folder("~/digits") == Path("/somewhere/digits")


def test_the_variable_is_where_load_mnist_looks(folder, monkeypatch, small_is_canonical):
    monkeypatch.setenv("SCRATCHNET_DATA", str(folder))
    assert_small(load_mnist(download=False))


@pytest.mark.parametrize("spelling", ["{}.gz", "{}", "dotted.gz", "dotted"])
def test_every_usual_name_of_a_file_is_found(spelling, tmp_path):
    name = "train-images-idx3-ubyte"
    spelling = spelling.replace("dotted", "train-images.idx3-ubyte").format(name)
    assert find_file(tmp_path, name) is None
    (tmp_path / spelling).write_bytes(b"")
    assert find_file(tmp_path, name) == tmp_path / spelling


def test_D1_packed_and_unpacked_files_mix_freely(tmp_path):
    for suffixes in itertools.product(["", ".gz"], repeat=4):
        data = tmp_path / "-".join(suffixes)
        data.mkdir()
        for name, array, suffix in zip(FILES, SMALL, suffixes, strict=True):
            write_idx(data / f"{name}{suffix}", array)
        assert_small(load_idx_dataset(data))


def test_files_that_are_there_are_neither_fetched_nor_touched(folder, monkeypatch, small_is_canonical):
    monkeypatch.setattr(download, "fetch_idx", lambda *_: pytest.fail("asked for a download"))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert_small(load_mnist(folder, download=True))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_missing_files_are_named_with_the_place_and_the_variable(folder):
    (folder / f"{FILES[1]}.gz").unlink()
    for load in (load_idx_dataset, lambda path: load_mnist(path, download=False)):
        with pytest.raises(MissingDataError, match=f"no {FILES[1]}[.]") as caught:
            load(folder)
        assert f"no {FILES[0]}" not in str(caught.value)
        assert str(folder) in str(caught.value) and "SCRATCHNET_DATA" in str(caught.value)
    with pytest.raises(MissingDataError):
        load_idx_dataset(folder / "nowhere")


# What


def test_canonical_content_is_taken_without_a_word(folder, recwarn, small_is_canonical):
    assert_small(load_mnist(folder))
    assert is_mnist(load_idx_dataset(folder))
    assert len(recwarn) == 0


def test_other_content_is_taken_with_a_warning_that_names_the_file(folder, small_is_canonical):
    write_idx(folder / f"{FILES[1]}.gz", SMALL[1][::-1])
    with pytest.warns(UserWarning, match="not the canonical MNIST") as caught:
        (_, y_train), _ = load_mnist(folder)
    assert FILES[1] in str(caught[0].message) and FILES[0] not in str(caught[0].message)
    assert caught[0].filename == __file__
    assert y_train.tolist() == SMALL[1][::-1].tolist()
    assert not is_mnist(load_idx_dataset(folder))


def test_a_damaged_file_is_an_error_that_names_it(folder):
    path = folder / f"{FILES[2]}.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataFileError, match=FILES[2]):
        load_mnist(folder)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        (0, SMALL[0][:29], "29 images and 30 labels"),
        (1, SMALL[1][:29], "30 images and 29 labels"),
        (0, SMALL[1], r"images of rank 3 or 4, found \(30,\)"),
        (1, SMALL[1].reshape(10, 3), r"integer labels of rank 1, found uint8 of shape \(10, 3\)"),
        (1, SMALL[1].astype(np.float32), "found float32"),
        (1, SMALL[1].astype(np.int8) - 1, "labels from 0, found -1"),
        (2, SMALL[2][:, :14], r"images of one shape, found \(28, 28\) for training and \(14, 28\)"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(file, array, message, folder):
    write_idx(folder / f"{FILES[file]}.gz", array)
    with pytest.raises(DataFileError, match=message):
        load_idx_dataset(folder)


def test_empty_files_are_no_data_set(folder):
    write_idx(folder / f"{FILES[2]}.gz", SMALL[2][:0])
    write_idx(folder / f"{FILES[3]}.gz", SMALL[3][:0])
    with pytest.raises(DataFileError, match="0 images and 0 labels"):
        load_idx_dataset(folder)


@pytest.mark.filterwarnings("ignore:.*first_label=1")
@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x[:, :, :27], y),
        lambda x, y: (x[..., None], y),
        lambda x, y: (x.astype(np.float32), y),
        lambda x, y: (x, y + 1),
    ],
)
def test_other_shapes_and_classes_are_for_load_idx_dataset_only(change, tmp_path):
    pairs = change(*SMALL[:2]), change(*SMALL[2:])
    for name, array in zip(FILES, itertools.chain(*pairs), strict=True):
        write_idx(tmp_path / name, array)
    for pair, expected in zip(load_idx_dataset(tmp_path), pairs, strict=True):
        np.testing.assert_array_equal(pair[0], expected[0])
        np.testing.assert_array_equal(pair[1], expected[1])
    with pytest.raises(DataFileError, match="Read other data with load_idx_dataset"):
        load_mnist(tmp_path)


@pytest.mark.skipif(find_file(Path(REAL), FILES[0]) is None, reason="needs SCRATCHNET_DATA")
def test_D1_mnist_is_mnist(recwarn):
    (x_train, y_train), (x_test, y_test) = load_mnist(REAL, download=False)
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (y_train[:3].tolist(), y_train[-3:].tolist()) == ([5, 0, 4], [5, 6, 8])
    assert (y_test[:5].tolist(), y_test[-3:].tolist()) == ([7, 2, 1, 0, 4], [4, 5, 6])
    assert x_train.mean(dtype=float) / 255 == pytest.approx(0.1307, abs=1e-4)
    assert len(recwarn) == 0  # not even one about the hashes
