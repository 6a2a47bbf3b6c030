"""Wherever an unpacker put the four files, and whatever it called them, they are found; or the choice is left open."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import load_idx_dataset, write_idx
from scratchnet.data.idx import DataFileError, MissingDataError
from scratchnet.data.locate import FILES, find_file, locate


def write(folder, spell, seed=0):
    """Four small IDX files in a folder, called spell(part, what); the labels say which set it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        part, what, rank = name.split("-")[:3]
        array = np.zeros((4, 3, 3), np.uint8) if what == "images" else np.full(4, seed, np.uint8)
        path = folder / spell(part, what, rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_idx(path, array)


def set_number(folder):
    """Which set load_idx_dataset took."""
    return int(load_idx_dataset(folder)[0][1][0])


@pytest.mark.parametrize("spelling", [
    "{part}-{what}-{rank}-ubyte", "{part}-{what}-{rank}-ubyte.gz", "{part}-{what}.{rank}-ubyte",
    "{part}-{what}-{rank}-ubyte.GZ", "{part}-{what}-{rank}-ubyte.idx", "{part}-{what}-{rank}-ubyte.bin",
    "{part}-{what}.idx", "{part}-{what}-ubyte.gz", "{part}-{what}-{rank}-ubyte.idx.gz",
    "{part}-{what}-{rank}-ubyte/{part}-{what}-{rank}-ubyte", "{part}-{what}-{rank}-ubyte/{part}-{what}.{rank}-ubyte",
    "{part}-{what}-{rank}-ubyte/data", "{part}-{what}-{rank}-ubyte.gz/{part}-{what}-{rank}-ubyte.gz",
    "raw/{part}-{what}-{rank}-ubyte", "MNIST/raw/{part}-{what}-{rank}-ubyte.gz",
    "FashionMNIST/raw/{part}-{what}-{rank}-ubyte", "emnist-letters-{part}-{what}-{rank}-ubyte.gz",
])  # fmt: skip
def test_every_place_and_spelling_is_found(spelling, tmp_path):
    def spell(part, what, rank):
        name = spelling.format(part=part, what=what, rank=rank)
        return name.replace("t10k", "test") if "emnist" in spelling else name

    write(tmp_path, spell, seed=7)
    assert set_number(tmp_path) == 7
    assert locate(tmp_path).usual_in(tmp_path) == (spelling in (
        "{part}-{what}-{rank}-ubyte", "{part}-{what}-{rank}-ubyte.gz", "{part}-{what}.{rank}-ubyte"
    ))  # fmt: skip


def test_one_of_several_sets_is_named_by_a_path(tmp_path):
    for seed, split in enumerate(("emnist-digits", "emnist-letters")):
        write(tmp_path, lambda part, what, rank, split=split: f"{split}-{part}-{what}-{rank}-ubyte.gz", seed)
    with pytest.raises(DataFileError, match=r"found several. Name one of: .*emnist-digits, .*/emnist-letters") as error:
        load_idx_dataset(tmp_path)
    assert not isinstance(error.value, MissingDataError)
    assert set_number(tmp_path / "emnist-digits") == 0 and set_number(tmp_path / "emnist-letters") == 1
    with pytest.raises(MissingDataError):
        load_idx_dataset(tmp_path / "emnist-balanced")


def test_a_root_with_several_data_sets_leaves_the_choice_to_the_user(tmp_path):
    for seed, name in enumerate(("FashionMNIST", "MNIST")):
        write(tmp_path / name / "raw", lambda part, what, rank: f"{part}-{what}-{rank}-ubyte", seed)
    with pytest.raises(DataFileError, match=r"Name one of: .*FashionMNIST/raw, .*/MNIST/raw"):
        load_idx_dataset(tmp_path)
    assert set_number(tmp_path / "MNIST") == 1


def test_the_files_in_the_folder_itself_win_and_packed_ones_first(tmp_path):
    plain = lambda part, what, rank: f"{part}-{what}-{rank}-ubyte"  # noqa: E731
    write(tmp_path / "MNIST" / "raw", plain, 1)
    write(tmp_path, lambda *words: f"emnist-letters-{plain(*words)}", 2)
    write(tmp_path, plain, 3)
    assert set_number(tmp_path) == 3
    write(tmp_path, lambda *words: f"{plain(*words)}.gz", 4)
    assert set_number(tmp_path) == 4
    (tmp_path / f"{FILES[0]}.gz").unlink()
    assert find_file(tmp_path, FILES[0]) == tmp_path / FILES[0]


def test_three_files_are_no_set_and_are_completed_where_they_are(tmp_path):
    plain = lambda part, what, rank: f"{part}-{what}-{rank}-ubyte"  # noqa: E731
    write(tmp_path, plain)
    (tmp_path / FILES[2]).unlink()
    assert find_file(tmp_path, FILES[1]) == tmp_path / FILES[1] and find_file(tmp_path, FILES[2]) is None
    with pytest.raises(MissingDataError, match=f"there is no {FILES[2]}[.]"):
        load_idx_dataset(tmp_path)


def test_what_only_looks_like_a_file_of_a_set_is_left_alone(tmp_path):
    for name in ("train-images", "train-images.txt", "train-files.txt", "train-images-idx3-ubyte.zip", "train.gz"):
        (tmp_path / name).write_text("")
    assert not locate(tmp_path).paths


def test_a_folder_that_cannot_be_read_or_is_none_has_no_files(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "none", tmp_path / "file", Path("/proc/1/fd")):
        assert not locate(folder).paths


def test_each_file_may_be_spelled_in_a_way_of_its_own(tmp_path):
    for number, spellings in enumerate(itertools.product(["-ubyte", "-ubyte.bin", "-ubyte.GZ"], repeat=2)):
        folder = tmp_path / str(number)
        endings = dict(zip(("images", "labels"), spellings, strict=True))
        write(folder, lambda part, what, rank, endings=endings: f"{part}-{what}-{rank}{endings[what]}", number)
        assert set_number(folder) == number
