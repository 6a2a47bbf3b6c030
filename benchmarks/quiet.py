"""Did other processes use the processors during a timing?

Linux counts the busy seconds of its processors since its start, in total and for each process. The total during a
turn, minus the time of our worker, is the time used by others. A turn waits until the machine is idle, and a disturbed
turn is repeated. If the machine stays busy, the least disturbed turn is used, and the disturbance is recorded;
`command.row` leaves such turns out if possible, otherwise `table.py` marks them. On other systems there are no such
counters, and every turn is used.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

QUIET = 0.08  # processors that others may use in a quiet moment
ATTEMPTS = 4  # turns, then the least disturbed one counts
LOOK = 0.2  # seconds to look whether it is quiet
DISTURBED = 0.1  # processors that others used, from which a turn counts as disturbed


def undisturbed(turn: Callable[[], dict], own: Callable[[], float], patience: float) -> dict:
    """The answer of a turn, with `others`: the processors used by other processes meanwhile.

    own: a clock of the processor time that is ours, such as `clock_of(process)`.
    patience: how many seconds to wait for a quiet moment, all attempts together.
    """
    if busy_seconds() is None:
        return {**turn(), "others": None}
    answers: list[dict] = []
    end = time.monotonic() + patience
    while len(answers) < ATTEMPTS and (not answers or time.monotonic() < end):
        while others_during(lambda: time.sleep(LOOK))[1] > QUIET and time.monotonic() < end:
            pass
        answer, others = others_during(turn, own)
        answers.append({**answer, "others": others})
        if others <= QUIET:
            break
    return min(answers, key=lambda answer: answer["others"])


def disturbed(answer: dict) -> bool:
    """Whether others are known to have used the processors during this turn, or the turns of this row."""
    return (answer.get("others") or 0) > DISTURBED


def others_during(work: Callable[[], dict | None], own: Callable[[], float] = lambda: 0) -> tuple[dict, float]:
    """What `work` returns, and how many processors were busy meanwhile with what is not ours."""

    def foreign() -> float:
        return (busy_seconds() or 0) - own()

    before, start = foreign(), time.perf_counter()
    answer = work()
    return answer or {}, max(0.0, (foreign() - before) / (time.perf_counter() - start))


def busy_seconds() -> float | None:
    """Seconds that all processors together have worked; None where it is not known."""
    try:
        user, nice, system, _idle, _wait, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def clock_of(process: int) -> Callable[[], float]:
    """A clock of the processor time that a process has used; its threads are counted, its children are not."""

    def seconds() -> float:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return seconds


def clock_of_ended_children() -> float:
    """Seconds of processor time that the children of this process had used when they came to their end."""
    times = os.times()
    return times.children_user + times.children_system
