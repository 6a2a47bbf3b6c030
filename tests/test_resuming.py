"""M5: an interrupted run resumes from its checkpoint with bit-identical results."""

import warnings

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.checkpoint.setup import differences
from tests.interrupted import train
from tests.test_callbacks import network


class EveryPosition(sn.Checkpoint):
    """Keeps every checkpoint, under the position at which it was written."""

    def save(self, run):
        self.path = self.path.with_name("{}-{}".format(*run.position))
        super().save(run)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The result of a training of 2 epochs of 40 batches, and a folder with the checkpoint of every position."""
    folder = tmp_path_factory.mktemp("positions")
    every = EveryPosition(folder / "x", every_batches=1)
    return train(tmp_path_factory.mktemp("other"), every), folder


def test_M5_resumed_at_any_batch_a_training_ends_with_the_same_bits(uninterrupted, tmp_path):
    expected, folder = uninterrupted
    positions = sorted(path.name for path in folder.iterdir())
    assert len(positions) == 82  # after each of 2 · 40 batches, and of 2 evaluations
    for position in positions:
        assert train(tmp_path, resume=folder / position, save=False) == expected, position


def test_M5_the_compiled_engine_resumes_to_the_same_bits_on_any_number_of_threads(tmp_path):
    pytest.importorskip("numba")
    every = EveryPosition(tmp_path / "x", every_batches=7)
    expected = train(tmp_path / "other", every, engine="numba")
    for position, threads in (("0-7", 1), ("0-35", 3), ("1-0", 2), ("1-14", 5)):
        sn.set_threads(threads)
        assert train(tmp_path, resume=tmp_path / position, engine="numba", save=False) == expected


def test_M5_a_training_that_was_interrupted_twice_is_still_the_same(uninterrupted, tmp_path):
    expected, folder = uninterrupted

    class Stop(sn.Callback):
        def on_batch_end(self, run, logs):
            if run.optimizer.steps == 55:
                raise RuntimeError("the power failed")

    with pytest.raises(RuntimeError):
        third = sn.Checkpoint(tmp_path / "checkpoint.safetensors", every_batches=3)
        train(tmp_path, Stop(), third, resume=folder / "0-23")
    assert train(tmp_path, resume=tmp_path) == expected


def test_M5_more_epochs_go_on_where_fewer_ended(uninterrupted, tmp_path):
    longer = train(tmp_path / "a", epochs=3)
    assert train(tmp_path / "b", resume=uninterrupted[1] / "2-0", epochs=3) == longer
    assert longer[1][:2] == uninterrupted[0][1]


def test_a_training_that_was_finished_is_not_trained_again(uninterrupted, tmp_path):
    seen = []
    note = sn.LambdaCallback(on_batch_end=lambda run, logs: seen.append(1))
    assert train(tmp_path, note, resume=uninterrupted[1] / "2-0") == uninterrupted[0]
    assert not seen


def test_a_training_that_stopped_early_stays_stopped(stripes, tmp_path):
    def run(epochs, resume=None):
        model, stop = network(), sn.EarlyStopping("lr", patience=2)  # constant: it stops after epoch 3
        history = model.fit(
            *stripes, epochs=epochs, batch_size=16, callbacks=[stop, sn.Checkpoint(tmp_path / "c")], resume=resume,
            verbose=False,
        )  # fmt: skip
        return [a.tobytes() for a in {**model.parameters(), **model.state()}.values()], history["epoch"]

    whole = run(epochs=9)
    assert whole[1] == [1, 2, 3]
    assert run(epochs=9, resume=tmp_path / "c") == whole  # and the best weights are brought back again


def test_a_callback_of_ones_own_remembers_what_it_names(tmp_path):
    class Count(sn.Callback):
        memory = ("batches", "epochs", "mean", "strange")

        def on_train_begin(self, run):
            self.batches, self.epochs, self.mean, self.strange = 0, 0, {}, [float("nan"), None, {"x": -float("inf")}]

        def on_epoch_begin(self, run):
            self.epochs += 1

        def on_batch_end(self, run, logs):
            self.batches += 1
            self.mean = {"W": run.model.parameters()["1.conv2d.W"] / self.batches}

    every, first, second = EveryPosition(tmp_path / "x", every_batches=1), Count(), Count()
    train(tmp_path / "other", first, every)
    train(tmp_path / "other", second, resume=tmp_path / "1-17")
    assert (first.batches, first.epochs) == (second.batches, second.epochs) == (80, 2)
    np.testing.assert_array_equal(first.mean["W"], second.mean["W"])
    assert repr(second.strange) == "[nan, None, {'x': -inf}]"


def test_what_cannot_be_remembered_is_named(stripes, tmp_path):
    class Bad(sn.Callback):
        memory = ("thing",)
        thing = object()

    with pytest.raises(sn.ModelFileError, match=r"Bad.thing cannot be kept in a checkpoint: expected numbers"):
        network().fit(*stripes, callbacks=[Bad(), sn.Checkpoint(tmp_path / "c")], verbose=False)


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
        memory = [array for arrays in mine.memory.values() for array in arrays]
        results.append([a.tobytes() for a in (*model.parameters().values(), *model.state().values(), *memory)])
    assert len(results[0]) == (1 + slots) * len(network().parameters()) + 2
    assert results[0] == results[1]


# a different run


def fit(stripes, path, resume=None, model=network, **change):
    x, labels = stripes
    settings = {
        "optimizer": sn.Adam(sn.StepDecay(0.01, every=10)), "batch_size": 16, "validation_data": (x[:8], labels[:8]),
        "callbacks": [sn.EarlyStopping(patience=3)], "x": x, "y": labels, **change,
    }  # fmt: skip
    settings["callbacks"] = [*settings["callbacks"], sn.Checkpoint(path)]
    return model().fit(epochs=2, resume=resume, verbose=False, **settings)


def changed(x):
    x = x.copy()
    x[40, 5, 5] += 1
    return x


@pytest.mark.parametrize(("change", "message"), [
    ({"model": lambda: network(units=5)}, r"model.layers\[7\].units was 4 and is 5"),
    ({"model": lambda: network(seed=1)}, r"model.seed was 0 and is 1"),
    ({"optimizer": sn.SGD(0.01)}, r"optimizer was Adam and is SGD"),
    ({"optimizer": sn.Adam(0.01)}, r"optimizer.lr was StepDecay and is 0.01"),
    ({"optimizer": sn.Adam(sn.StepDecay(0.01, every=20))}, r"optimizer.lr.every was 10 and is 20"),
    ({"optimizer": sn.Adam(sn.StepDecay(0.01, every=10), beta2=0.9)}, r"optimizer.beta2 was 0.999 and is 0.9"),
    ({"batch_size": 8}, "batch_size was 16 and is 8"),
    ({"loss": sn.SoftmaxCrossEntropy(0.1)}, r"loss.label_smoothing was 0.0 and is 0.1"),
    ({"augment": lambda x, rng: x}, "augment was None and is '.*<lambda>'"),
    ({"callbacks": []}, r"callbacks\[0\] was EarlyStopping and is not there"),
    ({"callbacks": [sn.EarlyStopping(patience=4)]}, r"callbacks\[0\].patience was 3 and is 4"),
    ({"validation_data": None}, r"validation_data.x was 'uint8 .* and is None"),
])  # fmt: skip
def test_M5_another_training_is_refused_by_the_name_of_what_differs(stripes, tmp_path, change, message):
    fit(stripes, tmp_path / "c")
    with pytest.raises(sn.ModelFileError, match=f"c: the checkpoint belongs to a different run: {message}") as caught:
        fit(stripes, tmp_path / "new", resume=tmp_path / "c", **change)
    assert "Resume with the original settings and data, or start a new run." in str(caught.value)


def test_M5_other_data_is_refused_even_if_one_pixel_or_label_differs(stripes, tmp_path):
    fit(stripes, tmp_path / "c")
    x, labels = stripes
    for change, name in (({"x": changed(x)}, "data.x"), ({"y": np.roll(labels, 1)}, "data.y")):
        with pytest.raises(sn.ModelFileError, match=rf"a different run: {name} was '.* and is '"):
            fit(stripes, tmp_path / "new", resume=tmp_path / "c", **change)


def test_everything_that_differs_is_named_at_once():
    then = {"optimizer": {"class": "SGD", "lr": 0.1}, "batch_size": 8, "callbacks": []}
    now = {"optimizer": {"class": "SGD", "lr": 0.2}, "batch_size": 9, "callbacks": [{"class": "EarlyStopping"}]}
    assert differences(then, now) == [
        "optimizer.lr was 0.1 and is 0.2", "batch_size was 8 and is 9",
        "callbacks[0] was not there and is EarlyStopping",
    ]  # fmt: skip


def test_callbacks_that_only_look_on_may_come_and_go(stripes, tmp_path):
    fit(stripes, tmp_path / "c")
    look_on = [sn.CSVLogger(tmp_path / "h.csv"), sn.EarlyStopping(patience=3), sn.Progress()]
    assert len(fit(stripes, tmp_path / "new", resume=tmp_path / "c", callbacks=look_on).epochs) == 2


def test_a_refused_resume_changes_nothing(stripes, tmp_path):
    fit(stripes, tmp_path / "c")
    model, before = network(), [a.tobytes() for a in network().parameters().values()]
    with pytest.raises(sn.ModelFileError):
        model.fit(*stripes, batch_size=9, resume=tmp_path / "c", verbose=False)
    assert [a.tobytes() for a in model.parameters().values()] == before


def test_there_must_be_a_checkpoint_to_go_on_from(stripes, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such model file"):
        network().fit(*stripes, resume=tmp_path / "none", verbose=False)
    with pytest.raises(FileNotFoundError, match=r"checkpoint.safetensors: no such model file. There is nothing to"):
        network().fit(*stripes, resume=tmp_path, verbose=False)


def test_a_model_file_is_not_a_checkpoint(stripes, tmp_path):
    network().save(tmp_path / "model.safetensors")
    with pytest.raises(sn.ModelFileError, match=r"model.safetensors: a model file, not a checkpoint"):
        network().fit(*stripes, resume=tmp_path / "model.safetensors", verbose=False)


def test_resuming_a_whole_checkpoint_warns_of_nothing(uninterrupted, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path, resume=uninterrupted[1] / "1-3")
