"""What more cores would do is computed from tasks: the schedule is that of the scheduler, and its bounds hold."""

import cores
import numpy as np
import pytest
from cores import Task

import scratchnet as sn
from scratchnet.compiled.execution.native import replay
from scratchnet.compiled.jit.kernel import Kernel

needs_native_code = pytest.mark.skipif(not isinstance(replay, Kernel), reason="NUMBA_DISABLE_JIT is set")
CHUNKS = [Task(1.0, 0), *[Task(4.0, 1)] * 8, *[Task(0.5, 9)] * 3]


def data(images=64):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (images, 28, 28)).astype(np.uint8)
    return {"x": x, "y": np.arange(images) % 10, "order": np.arange(images)}


def test_one_core_needs_the_sum_of_all_tasks():
    assert cores.finished(CHUNKS, 1) == 1 + 8 * 4 + 1.5


def test_a_ninth_core_has_nothing_to_do_for_eight_chunks():
    assert cores.finished(CHUNKS, 8) == 1 + 4 + 0.5 == cores.finished(CHUNKS, 64) == cores.critical(CHUNKS)
    assert cores.finished(CHUNKS, 7) == 1 + 8 + 0.5  # one of them does two


def test_a_core_takes_the_next_task_when_it_is_free():
    uneven = [Task(5.0, 0), Task(1.0, 0), Task(1.0, 0), Task(1.0, 0)]
    assert cores.finished(uneven, 2) == 5


def test_every_phase_costs_a_handover_unless_there_is_one_core():
    assert cores.finished(CHUNKS, 8, handover=0.1) == pytest.approx(cores.finished(CHUNKS, 8) + 3 * 0.1)
    assert cores.finished(CHUNKS, 1, handover=0.1) == cores.finished(CHUNKS, 1)


@needs_native_code
def test_a_step_with_stopwatches_is_the_same_step():
    plain, timed = (cores.Training("two-conv", 32, data()) for _ in range(2))
    plain.steps(1, 2)
    plain.steps(1, 4)
    chunks, tasks, python = timed.tasks(4)
    ours, theirs = timed.model.parameters(), plain.model.parameters()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert chunks == 2 and python >= 0 and all(task.seconds >= 0 for task in tasks)
    assert [task.after for task in tasks] == sorted(task.after for task in tasks)


@needs_native_code
def test_a_preset_with_python_between_its_kernels_is_refused():
    training = cores.Training("two-conv", 32, data())
    training.loss = lambda logits, labels: sn.SoftmaxCrossEntropy()(logits, labels)
    with pytest.raises(ValueError, match="Python functions"):
        training.tasks(1)
