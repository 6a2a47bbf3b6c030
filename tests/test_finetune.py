"""scripts/finetune.py: what is frozen stays, the new classes are learned, and old and new are measured."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import scratchnet as sn
from scratchnet import commands, transfer
from scratchnet.data import write_idx_dataset
from tests.patterns import stripes_folder
from tests.test_freezing import network

QUICK = ["--engine", "numpy", "--epochs", "15", "--batch-size", "16", "--lr", "0.003", "--quiet"]
NAMES = ["horizontal", "vertical", "falling", "rising"]


@pytest.fixture
def known(tmp_path, stripes, monkeypatch, no_pictures):
    """The folder of a run that knows four kinds of stripes, in the current folder."""
    monkeypatch.chdir(tmp_path)
    x, y = stripes
    write_idx_dataset("stripes", ((x, y.astype(np.uint8)),) * 2)
    model = network()
    model.fit(x, y, epochs=30, batch_size=16, optimizer=sn.Adam(3e-3), verbose=False)
    model.save("known/model.safetensors")
    settings = {"dataset": "stripes", "data_dir": str(tmp_path / "stripes")}
    (tmp_path / "known/config.json").write_text(json.dumps(settings))
    return "known"


def finetune(*words):
    return commands.main(["finetune", *map(str, words)])


def table(said):
    """Name of the test images -> (before, after), as printed."""
    rows = re.findall(r"^(\S+, (?:new|old)) \(\d+\) +(\S+(?: classes)?) +(\S+(?: classes)?)\s*$", said, re.MULTILINE)
    return {name: (before, after) for name, before, after in rows}


def percent(text):
    return float(text.rstrip("%"))


def test_other_classes_get_a_new_head_and_the_convolutions_stay(known, stripes, capsys):
    x, y = stripes
    write_idx_dataset("two", ((x, (y // 2).astype(np.uint8)),) * 2, ["straight", "diagonal"])
    assert finetune(known, "--data-dir", "two", "--out", "out", *QUICK) == 0
    found = table(capsys.readouterr().out)
    assert percent(found["two, new"][1]) > 90 and found["two, new"][0] != "other classes"
    assert percent(found["stripes, old"][0]) > 90 and found["stripes, old"][1] == "other classes"
    old, new = (sn.load_model(f"{folder}/model.safetensors", "numpy") for folder in (known, "out"))
    assert new.class_names == ["straight", "diagonal"] and transfer.frozen(new) == ["1.conv2d", "4.conv2d"]
    for i in (1, 4):
        assert new.layers[i].W.tobytes() == old.layers[i].W.tobytes()
    assert (new.layers[7].W != old.layers[7].W).any()
    metrics = json.loads(open("out/metrics.json").read())
    assert metrics["frozen"] == ["1.conv2d", "4.conv2d"] and metrics["trained_parameters"] < metrics["parameters"]


def test_the_result_is_a_run_that_the_other_programs_read(known, stripes, capsys):
    x, y = stripes
    write_idx_dataset("two", ((x, (y // 2).astype(np.uint8)),) * 2, ["straight", "diagonal"])
    assert finetune(known, "--data-dir", "two", *QUICK) == 0
    capsys.readouterr()
    assert commands.main(["evaluate", "latest", "--engine", "numpy"]) == 0
    assert "80 test images (two)" in capsys.readouterr().out
    assert finetune("latest", "--data-dir", "stripes", "--out", "back", *QUICK) == 0
    found = table(capsys.readouterr().out)
    assert found.keys() == {"stripes, new", "two, old"} and percent(found["stripes, new"][1]) > 90


def test_the_same_classes_keep_their_head_and_the_old_images_are_measured_again(known, stripes, capsys):
    x, y = stripes
    write_idx_dataset("renamed", ((x, ((y + 1) % 4).astype(np.uint8)),) * 2)  # what was class 0 is class 1 now
    assert finetune(known, "--data-dir", "renamed", "--freeze", "none", "--out", "out", *QUICK, "--epochs", 60) == 0
    found = table(capsys.readouterr().out)
    assert percent(found["renamed, new"][0]) < 10 and percent(found["renamed, new"][1]) > 90
    assert percent(found["stripes, old"][0]) > 90 and percent(found["stripes, old"][1]) < 10  # forgotten
    assert finetune(known, "--data-dir", "renamed", "--new-head", "--out", "other", *QUICK) == 0
    first = sn.load_model(f"{known}/model.safetensors", "numpy").with_head(4).layers[9].W
    assert not np.array_equal(sn.load_model("other/model.safetensors", "numpy").layers[9].W, first)


def test_pictures_are_scaled_to_the_models_size_and_kept_with_the_run(known, stripes, tmp_path, capsys):
    for image, label in zip(*stripes, strict=True):
        (folder := tmp_path / "photos" / NAMES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((30, 30)).save(folder / f"{len(list(folder.iterdir()))}.png")
    assert finetune(known, "--images", "photos", "--freeze", "..4", "--out", "out", *QUICK) == 0
    found = table(capsys.readouterr().out)
    assert percent(found["photos, new"][1]) > 80 and found["stripes, old"][1] == "other classes"
    assert sn.load_model("out/model.safetensors", "numpy").class_names == sorted(NAMES)
    assert commands.main(["evaluate", "out", "--engine", "numpy"]) == 0


def test_a_model_file_alone_has_no_old_test_images_unless_they_are_named(known, tmp_path, capsys):
    (tmp_path / "m.safetensors").write_bytes((tmp_path / known / "model.safetensors").read_bytes())
    stripes_folder(tmp_path / "more")
    assert finetune("m.safetensors", "--data-dir", "more", "--out", "a", *QUICK) == 0
    assert table(capsys.readouterr().out).keys() == {"more, new"}
    assert finetune("m.safetensors", "--data-dir", "more", "--old-data-dir", "stripes", "--out", "b", *QUICK) == 0
    assert table(capsys.readouterr().out).keys() == {"more, new", "stripes, old"}


def test_old_test_images_that_are_gone_are_a_line_and_no_error(known, tmp_path, capsys):
    stripes_folder(tmp_path / "more")
    (tmp_path / "stripes").rename(tmp_path / "moved")
    assert finetune(known, "--data-dir", "more", "--out", "a", *QUICK) == 0
    said = capsys.readouterr()
    assert "not compared on the old test images: known: was trained on the data in" in said.err


@pytest.mark.parametrize(("words", "message"), [
    (["--data-dir", "small"], "images of 8×8×1, and the model takes 10×10×1"),
    (["--data-dir", "nowhere"], "there is no train-images"),
    (["--data-dir", "stripes", "--freeze", "pool"], "no layer is called 'pool'"),
    (["--data-dir", "stripes", "--freeze", ".."], "every layer with parameters is frozen"),
])  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_no_folder(words, message, known, tmp_path, capsys):
    images, labels = np.zeros((8, 8, 8), np.uint8), np.arange(8, dtype=np.uint8) % 4
    write_idx_dataset("small", ((images, labels),) * 2)
    assert finetune(known, *words, *QUICK) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("error: ") and err.count("\n") == 1
    assert not [path for path in tmp_path.glob("runs/*") if path.is_dir()]


@pytest.mark.parametrize("words", [[], ["--data-dir", "a", "--images", "b"], ["--data-dir", "a", "--digits"]])
def test_options_that_do_not_go_together_are_refused(words, known):
    with pytest.raises(SystemExit, match="2"):
        finetune(known, *words)


@pytest.mark.parametrize("source", ["--data-dir", "--images"])
def test_an_interrupted_fine_tuning_resumes_to_the_same_bits(source, known, stripes, tmp_path, monkeypatch, capsys):
    x, y = stripes
    write_idx_dataset("two", ((x, (y // 2).astype(np.uint8)),) * 2, ["straight", "diagonal"])
    for i, (image, label) in enumerate(zip(x, y // 2, strict=True)):
        (folder := tmp_path / "photos" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    words = [source, {"--data-dir": "two", "--images": "photos"}[source], *QUICK, "--epochs", "6"]
    assert finetune(known, *words, "--out", "whole") == 0
    logged = sn.CSVLogger.on_epoch_end

    def interrupted(self, run, logs):
        logged(self, run, logs)
        if logs["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sn.CSVLogger, "on_epoch_end", interrupted)
        assert finetune(known, *words, "--out", "stopped") == 130
    assert re.search(
        r"stopped; saved in epoch 2, .* Resume with: .*finetune.* --resume stopped", capsys.readouterr().err
    )
    if source == "--images":  # its pictures are kept with the run
        (tmp_path / "photos").rename(tmp_path / "moved")
    assert finetune("--resume", "stopped", "--quiet") == 0
    whole, stopped = (sn.load_model(tmp_path / name / "model.safetensors", "numpy") for name in ("whole", "stopped"))
    assert [a.tobytes() for a in whole.get_weights()] == [a.tobytes() for a in stopped.get_weights()]
    assert whole.config() == stopped.config()
    assert percent(next(iter(table(capsys.readouterr().out).values()))[1]) > 80


def test_resuming_with_other_layers_frozen_is_an_error(known, capsys):
    assert finetune(known, "--data-dir", "stripes", "--out", "out", *QUICK) == 0
    assert finetune("--resume", "out", "--freeze", "..1", "--epochs", "20", "--quiet") == 2
    assert "frozen" in capsys.readouterr().err


def test_a_batchnorm_behind_frozen_filters_is_frozen_with_them():
    model = network(kind="batchnorm")
    model.freeze("conv")
    assert transfer.freeze_normalisation(model) == ["2.batchnorm", "7.batchnorm"]
    assert transfer.freeze_normalisation(model) == []
    model.unfreeze()
    model.freeze("11.dense")
    assert transfer.freeze_normalisation(model) == ["12.batchnorm"]
