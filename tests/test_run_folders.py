"""Where the scripts write, and that they find the data again from anywhere."""

import importlib
import json
import sys

import pytest

import scratchnet as sn
from scratchnet.commands.run_folder import print_how_to_resume
from tests.patterns import stripes_folder

SMALL = ["--preset", "mlp", "--engine", "numpy", "--batch-size", 32, "--epochs", 1, "--quiet"]


@pytest.fixture
def script(monkeypatch, tmp_path, no_pictures):
    """Calls a script's main in a folder of its own, in which `stripes` are the data -> exit code."""
    monkeypatch.chdir(tmp_path)
    stripes_folder(tmp_path / "stripes")
    yield lambda name, *args: importlib.import_module(name).main([str(arg) for arg in args])
    for name in ("train", "evaluate", "report", "compare", "lr_find", "tune"):
        sys.modules.pop(name, None)


@pytest.fixture
def train(script):
    return lambda *args: script("train", *SMALL, "--data-dir", "stripes", *args)


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_is_not_written_over_unasked(train, tmp_path, capsys):
    assert train("--out", "a run", "--lr", 0.002) == 0
    before = files(tmp_path / "a run")
    assert train("--out", "a run") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: a run already contains a run (config.json, ") and said.count("\n") == 1
    assert "--resume 'a run'" in said and "--overwrite" in said and files(tmp_path / "a run") == before

    assert train("--out", "a run", "--overwrite") == 0
    assert json.loads((tmp_path / "a run" / "config.json").read_text())["lr"] != 0.002


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(train, tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "now")
    assert train() == train() == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["latest", "now-mlp", "now-mlp-2"]
    config = json.loads((tmp_path / "runs" / "now-mlp-2" / "config.json").read_text())
    assert config["out"] == "runs/now-mlp-2"


@pytest.mark.parametrize("more", [["--out", "b"], ["--overwrite"]])
def test_a_run_that_goes_on_has_a_folder_already(train, tmp_path, capsys, more):
    assert train("--out", "a") == 0
    with pytest.raises(SystemExit, match="2"):
        train("--resume", "a", *more)
    assert "--resume: the run continues in its own folder" in capsys.readouterr().err
    assert train("--resume", "a", "--out", tmp_path / "a") == 0  # the same one


def test_a_search_and_a_run_do_not_share_a_folder(train, script, tmp_path, capsys):
    pytest.importorskip("optuna")
    search = ["--data-dir", "stripes", *SMALL, "--trials", 1, "--search", "lr"]
    assert train("--out", "a") == 0
    before = files(tmp_path / "a")
    assert script("tune", *search, "--out", "a") == 2
    assert "a already contains a run" in capsys.readouterr().err and files(tmp_path / "a") == before
    assert script("tune", *search, "--out", "b") == script("tune", *search, "--out", "b") == 0
    assert str(tmp_path / "stripes") in json.loads((tmp_path / "b" / "best.json").read_text())["command"]
    assert train("--out", "b", "--overwrite") == 2
    assert "b already contains a search" in capsys.readouterr().err


def test_pictures_and_tables_are_not_written_over_unasked(train, script, tmp_path, capsys):
    assert train("--out", "a") == train("--out", "b") == 0
    find = ["lr_find", *SMALL[:-3], "--data-dir", "stripes", "--steps", 20, "--end", 1e3, "--out", "a/history.png"]
    compare = ["compare", "a", "b", "--engine", "numpy", "--out", "both"]
    before = (tmp_path / "a" / "history.csv").read_bytes()
    assert script(*find) == 2 and (tmp_path / "a" / "history.csv").read_bytes() == before
    assert capsys.readouterr().err.startswith("error: a/history.csv: already exists")
    assert script(*compare) == 0 and script(*compare) == 2
    assert "both/compare.png, both/compare.csv" in capsys.readouterr().err
    assert script(*compare, "--overwrite") == 0


def test_the_data_of_a_run_are_found_from_another_folder(train, script, tmp_path, monkeypatch, capsys):
    assert train("--out", "a") == 0
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["data_dir"] == config["arguments"]["data_dir"] == str(tmp_path / "stripes")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert script("evaluate", "../a", "--engine", "numpy") == 0 and "(stripes)" in capsys.readouterr().out
    assert script("report", "../a", "--engine", "numpy") == 0


def test_a_former_runs_relative_path_is_seen_from_here_and_what_is_not_found_is_said(
    train, script, tmp_path, monkeypatch, capsys
):
    assert train("--out", "a") == 0
    path = tmp_path / "a" / "config.json"
    path.write_text(path.read_text().replace(str(tmp_path / "stripes"), "stripes"))
    assert script("evaluate", "a", "--engine", "numpy") == 0
    capsys.readouterr()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name, *arguments in (["evaluate", "../a"], ["report", "../a"], ["compare", "../a", "../a"]):
        assert script(name, *arguments, "--engine", "numpy") == 2
        said = capsys.readouterr().err
        assert "was trained on the data in stripes, and there is no such folder seen from /" in said
        assert "--data-dir" in said and said.count("\n") == 1
        assert script(name, *arguments, "--engine", "numpy", "--data-dir", tmp_path / "stripes") == 0


def test_the_command_that_goes_on_can_be_copied(script, tmp_path, capsys):
    (tmp_path / "my run").mkdir()
    model = sn.Sequential([sn.Flatten(), sn.Dense(2)], (2, 2, 1), engine="numpy")
    checkpoint = sn.Checkpoint("my run/checkpoint.safetensors")
    model.fit([[[1.0, 2], [3, 4]]] * 4, [0, 1, 0, 1], callbacks=[checkpoint], verbose=False)
    print_how_to_resume("my run", since=0)
    assert capsys.readouterr().err.endswith("Resume with: python scripts/train.py --resume 'my run'\n")


def test_an_empty_name_is_no_folder(script, capsys):
    with pytest.raises(SystemExit, match="2"):
        script("train", *SMALL, "--data-dir", "")
    assert "--data-dir: the name of the folder is empty" in capsys.readouterr().err


def test_a_new_folder_in_which_nothing_was_written_is_removed(script, train, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sn.Sequential, "fit", stopped)
    assert train() == 130 and not list((tmp_path / "runs").iterdir())
    (tmp_path / "mine").mkdir()
    assert train("--out", "mine") == 130 and (tmp_path / "mine").is_dir()
