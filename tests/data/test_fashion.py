"""Fashion-MNIST is known by its hash, wherever it lies. The hashes are replaced by those of a small data set."""

import numpy as np
import pytest

from scratchnet.data import class_names, download, fashion, load_dataset, load_fashion_mnist, mnist, write_idx_dataset
from scratchnet.data.fashion import CLASSES, DEBIAN, fashion_folder, is_fashion_mnist
from scratchnet.data.folder import FILES, load_idx_dataset
from scratchnet.data.idx import DataFileError, MissingDataError, idx_sha256

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (30, 28, 28), np.uint8), np.arange(30, dtype=np.uint8) % 10
SMALL = (X, Y), (X[:10], Y[:10])
OTHER = (255 - X, Y), (X[:10], Y[9::-1])


@pytest.fixture(autouse=True)
def small_is_fashion(monkeypatch, tmp_path):
    """Nothing else is Fashion-MNIST, and the machine has none but in the folders of the test."""
    arrays = [array for pair in SMALL for array in pair]
    monkeypatch.setattr(fashion, "SHA256", dict(zip(FILES, map(idx_sha256, arrays), strict=True)))
    monkeypatch.setattr(fashion, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "debian")
    monkeypatch.delenv("SCRATCHNET_DATA", raising=False)
    monkeypatch.setattr(download, "fetch_idx", offline)


def offline(name, sha256, folder, mirrors, advice):
    raise MissingDataError(f"no mirror gave {name}. {advice}")


def test_it_is_known_by_its_hash_and_has_names(tmp_path):
    write_idx_dataset(tmp_path / "anything", SMALL)
    dataset, name = load_dataset("auto", tmp_path / "anything")
    assert name == "fashion-mnist" and is_fashion_mnist(dataset)
    assert class_names(name, tmp_path / "anything") == CLASSES and len(set(CLASSES)) == 10


def test_a_folders_own_names_are_taken_before_the_usual_ones(tmp_path):
    own = ["Hemd", *map(str, range(1, 10))]
    write_idx_dataset(tmp_path, SMALL, own)
    assert class_names("fashion-mnist", tmp_path) == own


@pytest.mark.parametrize("place", [
    "variable", "variable/fashion-mnist", "variable/FashionMNIST/raw", "cache/fashion-mnist", "debian"
])  # fmt: skip
def test_it_is_looked_for_in_every_usual_place(place, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCHNET_DATA", str(tmp_path / "variable"))
    write_idx_dataset(tmp_path / "variable" / "mnist", OTHER)
    write_idx_dataset(tmp_path / place, SMALL)
    dataset, name = load_dataset("fashion-mnist")
    assert name == "fashion-mnist" and is_fashion_mnist(dataset)
    assert fashion_folder() in (tmp_path / place, tmp_path / "variable")


def test_other_data_in_the_variables_folder_are_not_taken_for_it(tmp_path, monkeypatch):
    write_idx_dataset(tmp_path / "mnist", OTHER)
    monkeypatch.setenv("SCRATCHNET_DATA", str(tmp_path / "mnist"))
    with pytest.raises(MissingDataError, match=r"no mirror gave train-images.*cache/fashion-mnist"):
        load_dataset("fashion-mnist")
    write_idx_dataset(tmp_path / "debian", SMALL)
    assert load_dataset("fashion-mnist")[1] == "fashion-mnist"


def test_a_folder_that_was_named_and_has_other_data_is_an_error(tmp_path):
    write_idx_dataset(tmp_path / "debian", SMALL)
    write_idx_dataset(tmp_path / "mine", OTHER)
    with pytest.raises(DataFileError, match="mine: other data than Fashion-MNIST's"):
        load_dataset("fashion-mnist", tmp_path / "mine")


def test_the_same_labels_with_other_images_are_not_it(tmp_path):
    write_idx_dataset(tmp_path, ((255 - X, Y), SMALL[1]))
    assert load_dataset("auto", tmp_path)[1] == tmp_path.name
    with pytest.raises(DataFileError, match="other data"):
        load_fashion_mnist(tmp_path)


def test_what_is_missing_is_fetched_into_the_cache(tmp_path, monkeypatch):
    def fetch(name, sha256, folder, mirrors, advice):
        assert folder == tmp_path / "cache" / "fashion-mnist" and all("//" in mirror for mirror in mirrors)
        write_idx_dataset(folder, SMALL)

    monkeypatch.setattr(download, "fetch_idx", fetch)
    assert is_fashion_mnist(load_fashion_mnist())


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_real_one_is_recognised(monkeypatch):
    monkeypatch.undo()
    (x_train, y_train), (x_test, y_test) = dataset = load_idx_dataset(DEBIAN)
    assert is_fashion_mnist(dataset) and x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [6000] * 10 and y_test[:5].tolist() == [9, 2, 1, 1, 6]


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_debians_package_is_enough(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.delenv("SCRATCHNET_DATA", raising=False)
    monkeypatch.setattr(fashion, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(download, "fetch_idx", offline)
    ((x_train, _), _), name = load_dataset("fashion-mnist")
    assert name == "fashion-mnist" and len(x_train) == 60000 and class_names(name)[9] == "Ankle boot"


def test_no_file_of_mnist_is_one_of_its(monkeypatch):
    monkeypatch.undo()
    assert set(mnist.SHA256.values()).isdisjoint(fashion.SHA256.values()) and len(set(fashion.SHA256.values())) == 4
