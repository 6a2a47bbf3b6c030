"""The counter-based random numbers of `scratchnet.randomness`, generated inside a kernel, without an array of them.

Number i of a stream is a scramble of the stream's key and i. So a kernel computes the same number as the textbook, in
any order and for any part of the batch.
"""

import numpy as np

from scratchnet.compiled.jit.decorators import jit


@jit
def uniform(key, i):
    """Number i of the stream `key`, in [0, 1): mix(key + i · γ), its upper 53 bits."""
    z = key + np.uint64(i) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53
