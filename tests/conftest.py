"""What all tests share: runs that repeat, a generator, a small set of pictures that can be learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings

from scratchnet import team

# derandomize: the same examples on every run and every machine; a failure can be looked at again.
settings.register_profile("scratchnet", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("scratchnet")


@pytest.fixture
def rng():
    """Random numbers, the same ones in every test."""
    return np.random.default_rng(20240229)


@pytest.fixture(autouse=True)
def the_teams_threads_are_not_changed_for_other_tests(monkeypatch):
    """set_threads is for the whole process; a test's own choice ends with the test."""
    monkeypatch.setattr(team._Shared, "team", team._Shared.team)


@pytest.fixture
def no_pictures(monkeypatch):
    """Runs are written without pictures, which take two seconds a run to draw; tests/report is about those."""
    monkeypatch.setattr("scratchnet.report.run.pictures", lambda *run: {})


@pytest.fixture(scope="session")
def stripes():
    """80 noisy uint8 pictures of 10 × 10 in four classes: horizontal, vertical, two diagonals; and their labels."""
    rng = np.random.default_rng(3)
    row, column = np.mgrid[:10, :10]
    labels = np.arange(80) % 4
    phase = rng.integers(0, 4, 80)[:, None, None]
    direction = np.array([row, column, row + column, row - column])[labels]
    images = 200 * ((direction + phase) // 2 % 2) + rng.integers(0, 56, (80, 10, 10))
    return images.astype(np.uint8), labels


@pytest.fixture(params=["numpy", "numba"])
def engine(request):
    """Both engines: what is true of a model is true of the textbook and of its compiled layers."""
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param
