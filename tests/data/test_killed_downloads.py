"""Downloads that are killed, with SIGKILL, which nobody can catch: the others go on, and nothing stays behind."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import mnist
from tests.data.mirror import CONTENT, IMAGES, SHA256, serving

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, requests
from scratchnet.data import mnist
from tests.data.mirror import SHA256
mnist.SHA256, mnist.MIRRORS = SHA256, (sys.argv[2],)
print("ready", flush=True)
mnist.load_mnist(sys.argv[1])
"""


@pytest.fixture
def server(monkeypatch):
    """A mirror that needs 0.15 s for each of the four files, for this process and those that it starts."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("SCRATCHNET_MNIST_MIRROR", raising=False)
    monkeypatch.setattr(mnist, "SHA256", SHA256)
    with serving() as server:
        monkeypatch.setattr(mnist, "MIRRORS", (server.mirror("good"),))
        yield server


def start(folder, server):
    """A process that downloads the four files, as far as its being ready to."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), server.mirror("slow")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return process


def kill_after(process, seconds):
    """Kill it so many seconds after it has said that it is ready."""
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.kill()
    process.communicate(timeout=60)


def assert_the_next_run_succeeds_and_tidies_up(folder):
    (x_train, _), _ = mnist.load_mnist(folder)
    np.testing.assert_array_equal(x_train, IMAGES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(CONTENT)


def eight_processes_of_which_five_are_killed(folder, server, rng):
    processes = [start(folder, server) for _ in range(8)]
    for process in processes[:5]:
        kill_after(process, rng.uniform(0, 0.15))
    for process in processes[5:]:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert_the_next_run_succeeds_and_tidies_up(folder)


def one_process_killed_somewhere(folder, server, rng):
    kill_after(start(folder, server), rng.uniform(0, 0.8))
    assert_the_next_run_succeeds_and_tidies_up(folder)


def test_D7_survivors_succeed_and_the_killed_leave_nothing_for_long(server, tmp_path):
    eight_processes_of_which_five_are_killed(tmp_path, server, random.Random(0))


@pytest.mark.parametrize("seed", range(4))
def test_D7_a_download_killed_anywhere_is_made_up_for_by_the_next(seed, server, tmp_path):
    one_process_killed_somewhere(tmp_path, server, random.Random(seed))


def test_D7_a_killed_download_has_left_a_part_before_the_next_run(server, tmp_path):
    process = start(tmp_path, server)
    assert process.stdout.readline() == b"ready\n"
    while not list(tmp_path.glob(".*.part")):
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    assert list(tmp_path.glob(".*.part"))
    assert_the_next_run_succeeds_and_tidies_up(tmp_path)


@pytest.mark.long
def test_D7_twenty_rounds_of_eight_processes(server, tmp_path):
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        eight_processes_of_which_five_are_killed(tmp_path / str(seed), server, random.Random(seed))


@pytest.mark.long
def test_D7_fifty_downloads_killed_anywhere(server, tmp_path):
    for seed in range(50):
        (tmp_path / str(seed)).mkdir()
        one_process_killed_somewhere(tmp_path / str(seed), server, random.Random(seed))
