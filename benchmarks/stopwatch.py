"""How long does a call take, in this process?"""

import statistics
import time
from collections.abc import Callable


def stopwatch(work: Callable[[], object], warm: float = 0) -> float:
    """Seconds that one call takes, after `warm` seconds of untimed calls."""
    until = time.perf_counter() + warm
    while time.perf_counter() < until:
        work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], at_least: float = 0.2, warm: float = 0.1) -> float:
    """The median over as many calls as fill `at_least` seconds, three or more."""
    seconds = [stopwatch(work, warm)]
    while len(seconds) < 3 or sum(seconds) < at_least:
        seconds.append(stopwatch(work))
    return statistics.median(seconds)
