"""A team of threads: the same results on any number of them, errors that arrive, and nobody who waits for ever."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import team as team_module
from scratchnet.team import Team, available_threads, cpu_quota, ordered_sum, shared_team, split_ranges
from tests.deadlock import within

ROOT = Path(__file__).parents[1]
every_size = pytest.mark.parametrize("threads", [1, 2, 3, 8])


@every_size
@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
def test_results_come_in_the_order_of_the_chunks(threads, count):
    def work(chunk):
        time.sleep(0.001 * (count - chunk.index) / max(count, 1))  # the last is done first
        return chunk.index**2

    assert within(30, lambda: Team(threads).map(work, count)) == [i * i for i in range(count)]


@every_size
def test_a_sum_in_the_middle_reaches_every_chunk(threads):
    def work(chunk):
        first = chunk.sum(np.array([1.0, chunk.index]))
        second = chunk.sum(first * (chunk.index + 1))
        return first.tolist(), second.tolist()

    results = within(30, lambda: Team(threads).map(work, 8))
    assert results == [([8, 28], [8 * 36, 28 * 36])] * 8


@every_size
def test_the_sum_has_its_terms_in_the_order_of_the_chunks(threads):
    parts = [1.0, 1e16, 3.0, -1e16, 2.0**-30, 7.0]  # in another order another number comes out
    left_to_right = 0.0
    for part in parts:
        left_to_right += part
    assert left_to_right != sum(sorted(parts))

    def work(chunk):
        time.sleep(0.002 * ((chunk.index * 5) % 6))
        return float(chunk.sum(np.array(parts[chunk.index])))

    assert within(30, lambda: Team(threads).map(work, len(parts))) == [left_to_right] * len(parts)


@every_size
def test_the_sum_belongs_to_the_chunk_that_asked(threads):
    def work(chunk):
        total = chunk.sum(np.ones(1))
        total *= chunk.index  # must not reach the others
        again = chunk.sum(np.zeros(1))
        return float(total[0] + again[0])

    assert within(30, lambda: Team(threads).map(work, 5)) == [0, 5, 10, 15, 20]


def test_a_sum_leaves_the_parts_as_they_are():
    parts = [np.ones(2), np.ones(2)]
    assert ordered_sum(parts).tolist() == [2, 2]
    assert parts[0].tolist() == parts[1].tolist() == [1, 1]


@every_size
def test_the_error_of_the_first_chunk_that_fails_reaches_the_caller(threads):
    def work(chunk):
        time.sleep(0.002 * (5 - chunk.index))  # later chunks fail sooner
        if chunk.index in (1, 4):
            raise KeyError(f"chunk {chunk.index}")

    with pytest.raises(KeyError, match="chunk 1"):
        within(30, lambda: Team(threads).map(work, 6))


@every_size
@pytest.mark.parametrize("failing", [0, 3, 7])
def test_nobody_waits_for_a_chunk_that_failed(threads, failing):
    team = Team(threads)

    def work(chunk):
        chunk.sum(np.ones(1))
        if chunk.index == failing:
            raise ZeroDivisionError("this one")
        return float(chunk.sum(np.ones(1))[0])

    with pytest.raises(ZeroDivisionError, match="this one"):
        within(30, lambda: team.map(work, 8))
    assert within(30, lambda: team.map(lambda chunk: float(chunk.sum(np.ones(1))[0]), 8)) == [8.0] * 8


def test_parts_that_do_not_fit_are_an_error_and_not_a_wait():
    with pytest.raises(ValueError):
        within(30, lambda: Team(2).map(lambda chunk: chunk.sum(np.ones(chunk.index + 2)), 3))


def test_even_an_interrupt_arrives():
    def work(chunk):
        if chunk.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        within(30, lambda: Team(2).map(work, 4))


@every_size
def test_a_chunk_may_use_the_team_itself(threads):
    team = Team(threads)

    def inner(chunk):
        return float(chunk.sum(np.array([chunk.index + 1.0]))[0])

    def outer(chunk):
        before = float(chunk.sum(np.ones(1))[0])
        return before, sum(team.map(inner, 3)), float(chunk.sum(np.ones(1))[0])

    assert within(30, lambda: team.map(outer, 5)) == [(5.0, 18.0, 5.0)] * 5


@every_size
def test_sixteen_threads_may_use_one_team_at_once(threads):
    team, answers, start = Team(threads), [None] * 16, threading.Barrier(16)

    def caller(number):
        start.wait(timeout=30)
        work = lambda chunk: float(chunk.sum(np.array([number * 1.0]))[0]) + chunk.index  # noqa: E731
        answers[number] = [team.map(work, 6) for _ in range(5)]

    callers = [threading.Thread(target=caller, args=(i,), daemon=True) for i in range(16)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(60)
    assert answers == [[[6.0 * i + k for k in range(6)]] * 5 for i in range(16)]


@every_size
def test_no_more_than_the_teams_number_compute_at_once(threads):
    lock, busy, most = threading.Lock(), 0, 0

    def compute():
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.002)
        with lock:
            busy -= 1

    def work(chunk):
        compute()
        chunk.sum(np.ones(1))
        compute()

    within(30, lambda: Team(threads).map(work, 12))
    assert most <= threads


def test_a_team_does_not_make_new_threads_for_every_map():
    team, names = Team(3), set()
    for _ in range(40):
        within(30, lambda: team.map(lambda chunk: (time.sleep(0.001), names.add(threading.get_ident())), 6))
    alive = [thread for thread in threading.enumerate() if thread.ident in names and thread.name == "scratchnet"]
    assert len(alive) <= 4  # one more than two may start while another is on its way to rest


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not say")
def test_each_thread_has_a_processor_of_its_own_where_all_are_needed_and_the_caller_is_free_again():
    before = os.sched_getaffinity(0)

    def work(chunk):
        time.sleep(0.002)
        return os.sched_getaffinity(0)

    seen = Team(len(before)).map(work, 4 * len(before))
    assert os.sched_getaffinity(0) == before
    if len(before) > 1:
        assert all(len(allowed) == 1 for allowed in seen)
        assert set().union(*seen) <= before
    assert Team(len(before) + 1).map(work, 4 * len(before) + 4) == [before] * (4 * len(before) + 4)


IN_A_CHILD = """
import os, sys, threading, time
import numpy as np
from scratchnet.team import Team

