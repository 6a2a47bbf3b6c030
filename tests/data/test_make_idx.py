"""scripts/make_idx.py on files of other formats: what it writes is what the files hold, upright and numbered from 0."""

import importlib

import numpy as np
import pytest

from scratchnet.data import load_idx_dataset, read_class_names, write_idx, write_idx_dataset

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (12, 8, 8), np.uint8), (np.arange(12) % 3).astype(np.uint8)
make_idx = importlib.import_module("make_idx").main


def call(*arguments, out):
    return make_idx([*map(str, arguments), "--out", str(out)])


def test_an_archive_becomes_four_idx_files(tmp_path, capsys):
    np.savez_compressed(tmp_path / "mnist.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4])
    assert call("--npz", tmp_path / "mnist.npz", out=tmp_path / "out") == 0
    (x, y), (x_test, _) = load_idx_dataset(tmp_path / "out")
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(x_test, X[:4])
    assert y.tolist() == Y.tolist()
    assert "12 images to train on and 4 to test with, 8×8, of 3 classes" in capsys.readouterr().out


def test_tables_become_four_idx_files(tmp_path):
    table = np.concatenate([Y[:, None], X.reshape(12, -1)], axis=1)
    np.savetxt(tmp_path / "train.csv", table, "%d", delimiter=",", header="label," + ",".join("p" * 64), comments="")
    np.savetxt(tmp_path / "test.csv", table[:3], delimiter=",")  # with a point and an exponent
    assert call("--csv", tmp_path / "train.csv", out=tmp_path / "one") == 0
    assert [len(x) for x, _ in load_idx_dataset(tmp_path / "one")] == [9, 3]
    assert call("--csv", tmp_path / "train.csv", tmp_path / "test.csv", out=tmp_path / "two") == 0
    (x, _), (x_test, _) = load_idx_dataset(tmp_path / "two")
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(x_test, X[:3])


def test_emnist_is_turned_upright_and_numbered_from_0(tmp_path, capsys):
    (tmp_path / "gzip").mkdir()
    for part in ("train", "test"):
        write_idx(tmp_path / "gzip" / f"emnist-letters-{part}-images-idx3-ubyte.gz", X.swapaxes(1, 2))
        write_idx(tmp_path / "gzip" / f"emnist-letters-{part}-labels-idx1-ubyte.gz", Y + 1)
    assert call("--idx", tmp_path / "gzip" / "emnist-letters", "--transpose", out=tmp_path / "out") == 0
    (x, y), _ = load_idx_dataset(tmp_path / "out")
    np.testing.assert_array_equal(x, X)
    assert y.tolist() == Y.tolist() and read_class_names(tmp_path / "out") == ["1", "2", "3"]
    assert "the labels count from 1" in capsys.readouterr().err


def test_the_names_of_the_classes_are_copied(tmp_path):
    write_idx_dataset(tmp_path / "in", ((X, Y), (X, Y)), ["a", "b", "c"])
    assert call("--idx", tmp_path / "in", out=tmp_path / "out") == 0
    assert read_class_names(tmp_path / "out") == ["a", "b", "c"]


def test_an_error_is_one_line_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("label,a,b,c,d\n1,2,3\n")
    assert call("--csv", tmp_path / "bad.csv", out=tmp_path / "out") == 2
    assert call("--npz", tmp_path / "none.npz", out=tmp_path / "out") == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "line 2: expected 5 numbers, found 3" in said[0] and "no such file" in said[1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--npz", "a.npz", "--size", "20"], "--size is for --images"),
        (["--csv", "a.csv", "--digits"], "--digits is for --images"),
        (["--images", "a", "--transpose"], "--transpose is for --npz, --csv and --idx"),
        (["--csv", "a", "b", "c"], "one table, or two"),
        (["--npz", "a", "--csv", "b"], "not allowed with"),
        ([], "one of the arguments --images --npz --csv --idx is required"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        call(*arguments, out=tmp_path / "out")
    assert message in capsys.readouterr().err
