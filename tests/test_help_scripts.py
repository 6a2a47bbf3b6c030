"""The scripts that help with a training, as a user calls them; and with wrong arguments."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patterns import stripes_folder

SCRIPTS = Path(__file__).parents[1] / "scripts"
SMALL = ["--preset", "mlp", "--engine", "numpy", "--batch-size", "32"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder of a data set of stripes."""
    return ["--data-dir", str(stripes_folder(tmp_path_factory.mktemp("data") / "stripes"))]


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Calls a script's main in a folder of its own -> exit code."""
    monkeypatch.chdir(tmp_path)
    yield lambda name, *args: importlib.import_module(name).main([str(arg) for arg in args])
    for name in ("train", "lr_find", "compare"):
        sys.modules.pop(name, None)


def test_lr_find_says_a_rate_and_draws_it(script, data, tmp_path, capsys):
    assert script("lr_find", *SMALL, *data, "--out", "sub/curve.png") == 0
    said = capsys.readouterr().out
    assert said.startswith("mlp on stripes, ") and "Use a learning rate of about" in said
    assert (tmp_path / "sub/curve.png").exists() and (tmp_path / "sub/curve.csv").exists()


def test_lr_find_without_a_suggestion_exits_with_1(script, data, capsys):
    assert script("lr_find", *SMALL, *data, "--end", 1e-5) == 1
    assert "No suggestion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--start", 1, "--end", 0.1], "error: lr_find: expected 0 < start < end"),
        (["--steps", 3], "error: lr_find: a curve needs at least 10 steps"),
        (["--out", "curve.doc"], "error: Format 'doc' is not supported"),
        (["--preset", "lenet5"], "error: "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(script, data, capsys, arguments, says):
    assert script("lr_find", *SMALL, *data, *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(says) and err.count("\n") == 1


def test_train_leaves_health_and_findings_and_compare_reads_its_runs(no_pictures, script, data, tmp_path, capsys):
    for name, lr in (("a", 0.001), ("b", 0.003)):
        assert script("train", *SMALL, *data, "--epochs", 2, "--lr", lr, "--out", name) == 0
    findings = json.loads((tmp_path / "a/findings.json").read_text())
    said = capsys.readouterr().out
    assert findings and all(finding["text"] in said for finding in findings)
    assert (tmp_path / "a/health.csv").read_text().startswith("epoch,step,layer,")

    assert script("compare", "a", "b", "--engine", "numpy", "--out", "both") == 0
    said = capsys.readouterr().out
    assert "80 test images (stripes)" in said and "b against a:" in said
    assert "0.001" in said and (tmp_path / "both/compare.png").exists()

    assert script("compare", "a", "nowhere") == 2
    assert capsys.readouterr().err == "error: nowhere: no config.json. Name folders of runs that came to their end.\n"
    with pytest.raises(SystemExit, match="2"):
        script("compare", "a")
    assert "name at least two runs" in capsys.readouterr().err


def test_doctor_lets_a_sound_training_go_on_and_stops_another(no_pictures, script, data, tmp_path, capsys, monkeypatch):
    assert script("train", *SMALL, *data, "--epochs", 1, "--doctor", "--out", "a") == 0
    assert capsys.readouterr().out.count("✓ ") >= 5

    import scratchnet as sn

    right = sn.ReLU.backward
    monkeypatch.setattr(sn.ReLU, "backward", lambda self, dy, cache: (2 * right(self, dy, cache)[0], {}))
    assert script("train", *SMALL, *data, "--epochs", 1, "--doctor", "--out", "b") == 1
    said = capsys.readouterr()
    assert "✗ gradients: gradcheck Sequential: worst error" in said.out and "1 of 5 checks failed" in said.err
    assert not (tmp_path / "b").exists()


def test_a_script_whose_reader_has_gone_ends_without_a_word():
    command = [sys.executable, SCRIPTS / "train.py", "--list-presets"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=SCRIPTS.parent) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 141


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_every_script_ends_so(path):
    assert path.read_text().endswith("sys.exit(run_script(main))\n")
