"""Which data a script works on, and under which name."""

import numpy as np
import pytest

from scratchnet.data import choose, class_names, load_dataset, write_idx
from scratchnet.data.idx import DataFileError, MissingDataError


@pytest.fixture
def small_synthetic(monkeypatch):
    tiny = (np.zeros((4, 28, 28), np.uint8), np.arange(4, dtype=np.uint8))
    monkeypatch.setattr(choose, "load_synthetic", lambda: (tiny, tiny))
    return tiny


def write_folder(folder, size=20, classes=7):
    """Four IDX files of noise that are not MNIST."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 21), ("t10k", 14)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, size, size), np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", (np.arange(n) % classes).astype(np.uint8))
    return folder


def offline(*_, **__):
    raise MissingDataError("no mirror gave it")


def test_the_files_of_a_folder_go_by_the_folders_name_and_not_by_mnists(tmp_path):
    folder = tmp_path / "my-letters"
    folder.mkdir()
    ((x, y), _), name = load_dataset("auto", write_folder(folder))
    assert name == "my-letters" and x.shape == (21, 20, 20) and y.max() == 6


def test_without_data_and_network_digits_are_drawn_and_a_line_says_so(monkeypatch, tmp_path, capsys, small_synthetic):
    monkeypatch.setenv("SCRATCHNET_DATA", str(tmp_path / "nothing-here"))
    monkeypatch.setattr(choose, "load_mnist", offline)
    (train, _), name = load_dataset("auto")
    assert name == "synthetic" and train is small_synthetic
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "nothing-here" in said and "synthetic" in said


def test_insisting_on_mnist_makes_its_absence_an_error(monkeypatch, small_synthetic):
    monkeypatch.setattr(choose, "load_mnist", offline)
    with pytest.raises(MissingDataError, match="no mirror"):
        load_dataset("mnist")


def test_a_named_folder_without_files_is_an_error_and_not_a_reason_for_other_data(tmp_path, small_synthetic):
    with pytest.raises(MissingDataError, match="there is no"):
        load_dataset("auto", tmp_path)


def test_damaged_files_are_an_error_and_not_a_reason_for_other_data(tmp_path, small_synthetic):
    folder = write_folder(tmp_path)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataFileError):
        load_dataset("auto", folder)


@pytest.mark.parametrize("name", ["mnist", "synthetic"])
def test_a_folders_name_cannot_make_its_content_pass_for_another(name, tmp_path):
    (tmp_path / name).mkdir()
    assert load_dataset("auto", write_folder(tmp_path / name))[1] == f"folder {name}"


def test_insisting_on_mnist_makes_other_content_an_error(tmp_path, recwarn):
    with pytest.raises(DataFileError, match="other data than MNIST's"):
        load_dataset("mnist", write_folder(tmp_path, size=28, classes=10))
    assert len(recwarn) == 0


def test_a_folder_tells_the_names_of_its_classes_and_nobody_else_does(tmp_path, small_synthetic):
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd\ne\nf\ng\n")
    _, name = load_dataset("auto", write_folder(tmp_path))
    assert class_names(name, tmp_path) == list("abcdefg")
    assert class_names("synthetic", tmp_path) is class_names("mnist", tmp_path) is None


def test_images_and_labels_must_be_fit_to_learn_from(tmp_path):
    folder = write_folder(tmp_path)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.full(21, 6, np.uint8))
    with pytest.raises(DataFileError, match="found none of class 0"):
        load_dataset("auto", folder)
    write_idx(folder / "train-images-idx3-ubyte.gz", np.zeros((21, 20, 20), np.float32))
    with pytest.raises(DataFileError, match="images of bytes, 0 to 255, found float32"):
        load_dataset("auto", folder)


def test_an_unknown_choice_lists_the_known_ones():
    with pytest.raises(ValueError, match="auto, mnist, fashion-mnist, synthetic"):
        load_dataset("cifar")


# Said in a line


def write_letters(folder, first=1, names=None):
    """Images of three classes, numbered from `first`, under EMNIST's names."""
    x = np.random.default_rng(0).integers(0, 256, (12, 20, 20), np.uint8)
    y = (np.arange(12) % 3 + first).astype(np.uint8)
    for part in ("train", "test"):
        write_idx(folder / f"emnist-letters-{part}-images-idx3-ubyte.gz", x)
        write_idx(folder / f"emnist-letters-{part}-labels-idx1-ubyte.gz", y)
    if names:
        (folder / "classes.txt").write_text("\n".join(names))
    return y


def test_labels_that_count_from_1_are_counted_from_0_and_keep_their_numbers_as_names(tmp_path, capsys):
    y = write_letters(tmp_path)
    ((_, y_train), (_, y_test)), name = load_dataset("auto", tmp_path)
    assert y_train.tolist() == y_test.tolist() == (y - 1).tolist() and y_train.dtype == np.uint8
    assert class_names(name, tmp_path) == ["1", "2", "3"]
    said = capsys.readouterr().err
    assert "the labels count from 1; class 1 is output 0" in said and "emnist-letters-test-labels-idx1-ubyte.gz" in said
    write_letters(tmp_path, names=["A", "B", "C"])
    assert load_dataset("auto", tmp_path)[0][0][1].max() == 2 and class_names(name, tmp_path) == ["A", "B", "C"]


def test_of_emnist_a_line_says_that_its_images_are_transposed(tmp_path, capsys):
    write_letters(tmp_path)
    load_dataset("auto", tmp_path)
    assert "scripts/make_idx.py --idx" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    load_dataset("auto", write_folder(tmp_path / "other"))
    assert "make_idx" not in capsys.readouterr().err


def test_labels_that_count_from_1_among_names_that_count_from_0_are_refused(tmp_path):
    write_letters(tmp_path, names=["none", "A", "B", "C"])
    with pytest.raises(DataFileError, match="found none of class 0"):
        load_dataset("auto", tmp_path)


def test_labels_from_0_or_with_gaps_stay_as_they_are(tmp_path, capsys):
    y = write_letters(tmp_path, first=0)
    assert load_dataset("auto", tmp_path)[0][0][1].tolist() == y.tolist() and class_names("x", tmp_path) is None
    assert "count from" not in capsys.readouterr().err
    write_letters(tmp_path, first=2)
    with pytest.raises(DataFileError, match="found none of class 0"):
        load_dataset("auto", tmp_path)


def test_of_several_data_sets_in_one_root_the_one_that_was_asked_for_is_taken(tmp_path, monkeypatch, capsys):
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name / "raw").mkdir(parents=True)
        write_folder(tmp_path / name / "raw", size=28, classes=10)
    monkeypatch.setattr(choose, "is_mnist", lambda dataset: True)
    assert load_dataset("mnist", tmp_path)[1] == "mnist"
    assert f"{tmp_path.name}/MNIST/raw/train-images-idx3-ubyte.gz" in capsys.readouterr().err
    with pytest.raises(DataFileError, match="found several"):
        load_dataset("auto", tmp_path)


def test_files_in_their_usual_place_are_not_worth_a_line(tmp_path, capsys):
    load_dataset("auto", write_folder(tmp_path))
    assert capsys.readouterr().err == ""