team = Team(3)
work = lambda chunk: (time.sleep(0.002), float(chunk.sum(np.ones(1))[0]))[1]
assert team.map(work, 8) == [8.0] * 8
if "locked" in sys.argv:  # the moment of the fork is not ours to choose: another thread may hold the lock
    for workers in team.workers:
        workers.lock.acquire()
child = os.fork()
if not child:
    os._exit(0 if team.map(work, 8) == [8.0] * 8 == team.map(work, 8) else 1)
if "locked" in sys.argv:
    for workers in team.workers:
        workers.lock.release()
assert os.waitpid(child, 0)[1] == 0
assert team.map(work, 8) == [8.0] * 8
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("moment", ["quiet", "locked"])
def test_a_team_still_works_after_a_fork_in_parent_and_child(moment):
    subprocess.run([sys.executable, "-W", "ignore", "-c", IN_A_CHILD, moment], check=True, timeout=60, cwd=ROOT)


def test_cut_covers_everything_once():
    assert [list(range(10))[part] for part in split_ranges(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert split_ranges(0, 4) == [] and split_ranges(3, 100) == [slice(0, 3)]


@pytest.mark.parametrize("size", [0, -1])
def test_pieces_of_nothing_are_refused(size):
    with pytest.raises(ValueError, match=f"must hold at least 1 example, got a size of {size}"):
        split_ranges(5, size)


@pytest.mark.parametrize(("content", "quota"), [
    ("150000 100000", 1.5), ("max 100000", float("inf")), ("", float("inf")), ("nonsense", float("inf")),
])  # fmt: skip
def test_the_quota_of_a_container_is_read(tmp_path, content, quota):
    path = tmp_path / "cpu.max"
    path.write_text(content)
    assert cpu_quota(str(path)) == quota


def test_without_a_control_group_there_is_no_limit(tmp_path):
    assert cpu_quota(str(tmp_path / "none")) == float("inf")


@pytest.mark.parametrize(("cores", "quota", "threads"), [
    (8, float("inf"), 8), (8, 1.5, 1), (8, 0.2, 1), (8, 2.9, 2), (1, 16.0, 1), (300, float("inf"), 64), (300, 99.0, 64),
])  # fmt: skip
def test_threads_are_what_affinity_and_quota_allow(monkeypatch, cores, quota, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    monkeypatch.setattr(team_module, "cpu_quota", lambda: quota)
    assert available_threads() == threads
    assert type(available_threads()) is int


@pytest.mark.parametrize(("setting", "threads"), [("3", 3), (" 3 ", 3), ("3,2", 3), ("100", 8), ("", 8)])
def test_omp_num_threads_lowers_the_default_and_never_raises_it(monkeypatch, setting, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(team_module, "cpu_quota", lambda: float("inf"))
    assert available_threads() == threads
    monkeypatch.setattr(team_module._Shared, "team", None)
    assert shared_team().threads == threads
    sn.set_threads(5)
    assert shared_team().threads == 5


@pytest.mark.parametrize("setting", ["0", "-1", "many", "2.5", ",2"])
def test_an_omp_num_threads_that_is_no_number_is_ignored_with_a_warning(monkeypatch, setting):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    with pytest.warns(UserWarning, match=r"OMP_NUM_THREADS=.* is no positive integer"):
        assert available_threads() >= 1


@pytest.mark.parametrize("three", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_set_threads_changes_the_team_that_models_share(three):
    sn.set_threads(three)
    assert shared_team().threads == 3 and type(shared_team().threads) is int and shared_team() is shared_team()


@pytest.mark.parametrize("n", [0, -2, 1.0, "2", None, True, np.True_, np.float64(2), 257])
def test_a_number_of_threads_that_is_none_is_refused(n):
    with pytest.raises(ValueError, match="set_threads needs an integer from 1 to 256, got"):
        sn.set_threads(n)
