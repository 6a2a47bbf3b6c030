"""docs/data.md: its program makes the data set that it says."""

import re
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import load_idx_dataset

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_digits_of_scikit_learn_become_a_data_set_of_mnists_size(tmp_path, monkeypatch):
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    (x, y), (x_test, y_test) = load_idx_dataset("sklearn-digits")
    assert x.shape == (1000, 28, 28) and x_test.shape == (797, 28, 28) and x.max() > 240
    assert not x[:, :4].any() and not x[:, :, 24:].any()
    np.testing.assert_array_equal(np.concatenate([y, y_test]), digits.target)
    # Averaged over 20/8 pixels a value, the image is the 8×8 one, times 255/16, up to the interpolation.
    cells = x[:, 4:24, 4:24].reshape(1000, 4, 5, 4, 5).mean(axis=(2, 4))
    coarse = digits.images[:1000].reshape(1000, 4, 2, 4, 2).mean(axis=(2, 4)) * 255 / 16
    assert np.corrcoef(cells.ravel(), coarse.ravel())[0, 1] > 0.99
