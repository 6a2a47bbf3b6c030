"""The model of several machines: it divides the chunks and nothing else, and its messages are those of a ring."""

import machines
import pytest
from cores import Task
from machines import Step

CHUNKS = [Task(1.0, 0), Task(1.0, 0), *[Task(4.0, 2)] * 8, *[Task(0.5, 10)] * 3]


def test_only_the_phases_of_chunks_are_shared():
    step = Step.of(0.25, CHUNKS, chunks=8, messages=[])
    assert [shared for shared, _ in step.phases] == [False, True, False]
    assert step.compute(1) == 0.25 + 2 + 32 + 1.5
    assert step.compute(2) == 0.25 + 2 + 16 + 1.5
    assert step.compute(3) == 0.25 + 2 + 12 + 1.5
    assert step.compute(8) == step.compute(256) == 0.25 + 2 + 4 + 1.5


def test_two_threads_of_a_rank_divide_its_tasks():
    step = Step.of(0.0, CHUNKS, chunks=8, messages=[])
    assert step.compute(2, threads=2) == 1 + 8 + 1.0


def test_a_ring_passes_every_rank_s_rows_on():
    step = Step(0.0, [], [1000])
    assert step.communicate(1, 1.0, 1.0) == 0
    assert step.communicate(4, alpha=0.5, beta=100.0) == pytest.approx(3 * (0.5 + 250 / 100))


def test_more_machines_pay_until_the_chunks_end_or_the_network_does():
    step = Step(0.0, [(True, [1e-3] * 8)], [1_000_000])
    rows = machines.computed("net", 128, lambda batch: step, "strong")
    fast = [row for row in rows if row["over"] == "100 Gbit/s"]
    slow = [row for row in rows if row["over"] == "1 Gbit/s"]
    assert fast[3]["speedup"] > 6
    assert fast[4]["pays"] == "no longer pays"  # 16 machines for 8 chunks
    assert slow[1]["pays"] == "no longer pays"
    assert all(row["kind"] == "computed" for row in rows)


def test_the_line_of_measured_messages_is_found():
    alpha, beta = machines.straight_line([(size, 2e-5 + size / 3e9) for size in (1024, 2**17, 2**22)])
    assert alpha == pytest.approx(2e-5)
    assert beta == pytest.approx(3e9)
