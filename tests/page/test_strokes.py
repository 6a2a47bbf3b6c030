"""The browser draws strokes as Python does, byte for byte; and as MNIST's digits look."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.data import drawing
from scratchnet.data.drawing import digit_from_strokes
from tests.page.pen import images_of, stroke_widths
from tests.page.pen_digits import drawn_digits

SETTINGS = [
    {},
    {"centre": False},
    {"box": None},
    {"pen": None},
    {"box": None, "pen": None, "centre": False},
    {"size": 32, "box": 23, "pen": 2.8},
]
PROGRAM = """
const { digitFromStrokes } = await import("./draw/raster.js");
return argument.map(([strokes, settings]) => Array.from(digitFromStrokes(strokes, settings)));
"""


def random_drawing(rng):
    """One to five strokes of 1 to 60 points each, of any size; some points repeat the one before, some lie outside."""
    strokes = []
    for _ in range(rng.integers(1, 6)):
        steps = rng.normal(0, rng.choice([0.002, 0.02, 0.1]), (rng.integers(1, 61), 2))
        steps[rng.random(len(steps)) < 0.1] = 0
        strokes.append((rng.uniform(0, 1, 2) + steps.cumsum(axis=0)).tolist())
    return strokes


def assert_same_bytes(twins, drawings):
    """Every drawing under every setting, in Python and in the browser."""
    cases = [(strokes, settings) for strokes in drawings for settings in SETTINGS]
    theirs = twins(PROGRAM, cases)
    for (strokes, settings), pixels in zip(cases, theirs, strict=True):
        mine = digit_from_strokes(strokes, **settings)
        assert mine.ravel().tolist() == pixels, settings


def test_200_random_drawings_give_the_same_bytes_in_python_and_in_the_browser(twins, rng):
    assert_same_bytes(twins, [random_drawing(rng) for _ in range(200)])


def test_60_written_digits_give_the_same_bytes_in_python_and_in_the_browser(twins):
    assert_same_bytes(twins, [strokes for _, strokes in drawn_digits(6, seed=1)])


def test_dots_lines_and_points_on_pixel_borders_give_the_same_bytes(twins):
    line = [[(0.5, 0), (0.5, 1)]]
    assert_same_bytes(
        twins, [[], [[]], [[(0.5, 0.5)]], line, [[(0, 0), (1e-300, 0)]], [[(-3, 9), (200, -50)]], [*line, []]]
    )


def test_the_constants_are_the_same(twins):
    found = twins(
        "const raster = await import('./draw/raster.js'); return [raster.fixedPen, raster.softness, raster.drawnPen]"
    )
    assert found == [drawing.PEN, drawing.SOFTNESS, drawing.DRAWN_PEN]


# against MNIST


@pytest.fixture(scope="module")
def mnist():
    try:
        return sn.load_mnist(download=False)[1][0]
    except sn.DataFileError as error:
        pytest.skip(f"the real MNIST is needed: {error}")


def test_the_pen_is_as_wide_as_mnists_and_its_edges_as_soft(mnist):
    drawn = images_of(drawn_digits(20))
    assert np.median(stroke_widths(drawn)) == pytest.approx(np.median(stroke_widths(mnist)), rel=0.05)
    low, high = np.percentile(stroke_widths(mnist), (5, 95))
    assert ((low <= stroke_widths(drawn)) & (stroke_widths(drawn) <= high)).all()
    for share in (lambda x: (x[x > 0] >= 250).mean(), lambda x: (x[x > 0] <= 200).mean()):
        assert share(drawn) == pytest.approx(share(mnist), abs=0.05)
    assert drawn.sum(axis=(1, 2)).mean() == pytest.approx(mnist.sum(axis=(1, 2)).mean(), rel=0.05)
