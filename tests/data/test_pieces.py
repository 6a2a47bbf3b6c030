"""Connected pieces, against SciPy's, which finds them by other means."""

import numpy as np
import pytest
from scipy import ndimage

from scratchnet.data.pieces import boxes, label, spread

CORNERS_TOUCH = np.ones((3, 3))


def spirals(turns=12):
    """Two arms around each other that never touch; their number travels farthest."""
    v, u = np.mgrid[-60:61, -60:61]
    return np.sin(2 * np.pi * np.hypot(v, u) / 120 * turns - np.arctan2(v, u)) > 0.3


@pytest.mark.parametrize("share", [0, 0.1, 0.4, 0.6, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (30, 47), (128, 64)])
def test_pieces_are_scipys(shape, share, rng):
    mask = rng.random(shape) < share
    ours, (theirs, n) = label(mask), ndimage.label(mask, CORNERS_TOUCH)
    assert ours.max() == n and ((ours > 0) == mask).all()
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(theirs))  # one number of ours for one of theirs
    assert [box.slices for box in boxes(ours)] == ndimage.find_objects(ours)


def test_a_piece_may_wind_as_it_likes():
    mask = spirals()
    assert label(mask).max() == ndimage.label(mask, CORNERS_TOUCH)[1]


@pytest.mark.parametrize("by", [0, 1, 4, 40])
def test_spreading_is_a_dilation_by_a_square(by, rng):
    mask = rng.random((23, 31)) < 0.02
    np.testing.assert_array_equal(spread(mask, by), ndimage.binary_dilation(mask, np.ones((2 * by + 1, 2 * by + 1))))
