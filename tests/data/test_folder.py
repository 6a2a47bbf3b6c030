"""Any folder of four IDX files: other sizes, channels, classes and names, and what does not fit together."""

import numpy as np
import pytest

from scratchnet.data.folder import (
    count_classes,
    find_file,
    load_idx_dataset,
    read_class_names,
    write_idx_dataset,
)
from scratchnet.data.idx import DataFileError


def noise(n, *shape, classes=3):
    return np.random.default_rng(n).integers(0, 256, (n, *shape), np.uint8), np.arange(n, dtype=np.uint8) % classes


def labels(train, test):
    """A data set of these labels; nobody looks at its images."""
    pairs = [(np.zeros((len(y), 1, 1), np.uint8), np.array(y)) for y in (train, test)]
    return pairs[0], pairs[1]


# What is written is what is read


@pytest.mark.parametrize("shape", [(20, 20), (32, 32, 3), (5, 9, 4), (8, 6, 1), (1, 1)])
def test_images_of_any_shape_come_back(shape, tmp_path):
    dataset = noise(6, *shape), noise(3, *shape)
    write_idx_dataset(tmp_path / "new" / "folder", dataset, ["a", "b", "c"])
    for pair, expected in zip(load_idx_dataset(tmp_path / "new" / "folder"), dataset, strict=True):
        np.testing.assert_array_equal(pair[0], expected[0])
        np.testing.assert_array_equal(pair[1], expected[1])


def test_the_names_of_the_files_say_their_rank(tmp_path):
    write_idx_dataset(tmp_path, (noise(6, 8, 8, 3), noise(3, 8, 8, 3)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "t10k-images-idx4-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx4-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    (tmp_path / "train-images-idx4-ubyte.gz").rename(tmp_path / "train-images-idx3-ubyte.gz")  # as others may call it
    assert load_idx_dataset(tmp_path)[0][0].shape == (6, 8, 8, 3)
    assert find_file(tmp_path, "train-labels-idx4-ubyte") is None


def test_training_and_test_images_have_one_shape(tmp_path):
    write_idx_dataset(tmp_path, (noise(6, 8, 8, 3), noise(3, 8, 8, 4)))
    with pytest.raises(DataFileError, match=r"\(8, 8, 3\) for training and \(8, 8, 4\) for testing"):
        load_idx_dataset(tmp_path)


def test_images_without_pixels_are_refused(tmp_path):
    write_idx_dataset(tmp_path, (noise(6, 0, 8), noise(3, 0, 8)))
    with pytest.raises(DataFileError, match=r"found \(6, 0, 8\)"):
        load_idx_dataset(tmp_path)


# Names


def test_class_names_may_hold_blanks_and_any_letters(tmp_path):
    names = ["cat", "a dog", "Äpfel & Birnen", "猫", "<b>"]
    write_idx_dataset(tmp_path, (noise(6, 8, 8), noise(3, 8, 8)), names)
    assert read_class_names(tmp_path) == names


def test_class_names_are_read_as_editors_of_all_kinds_leave_them(tmp_path):
    for text in (b"a\nb", b"a\nb\n\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\n b \n"):
        (tmp_path / "classes.txt").write_bytes(text)
        assert read_class_names(tmp_path) == ["a", "b"], text


def test_a_folder_need_not_name_its_classes(tmp_path):
    assert read_class_names(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "found '' there in line 1"),
        (b"a\n\nb", "found '' there in line 2"),
        (b"a\nb\na", "found 'a' a second time in line 3"),
        (b"a\nb\x1b[2J", r"found 'b\\x1b\[2J' there in line 2"),  # would clear the terminal that shows it
        (b"\xff\xfe", "not UTF-8"),
        (b"a" * (2**20 + 1), "no text file of at most"),
    ],
)
def test_malformed_class_names_are_told_by_line(text, message, tmp_path):
    (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(DataFileError, match=message):
        read_class_names(tmp_path)


def test_class_names_in_a_folder_of_that_name_are_refused(tmp_path):
    (tmp_path / "classes.txt").mkdir()
    with pytest.raises(DataFileError, match="no text file"):
        read_class_names(tmp_path)


# Labels


def test_classes_are_counted_and_may_be_rare_in_the_test_set():
    assert count_classes(labels([0, 1, 2, 2], [1])) == 3
    assert count_classes(labels([1, 0], [1]), ["no", "yes"]) == 2


@pytest.mark.parametrize(
    ("train", "test", "names", "message"),
    [
        ([0, 1, 3], [0], None, "every class from 0 to 3, found none of class 2"),
        ([1, 2, 3], [1], None, "every class from 0 to 3, found none of class 0"),  # EMNIST's letters
        ([0, 2**31 - 1], [0], None, "found none of class 1[.]"),  # and nobody counts up to it
        ([0, 1], [0, 2], None, "from 0 to 1, as those of the training examples, found 2 among the test"),
        ([0, 1, 2], [0], ["a", "b"], "as classes.txt names 2 classes, found 2 among the training"),
        ([0, 1], [0, 2], ["a", "b"], "as classes.txt names 2 classes, found 2 among the test"),
        ([0, 1], [0], ["a", "b", "c"], "every class from 0 to 2, found none of class 2"),
        ([0, 0], [0], None, "at least two classes, found one"),
    ],
)
def test_labels_that_cannot_be_learned_are_told(train, test, names, message):
    with pytest.raises(DataFileError, match=f"my data: expected .*{message}"):
        count_classes(labels(train, test), names, "my data")
