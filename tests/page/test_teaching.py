"""Corrections that are kept, and learning from them: files, lessons, and the routes of the page."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.data.idx import DataFileError
from scratchnet.page.corrections import Corrections, corrections_folder
from scratchnet.page.teach import learn, mixture
from tests.page.serving import BYTES, ask, images, served, small_model
from tests.patterns import stripes as more_stripes

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from scratchnet.page.classroom import Classroom, free_name
from scratchnet.page.server_teaching import teaching_routes

JSON, NAMES = "application/json", ["0", "1", "2", "3"]


@pytest.fixture(scope="module")
def reader():
    """A network that reads stripes."""
    model = small_model()
    x, y = more_stripes()
    model.fit(x[:240], y[:240], epochs=3, batch_size=16, optimizer=sn.Adam(0.01), verbose=False)
    assert model.evaluate(x[240:], y[240:])["accuracy"] > 0.8
    return model


def dots(rng, n, label):
    """Pictures of another kind: bright dots, which the network has never seen."""
    x = np.zeros((n, 10, 10, 1), np.uint8)
    for image in x:
        image[rng.integers(1, 9, 12), rng.integers(1, 9, 12)] = 255
    return x, np.full(n, label)


# what is kept


def test_corrections_are_idx_files_that_another_program_reads(tmp_path, rng):
    kept, x = Corrections(tmp_path / "mine", (10, 10, 1), NAMES), images(rng, 3)
    assert not (tmp_path / "mine").exists()
    assert [kept.add(image, label) for image, label in zip(x, (3, 0, 3), strict=True)] == [1, 2, 3]
    np.testing.assert_array_equal(sn.read_idx(tmp_path / "mine" / "train-images-idx3-ubyte"), x[..., 0])
    np.testing.assert_array_equal(sn.read_idx(tmp_path / "mine" / "train-labels-idx1-ubyte"), [3, 0, 3])
    assert (tmp_path / "mine" / "classes.txt").read_text() == "0\n1\n2\n3\n"
    again = Corrections(tmp_path / "mine", (10, 10, 1), NAMES)
    np.testing.assert_array_equal(again.x, x)
    assert again.add(x[0], 2) == 3 and again.y.tolist() == [0, 3, 2]  # the same image, corrected once more
    assert again.forget(0) == 2 and Corrections(tmp_path / "mine", (10, 10, 1), NAMES).y.tolist() == [3, 2]


def test_images_in_colour_are_kept_too(tmp_path, rng):
    x = images(rng, 2, (8, 6, 3))
    kept = Corrections(tmp_path, (8, 6, 3), NAMES)
    kept.add(x[0], 1)
    kept.add(x[1], 2)
    np.testing.assert_array_equal(sn.read_idx(tmp_path / "train-images-idx4-ubyte"), x)
    np.testing.assert_array_equal(Corrections(tmp_path, (8, 6, 3), NAMES).x, x)


def test_an_image_whose_label_was_not_written_any_more_is_left_out(tmp_path, rng):
    x = images(rng, 3)
    kept = Corrections(tmp_path, (10, 10, 1), NAMES)
    for image in x[:2]:
        kept.add(image, 1)
    sn.write_idx(kept.images, x[..., 0])  # as a program leaves it that was killed between its two files
    assert len(Corrections(tmp_path, (10, 10, 1), NAMES).x) == 2


@pytest.mark.parametrize("other", [((10, 12, 1), NAMES), ((10, 10, 3), NAMES), ((10, 10, 1), NAMES[:2])])
def test_files_of_something_else_are_refused_and_stay_as_they_are(tmp_path, rng, other):
    Corrections(tmp_path, (10, 10, 1), NAMES).add(images(rng, 1)[0], 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    shape, names = other
    if shape == (10, 10, 3):
        (tmp_path / "train-images-idx4-ubyte").write_bytes(before["train-images-idx3-ubyte"])
        before["train-images-idx4-ubyte"] = before["train-images-idx3-ubyte"]
    with pytest.raises(DataFileError, match="--corrections"):
        Corrections(tmp_path, shape, names)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_folder_is_beside_the_users_data_and_one_for_each_kind_of_model(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCHNET_DATA", str(tmp_path))
    digits = sn.Sequential([sn.Flatten(), sn.Dense(10)], (28, 28, 1), engine="numpy")
    clothes = sn.Sequential([sn.Flatten(), sn.Dense(10)], (28, 28, 1), engine="numpy", class_names=list("abcdefghij"))
    assert corrections_folder(digits) == tmp_path / "corrections" / "28x28x1-digits"
    assert corrections_folder(clothes).parent == tmp_path / "corrections"
    assert len({corrections_folder(digits), corrections_folder(clothes), corrections_folder(small_model())}) == 3
    assert corrections_folder(digits, tmp_path / "here") == tmp_path / "here" / "28x28x1-digits"
    monkeypatch.delenv("SCRATCHNET_DATA")
    assert corrections_folder(digits).parts[-3:-1] == ("mnist", "corrections")


# lessons


def test_a_lesson_teaches_the_corrections_and_forgets_little(reader, rng, engine):
    model = small_model(engine)
    model.set_weights(reader.get_weights())
    before = {name: array.copy() for name, array in model.parameters().items()}
    x, y = more_stripes()
    corrections = dots(rng, 6, 3)
    told = []
    lesson = learn(model, corrections, (x[:240], y[:240]), (x[240:], y[240:]), tell=told.append)
    assert lesson.corrections[0] < 0.2 and lesson.corrections[1] >= 0.8
    assert lesson.test[1] >= lesson.test[0] - 0.02 and lesson.test_images == 80 and lesson.other_images == 240
    assert told == sorted(told) and told[-1] == 1.0
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(array, before[name])  # the model itself is not changed
    taught = lesson.model.parameters()
    np.testing.assert_array_equal(taught["1.conv2d.W"], before["1.conv2d.W"])
    assert (taught["5.dense.W"] != before["5.dense.W"]).any()
    assert lesson.corrections[1] == (lesson.model.predict(corrections[0]).argmax(axis=1) == 3).mean()
    assert len(lesson.model.trainable_parameters()) == 4


def test_the_same_corrections_give_the_same_model(reader, rng):
    corrections = dots(rng, 3, 1)
    one, other = (learn(reader, corrections).model.get_weights() for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_a_network_of_convolutions_alone_learns_too(rng):
    layers = [sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.Conv2D(4, 1), sn.GlobalAvgPool2D()]
    model = sn.Sequential(layers, (10, 10, 1), engine="numpy")
    taught = learn(model, dots(rng, 4, 2)).model
    assert (taught.layers[1].W != model.layers[1].W).any() and (taught.layers[4].W != model.layers[4].W).any()


@pytest.mark.parametrize(("n", "times"), [(1, 30), (7, 30), (10, 30), (11, 28), (299, 2), (300, 1), (2000, 1)])
def test_corrections_are_repeated_to_have_a_share(rng, n, times):
    x, y = mixture(np.ones((n, 10, 10, 1), np.uint8), np.full(n, 3), (images(rng, 3000), np.zeros(3000, int)), rng)
    assert ((y == 3).sum(), (y == 0).sum()) == (n * times, 2700) and len(x) == len(y)


# the page


@pytest.fixture
def room(reader, tmp_path):
    """A server on which the reader of stripes is taught."""
    x, y = more_stripes()
    made, model = {}, tmp_path / "stripes.safetensors"
    reader.save(model)

    def routes(site):
        kept = Corrections(tmp_path / "corrections", (10, 10, 1), NAMES)
        made["room"] = Classroom(site, kept, model, lambda: (x[240:], y[240:]), lambda: (x[:240], y[:240]))
        return teaching_routes(site, made["room"])

    with served(sn.load_model(model, "numpy"), routes=routes) as server:
        yield server, made["room"], model


def post(server, path, data=b"{}", kind=JSON):
    return ask(
        server,
        "POST",
        f"/teach/{path}",
        data if isinstance(data, bytes) else json.dumps(data).encode(),
        content_type=kind,
    )


def finished(server):
    for _ in range(400):
        status = ask(server, path="/teach").json
        if status["state"] != "learning":
            return status
        time.sleep(0.05)
    raise AssertionError("the lesson does not end")


def test_a_page_corrects_teaches_uses_and_saves(room, rng):
    server, _, file = room
    before, x = file.read_bytes(), dots(rng, 4, 3)[0]
    assert ask(server, path="/teach").json | {"folder": ""} == {
        "folder": "", "count": 0, "counts": [0, 0, 0, 0], "state": "idle", "share": 0.0, "problem": "", "result": None,
        "uses": "former", "saved": "",
    }  # fmt: skip
    assert post(server, "learn").status == 409
    for image in x:
        assert post(server, "correction?label=3", image.tobytes(), BYTES).status == 201
    shown = ask(server, path="/teach/corrections.json").json
    assert shown["labels"] == [3] * 4 and base64.b64decode(shown["pixels"]) == x.tobytes()
    assert post(server, "use", {"taught": True}).status == 409 and post(server, "save").status == 409

    former = ask(server, path="/model.safetensors")
    assert post(server, "learn").status == 202
    status = finished(server)
    assert status["state"] == "learned" and status["result"]["corrections"][1] >= 0.5, status
    assert ask(server, path="/model.safetensors").headers["etag"] == former.headers["etag"]  # until it is asked for
    assert post(server, "use", {"taught": True}).json["uses"] == "taught"
    assert ask(server, path="/model.safetensors").headers["etag"] != former.headers["etag"]
    answers = [
        ask(server, "POST", "/predict", image.tobytes(), content_type=BYTES).json["probabilities"] for image in x
    ]
    assert (np.argmax(answers, axis=1) == 3).mean() == status["result"]["corrections"][1]

    saved = [Path(post(server, "save").json["saved"]) for _ in range(2)]
    assert [path.name for path in saved] == ["stripes-taught.safetensors", "stripes-taught-2.safetensors"]
    assert sn.load_model(saved[0], "numpy").predict(x).argmax(axis=1).tolist() == np.argmax(answers, axis=1).tolist()
    assert file.read_bytes() == before
    assert post(server, "use", {"taught": False}).json["uses"] == "former"
    assert ask(server, path="/model.safetensors").body == former.body
    assert post(server, "forget", {"index": 0}).json["count"] == 3


@pytest.mark.parametrize(
    ("path", "data", "kind", "status"),
    [
        ("correction?label=4", bytes(100), BYTES, 400), ("correction", b"x" * 100, BYTES, 400),
        ("correction?label=-1", b"x" * 100, BYTES, 400), ("correction?label=³", b"x" * 100, BYTES, 400),
        ("correction?label=00000001", b"x" * 100, BYTES, 400), ("correction?label=1", b"x" * 99, BYTES, 400),
        ("correction?label=1", b"x" * 101, BYTES, 413), ("correction?label=1", bytes(100), BYTES, 400),
        ("correction?label=1", b"x" * 100, "image/png", 415), ("forget", {"index": 0}, JSON, 409),
        ("forget", {"index": True}, JSON, 400), ("forget", {"index": 1e9}, JSON, 400), ("forget", {}, JSON, 400),
        ("use", {"taught": 1}, JSON, 400), ("use", [], JSON, 400), ("learn", b"", JSON, 400),
        ("nothing", {}, JSON, 405),
    ],
)  # fmt: skip
def test_what_is_no_correction_is_refused(room, path, data, kind, status):
    path = path.replace("³", "%C2%B3")
    assert post(room[0], path, data, kind).status == status


def test_a_folder_that_cannot_be_written_is_told(room, rng, monkeypatch):
    server, classroom, _ = room

    def full(path, array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scratchnet.page.corrections.write_idx", full)
    answer = post(server, "correction?label=1", images(rng, 1)[0].tobytes(), BYTES)
    assert answer.status == 507 and "No space left on device. Start with --corrections DIR" in answer.json["error"]
    assert len(classroom.corrections.y) == 0


def test_a_lesson_that_fails_says_why_and_another_can_begin(room, rng, monkeypatch):
    server, classroom, _ = room
    classroom.corrections.add(images(rng, 1)[0], 1)
    monkeypatch.setattr(classroom, "others", lambda: 1 / 0)
    post(server, "learn")
    assert finished(server)["problem"] == "division by zero"
    monkeypatch.setattr(classroom, "others", lambda: None)
    post(server, "learn")
    assert finished(server)["state"] == "learned"


def test_the_end_of_the_server_ends_a_lesson(reader, tmp_path, rng):
    made = {}

    def routes(site):
        kept = Corrections(tmp_path, (10, 10, 1), NAMES)
        kept.add(images(rng, 1)[0], 1)
        made["room"] = Classroom(site, kept, tmp_path, lambda: None, lambda: (images(rng, 5000), np.zeros(5000, int)))
        return teaching_routes(site, made["room"])

    with served(reader, routes=routes) as server:
        assert post(server, "learn").status == 202
        start = time.monotonic()
    made["room"].thread.join(5)
    assert not made["room"].thread.is_alive() and time.monotonic() - start < 5


def test_a_name_is_taken_only_once(tmp_path):
    names = {free_name(tmp_path / "a.safetensors") for _ in range(5)}
    assert len(names) == 5 and all(path.exists() for path in names)
    assert free_name(tmp_path).name == "model-taught.safetensors" and os.listdir(tmp_path)
