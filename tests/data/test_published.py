"""A data set that is known by its hashes: which files are fetched, and how much is hashed to tell it from others."""

import numpy as np
import pytest

from scratchnet.data import download, published
from scratchnet.data.folder import FILES, write_idx_dataset
from scratchnet.data.idx import idx_sha256
from scratchnet.data.published import fetch_missing, foreign_files

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (30, 8, 8), np.uint8), np.arange(30, dtype=np.uint8) % 10
DATASET = (X, Y), (X[:10], Y[:10])
HASHES = dict(zip(FILES, (idx_sha256(array) for pair in DATASET for array in pair), strict=True))


@pytest.fixture
def hashed(monkeypatch):
    """The shapes of the arrays that are hashed, in order."""
    shapes = []
    monkeypatch.setattr(published, "idx_sha256", lambda array: shapes.append(array.shape) or idx_sha256(array))
    return shapes


def test_a_data_set_has_no_foreign_file_if_all_four_are_its_own(hashed):
    assert list(foreign_files(DATASET, HASHES)) == [] and len(hashed) == 4


def test_other_labels_are_found_without_hashing_an_image(hashed):
    other = (X, Y), (X[:10], Y[9::-1])
    assert next(foreign_files(other, HASHES)) == FILES[3]
    assert hashed == [(10,)]


def test_every_foreign_file_is_named_the_smallest_first():
    other = (255 - X, Y), (255 - X[:10], Y[9::-1])
    assert list(foreign_files(other, HASHES)) == [FILES[3], FILES[2], FILES[0]]


def test_only_what_is_missing_is_fetched_with_its_own_hash(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(download, "fetch_idx", lambda *call: asked.append(call))
    write_idx_dataset(tmp_path, DATASET)
    (tmp_path / f"{FILES[1]}.gz").unlink()
    fetch_missing(tmp_path, HASHES, ["https://mirror/"], "Take the bus.")
    [(name, sha256, folder, mirrors, advice)] = asked
    assert (name, sha256, folder, mirrors) == (FILES[1], HASHES[FILES[1]], tmp_path, ["https://mirror/"])
    assert "Put the four files" in advice and str(tmp_path) in advice and advice.endswith("Take the bus.")
