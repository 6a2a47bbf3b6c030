"""Any folder of four IDX files: other sizes, channels, classes and names, and what does not fit together."""

import numpy as np
import pytest

from scratchnet.data.folder import (
    count_classes,
    counts_from_1,
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


# Transposed images, and labels that count from 1, as in EMNIST


def test_transposed_images_are_turned_upright_pixel_by_pixel(tmp_path):
    (x, y), (x_test, y_test) = noise(6, 5, 7, 3), noise(3, 5, 7, 3)
    write_idx_dataset(tmp_path, ((x, y), (x_test, y_test)))
    (turned, _), (turned_test, _) = load_idx_dataset(tmp_path, transpose=True)
    assert turned.shape == (6, 7, 5, 3) and turned_test.shape == (3, 7, 5, 3) and turned.flags.c_contiguous
    for i in range(6):
        for row in range(5):
            for column in range(7):
                assert turned[i, column, row].tolist() == x[i, row, column].tolist()


def test_labels_that_count_from_1_are_left_with_a_warning_and_renumbered_on_demand(tmp_path):
    x, y = noise(6, 8, 8)
    write_idx_dataset(tmp_path, ((x, y + 1), (x, y + 1)))
    with pytest.warns(
        UserWarning, match=r"labels are 1 to 3, where a model of 3 classes expects 0 to 2.*first_label=1"
    ):
        (_, found), _ = load_idx_dataset(tmp_path)
    assert found.tolist() == (y + 1).tolist()
    (_, found), (_, found_test) = load_idx_dataset(tmp_path, first_label=1)
    assert found.tolist() == found_test.tolist() == y.tolist() and found.dtype == np.uint8
    with pytest.raises(DataFileError, match="expected labels from first_label=2, found 1"):
        load_idx_dataset(tmp_path, first_label=2)


@pytest.mark.parametrize(
    ("train", "test", "names", "expected"),
    [
        ([1, 2, 3], [3, 1], None, True),
        ([1, 2, 3], [3, 1], ["A", "B", "C"], True),
        ([1, 2, 3], [3, 1], ["nothing", "A", "B", "C"], False),  # class 0 has a name, and no example
        ([1, 2, 3], [0, 1], None, False),
        ([0, 1, 2], [1], None, False),
        ([1, 3], [1], None, False),
        ([1, 1], [1], None, False),
    ],
)
def test_labels_count_from_1_if_they_are_1_to_n_and_nothing_else(train, test, names, expected):
    assert counts_from_1(np.array(train), np.array(test), names) is expected


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
