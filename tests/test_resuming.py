"""A training that was interrupted goes on from its checkpoint as if nothing had been."""

import numpy as np
import pytest

import scratchnet as sn
from tests.test_callbacks import network


def train(engine, stripes, epochs, **options):
    model = network(engine)
    optimizer = sn.Adam(sn.Cosine(0.01, steps=20))
    history = model.fit(*stripes, epochs=epochs, batch_size=16, optimizer=optimizer, verbose=False, **options)
    return model, optimizer, history


def arrays(model, optimizer):
    memory = {f"{name}[{i}]": a for name, slots in optimizer.memory.items() for i, a in enumerate(slots)}
    return {**model.parameters(), **model.state(), **memory}


@pytest.mark.parametrize("interrupted_after", [1, 2, 3])
def test_a_resumed_training_is_the_uninterrupted_one_to_the_last_bit(engine, stripes, tmp_path, interrupted_after):
    path = tmp_path / "checkpoint.safetensors"
    model, optimizer, history = train(engine, stripes, epochs=4)
    train(engine, stripes, epochs=interrupted_after, callbacks=[sn.Checkpoint(path)])
    again, its_optimizer, its_history = train(engine, stripes, epochs=4, resume=path)

    assert its_optimizer.steps == optimizer.steps == 20
    for name, array in arrays(model, optimizer).items():
        np.testing.assert_array_equal(arrays(again, its_optimizer)[name], array, err_msg=name)
    for logs, its_logs in zip(history.epochs, its_history.epochs, strict=True):
        assert {**logs, "seconds": 0} == {**its_logs, "seconds": 0}


def test_a_training_that_was_finished_is_not_trained_again(stripes, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    model, optimizer, history = train("numpy", stripes, epochs=2, callbacks=[sn.Checkpoint(path)])
    again, its_optimizer, its_history = train("numpy", stripes, epochs=2, resume=path)
    assert its_history.epochs == history.epochs
    for name, array in arrays(model, optimizer).items():
        np.testing.assert_array_equal(arrays(again, its_optimizer)[name], array)


@pytest.mark.parametrize(("optimizer", "slots"), [
    (lambda: sn.SGD(0.1, momentum=0.9), 1), (lambda: sn.RMSprop(0.01), 1), (lambda: sn.AdamW(0.01), 2),
])  # fmt: skip
def test_every_optimizers_memory_is_kept(stripes, tmp_path, optimizer, slots):
    path, results = tmp_path / "checkpoint.safetensors", []
    for plan in ([(3, None)], [(1, None), (3, path)]):
        for epochs, resume in plan:
            model, mine = network(), optimizer()
            callbacks = [sn.Checkpoint(path)]
            model.fit(*stripes, epochs=epochs, optimizer=mine, resume=resume, callbacks=callbacks, verbose=False)
        results.append(arrays(model, mine))
    assert len(results[0]) == (1 + slots) * len(network().parameters()) + 2
    for name, array in results[0].items():
        np.testing.assert_array_equal(results[1][name], array)


@pytest.mark.parametrize(("model", "optimizer", "message"), [
    (lambda: network(units=5), sn.Adam, "the checkpoint is of another model"),
    (lambda: network(seed=1), sn.Adam, "the checkpoint is of another model"),
    (network, sn.SGD, "the checkpoint is of another optimizer: Adam instead of SGD"),
])  # fmt: skip
def test_a_checkpoint_of_something_else_is_refused(stripes, tmp_path, model, optimizer, message):
    path = tmp_path / "checkpoint.safetensors"
    train("numpy", stripes, epochs=1, callbacks=[sn.Checkpoint(path)])
    with pytest.raises(sn.ModelFileError, match=message):
        model().fit(*stripes, epochs=2, optimizer=optimizer(), resume=path, verbose=False)


def test_there_must_be_a_checkpoint_to_go_on_from(stripes, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such model file"):
        network().fit(*stripes, resume=tmp_path / "none", verbose=False)
