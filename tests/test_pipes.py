"""What a program prints reaches a reader who knows few characters; and a reader who leaves ends it quietly."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scratchnet as sn
from scratchnet import doctor
from scratchnet.data import write_idx_dataset
from scratchnet.process.pipes import command_line, console, printable, say
from tests.patterns import stripes

ROOT = Path(__file__).parents[1]
NARROW = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
SMALL = ["--preset", "mlp", "--engine", "numpy", "--batch-size", "32"]


def narrow(encoding):
    """A text stream as Python opens standard output in that encoding."""
    return io.TextIOWrapper(io.BytesIO(), encoding)


def written(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.fixture(scope="module", params=NARROW)
def script(request, tmp_path_factory):
    """Calls a script whose standard output knows few characters, in a folder that all calls share."""
    folder = tmp_path_factory.mktemp(request.param)
    names = ["Äpfel", "猫", "“quoted”", "28×28"]
    x, y = stripes()
    dataset = (x[:240], y[:240].astype(np.uint8)), (x[240:], y[240:].astype(np.uint8))
    write_idx_dataset(folder / "stripes ″", dataset, names)
    for name in names:
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(x[number]).save(folder / "pictures" / name / f"{number}.png")
    encoding = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | NARROW[request.param]

    def call(name, *arguments):
        command = [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]
        env = {**encoding, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
        ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=120)
        told = (ended.stdout + ended.stderr).decode("cp1252" if request.param == "cp1252" else "ascii")
        assert ended.returncode == 0 and "Traceback" not in told, told
        return told

    call.encoding, call.data = request.param, ["--data-dir", "stripes ″"]
    return call


@pytest.fixture(scope="module")
def trained(script):
    """What train.py says of a run, which is then in the folder `a run`."""
    return script("train.py", *SMALL, *script.data, "--epochs", 2, "--doctor", "--out", "a run")


def test_a_training_is_not_ended_by_a_character(script, trained):
    assert "ok labels: " in trained and "epoch 2/2" in trained and "test accuracy" in trained
    assert ("10×10×1" if script.encoding == "cp1252" else "10x10x1") in trained


def test_names_of_classes_are_spelled_out_in_aligned_columns(script, trained):
    told = script("evaluate.py", "a run", *script.data)
    assert ("Äpfel" if script.encoding == "cp1252" else "Apfel") in told and "\\u732b" in told
    rows = [line for line in told.splitlines() if line.endswith(" 20")]
    assert len(rows) == 4 and len({len(line) for line in rows}) == 1


@pytest.mark.parametrize("call", [
    ["compare.py", "a run", "a run", "--engine", "numpy"],
    ["report.py", "a run"],
    ["predict.py", "a run", "pictures/猫/0.png"],
    ["make_idx.py", "--images", "pictures", "--out", "made", "--size", "10"],
    ["lr_find.py", *SMALL, "--data-dir", "stripes ″", "--steps", 40, "--end", 1e3],
    ["tune.py", *SMALL, "--data-dir", "stripes ″", "--epochs", 1, "--trials", 1],
    ["train.py", "--list-presets"],
], ids=lambda call: call[0])  # fmt: skip
def test_no_script_is_ended_by_a_character(script, trained, call):
    if script.encoding == "C":
        pytest.skip("the C locale is ASCII too; what it does to the names of files, training and evaluating show")
    if call[0] == "tune.py":
        pytest.importorskip("optuna")
    assert script(*call)


# The library, in a program of the user's


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_the_librarys_own_prints_never_fail(encoding, monkeypatch, stripes):
    monkeypatch.setattr(sys, "stdout", stdout := narrow(encoding))
    layers = [sn.Rescale(), sn.Flatten(), sn.Dense(8), sn.ReLU(), sn.Dense(4)]
    model = sn.Sequential(layers, (10, 10, 1), class_names=["猫", "é", "c", "d"])
    model.summary()
    model.fit(*stripes, callbacks=[sn.LambdaCallback(on_epoch_end=lambda run, logs: logs.update({"größe_loss": 1}))])
    print(*doctor.examine(model, *stripes), sep="\n")
    print(doctor.line({"level": "warning", "text": "28×28"}))
    sn.gradcheck(sn.Dense(2), np.ones((2, 3)))
    assert stdout.errors == "strict"  # it is the user's
    told = written(stdout)
    assert "ok labels: " in told and '"' in told and "not ok 28" in told


def test_a_progress_bar_on_a_narrow_terminal_is_drawn_in_ascii(monkeypatch, stripes):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "30")  # rich cuts what is wider, and marks the cut with an ellipsis
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stdout := Terminal(io.BytesIO(), "ascii"))
    sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(4)], (10, 10, 1)).fit(*stripes, epochs=2, batch_size=8)
    assert "epoch 2/2" in written(stdout) and "\x1b[" in written(stdout)


def test_what_can_be_written_is_written_as_it_is():
    text = "✓ 28×28 → Äpfel 猫 …"
    for stream in (narrow("utf-8"), io.StringIO(), io.TextIOWrapper(io.BytesIO(), "ascii", "replace")):
        assert printable(text, stream) == text
    assert printable(text, narrow("latin-1")) == r"ok 28×28 -> Äpfel \u732b ..."
    assert printable("A\u0308pfel ½", narrow("ascii")) == r"Apfel \xbd"
    assert printable("photo-\udcff", narrow("utf-8")) == r"photo-\udcff"  # a file's name that is no UTF-8


def test_names_are_no_markup(monkeypatch):
    monkeypatch.setattr(sys, "stdout", stdout := narrow("utf-8"))
    console().print("[bold]run[/bold] :cat:")
    assert written(stdout) == "[bold]run[/bold] :cat:\n"


def test_a_program_without_any_output_prints_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    say("nobody reads this")
    console().print("nor this")


@pytest.mark.skipif(os.name == "nt", reason="another shell")
def test_a_command_can_be_copied_into_a_shell():
    words = ["python", "scripts/train.py", "--resume", "my runs/it's $HOME; *"]
    command = command_line([words[0], words[1], words[2], Path(words[3])])
    typed = subprocess.run(["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    assert typed.stdout.splitlines() == words


def test_on_windows_a_command_is_quoted_for_its_shell(monkeypatch):
    monkeypatch.setattr("scratchnet.process.pipes.os.name", "nt")
    assert command_line(["train.py", "--resume", r"C:\my runs\a"]) == r'train.py --resume "C:\my runs\a"'
