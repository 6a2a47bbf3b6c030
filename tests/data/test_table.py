"""Images in CSV files: which tables are read, and how a wrong one is told, by line and column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.data import load_csv_dataset, table
from scratchnet.data.idx import DataFileError, MissingDataError
from scratchnet.data.table import read_csv

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (12, 3, 3), np.uint8), (np.arange(12) % 3).astype(np.uint8)
NAMES = "label," + ",".join(f"pixel{i}" for i in range(9))


def rows(x=X, y=Y):
    """The lines of a table, the label first."""
    return [",".join(map(str, [label, *image.reshape(-1)])) for image, label in zip(x, y, strict=True)]


def write(path, lines, end="\n"):
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode())
    return path


# What is read


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("first", [[], [NAMES], [NAMES.upper()], ['"' + NAMES.replace(",", '","') + '"'], ["﻿" + NAMES]])
def test_a_table_is_read_with_and_without_names(first, end, tmp_path):
    x, y = read_csv(write(tmp_path / "train.csv", [*first, *rows()], end))
    np.testing.assert_array_equal(x, X)
    assert x.dtype == y.dtype == np.uint8 and y.tolist() == Y.tolist()


def test_the_label_is_the_column_called_so(tmp_path):
    lines = [",".join([*map(str, image.reshape(-1)), str(label)]) for image, label in zip(X, Y, strict=True)]
    x, y = read_csv(write(tmp_path / "a.csv", [",".join([*map(str, "abcdefghi"), "class"]), *lines]))
    np.testing.assert_array_equal(x, X)
    assert y.tolist() == Y.tolist()


def test_a_first_line_of_other_numbers_is_a_line_of_names(tmp_path):
    x, y = read_csv(write(tmp_path / "a.csv", ["0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9", *rows()]))  # as pandas renames
    assert len(x) == 12 and y.tolist() == Y.tolist()


def test_numbers_may_be_written_with_a_point_and_in_quotes(tmp_path):
    lines = [",".join(f'"{float(cell)}"' for cell in line.split(",")) for line in rows()]
    np.testing.assert_array_equal(read_csv(write(tmp_path / "a.csv", lines))[0], X)


def test_a_table_of_several_blocks_is_the_same(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", [NAMES, *rows()])
    for block in (1, 5, 11, 12, 13):
        monkeypatch.setattr(table, "BLOCK", block)
        np.testing.assert_array_equal(read_csv(path)[0], X)


def test_the_second_table_is_the_test_set(tmp_path):
    train, test = write(tmp_path / "a.csv", rows()), write(tmp_path / "b.csv", rows(255 - X[:2], Y[:2]))
    (x, _), (x_test, y_test) = load_csv_dataset([train, test])
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(x_test, 255 - X[:2])
    assert y_test.tolist() == Y[:2].tolist()


def test_of_one_table_a_share_of_each_class_is_held_out(tmp_path):
    (x, y), (x_test, y_test) = load_csv_dataset([write(tmp_path / "a.csv", rows())], test_share=0.25)
    assert np.bincount(y).tolist() == [3, 3, 3] and np.bincount(y_test).tolist() == [1, 1, 1]
    together = np.concatenate([x, x_test]).reshape(12, -1)
    assert sorted(map(bytes, together)) == sorted(map(bytes, X.reshape(12, -1)))


# What is refused


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "an empty file"),
        ([NAMES], "found the end of the file"),
        ([NAMES, *rows()[:3], "1,2,3"], "line 5: expected 10 numbers, found 3"),
        ([NAMES, *rows()[:3], rows()[3].replace(",", ";")], "line 5: expected 10 numbers, found 1"),
        ([*rows(), "1,2,3,4,5,6,7,8,9,256"], "line 13, column 10: .*from 0 to 255, found '256'"),
        ([*rows(), "1,2,-3,4,5,6,7,8,9,0"], "line 13, column 3: .*found '-3'"),
        ([*rows(), "1,2,3.5,4,5,6,7,8,9,0"], "line 13, column 3: .*found '3.5'"),
        ([*rows(), "1,2,nan,4,5,6,7,8,9,0"], "line 13, column 3: .*found 'nan'"),
        ([*rows(), "1,2,,4,5,6,7,8,9,0"], "line 13, column 3: .*found ''"),
        ([*rows(), "A,2,1,4,5,6,7,8,9,0"], "line 13, column 1: .*found 'A'"),
        ([*rows(), "1,2,1_0,4,5,6,7,8,9,0"], "line 13, column 3: .*found '1_0'"),
        ([NAMES[6:], *(line[2:] for line in rows())], "no column called label: a competition's test.csv"),
        (["1;2;3"], "found 1 columns. The columns are separated by commas"),
        (["7", "7"], "found 1 columns"),
        (["x" * (table.LONGEST + 1)], "line 1: expected at most"),
        (["<html>not found</html>"], "found 1 columns"),
    ],
)
def test_a_wrong_table_is_told_by_line_and_column(lines, message, tmp_path):
    with pytest.raises(DataFileError, match=message):
        read_csv(write(tmp_path / "train.csv", lines))


def test_a_file_larger_than_allowed_is_refused_unread(tmp_path):
    with pytest.raises(DataFileError, match="at most 10 bytes"):
        read_csv(write(tmp_path / "a.csv", rows()), max_bytes=10)


def test_a_class_with_a_single_image_cannot_be_split(tmp_path):
    with pytest.raises(DataFileError, match="two images of each class, one for testing, found 1"):
        load_csv_dataset([write(tmp_path / "a.csv", [*rows(), "9,0,0,0,0,0,0,0,0,0"])])


def test_what_is_not_there_is_told_by_its_name(tmp_path):
    with pytest.raises(MissingDataError, match=r"none\.csv: there is no such file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataFileError, match="a directory or a device"):
        read_csv(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_one_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(content)
    try:
        x, y = read_csv(path)
    except DataFileError:
        return
    assert x.dtype == np.uint8 and len(x) == len(y)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_table_with_other_bytes_in_it_is_a_table_or_one_error(tmp_path_factory, at, put):
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", [NAMES, *rows()])
    content = path.read_bytes()
    path.write_bytes(content[:at] + put + content[at + len(put) :])
    try:
        x, y = read_csv(path)
    except DataFileError:
        return
    assert x.shape[1:] == (3, 3) and len(x) == len(y)
