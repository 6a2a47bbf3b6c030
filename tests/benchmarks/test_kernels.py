"""The ladder of kernels.py: every rung is the same convolution, and one that is not is found before any time."""

import numpy as np
import pytest

pytest.importorskip("numba")
import kernels


@pytest.mark.parametrize("rung", kernels.LADDER.values(), ids=kernels.LADDER)
def test_every_rung_computes_the_textbooks_convolution(rung):
    # Those that are plain Numba run as the Python they are written in: to compile np.dot alone takes 3 s.
    x, W, y = kernels.arrays(n=2, size=6, channels=16, filters=16)
    assert kernels.error(getattr(rung, "py_func", rung), x, W, y) < kernels.CLOSE


def test_the_first_rung_is_the_definition():
    x, W, y = kernels.arrays(n=1, size=4, channels=2, filters=3)
    kernels.seven_loops(x, W, y)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # (n, p, q, c, u, v)
    np.testing.assert_allclose(y, np.einsum("npqcuv,uvcf->npqf", windows, W), rtol=1e-5)


def test_a_rung_that_leaves_out_one_number_is_found():
    def without_the_last_position(x, W, y):
        kernels.loops_over_the_kernel(x, W, y)
        y[-1, -1, -1, -1] *= 0.99

    x, W, y = kernels.arrays(n=1, size=4, channels=16, filters=16)
    assert not kernels.error(without_the_last_position, x, W, y) < kernels.CLOSE
    assert not kernels.error(lambda x, W, y: None, x, W, y) < kernels.CLOSE  # writes nothing at all
