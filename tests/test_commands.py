"""The command line: the programs of scripts/ under one name, from anywhere; and `latest`."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from argparse import Namespace
from pathlib import Path

import pytest

import scratchnet as sn
from scratchnet import commands, report
from scratchnet.commands import options
from scratchnet.commands.images import choose_recipe, load_images
from scratchnet.commands.running import as_typed, exit_code, stoppable
from scratchnet.zoo import PRESETS
from tests.patterns import stripes_folder

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SMALL = ["--preset", "mlp", "--engine", "numpy", "--batch-size", "32", "--epochs", "1"]
every_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


@pytest.fixture
def call(monkeypatch, tmp_path, no_pictures):
    """`scratchnet ...` in a folder of its own, in which `stripes` are the data -> exit code."""
    monkeypatch.chdir(tmp_path)
    stripes_folder(tmp_path / "stripes")
    return lambda *words: commands.main([str(word) for word in words])


def scratchnet(*words, cwd):
    """`python -m scratchnet ...` in another process."""
    return subprocess.run(
        [sys.executable, "-m", "scratchnet", *words], cwd=cwd, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


# One source


def test_every_script_is_a_program_of_the_command_line_and_a_wheel_has_it():
    assert sorted(commands.PROGRAMS) == sorted(path.stem.replace("_", "-") for path in SCRIPTS)
    assert PROJECT["project"]["scripts"] == {"scratchnet": "scratchnet.commands:main"}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["scratchnet", "scripts"]
    assert wheel["sources"] == {"scripts": "scratchnet/commands"}
    shared = {path.stem for path in (ROOT / "scratchnet" / "commands").glob("*.py")}
    assert not shared & {path.stem for path in SCRIPTS}  # they are in one folder of the wheel


@every_script
def test_no_script_imports_another(path):
    others = {other.stem for other in SCRIPTS}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module not in others
            assert node.module != "scratchnet.commands" or not others & {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            assert not others & {alias.name for alias in node.names}


@every_script
def test_a_script_is_short_and_so_are_its_functions(path):
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 170
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 55, node.name


@pytest.mark.parametrize("name", commands.PROGRAMS)
def test_help_says_how_the_program_was_called(call, capsys, name):
    before = list(sys.argv)
    with pytest.raises(SystemExit, match="0"):
        call(name, "--help")
    if sys.version_info < (3, 14):
        assert capsys.readouterr().out.startswith(f"usage: scratchnet {name} [-h]")
    assert sys.argv == before


def test_the_command_lists_its_programs_and_says_its_version(call, capsys):
    assert call() == call("--help") == call("-h") == 0
    assert all(f"\n  {name} " in capsys.readouterr().out for name in ("train",))
    assert call("--version") == 0
    assert capsys.readouterr().out == f"scratchnet {sn.__version__}\n"


def test_a_misspelt_program_is_one_line(call, capsys):
    assert call("evalute", "latest") == 2
    assert capsys.readouterr().err == "error: no program is called 'evalute'. Did you mean evaluate?\n"
    assert call("../train") == 2 and call("__init__") == 2 and call("options") == 2


# From anywhere


def test_a_run_is_trained_measured_and_found_by_the_name_latest(call, tmp_path, capsys):
    for preset in ("mlp", "lenet5"):  # the second does not fit and leaves no folder
        call("train", *SMALL, "--preset", preset, "--data-dir", "stripes", "--quiet")
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.name != "latest")
    said = capsys.readouterr()
    assert f"runs/{run.name}\n" in said.out and "error: the preset lenet5 does not fit images of 10×10×1" in said.err
    assert call("evaluate", "latest", "--engine", "numpy") == 0
    assert capsys.readouterr().out.startswith(f"runs/{run.name}/model.safetensors on 80 test images (stripes)")
    assert call("report", "latest", "--engine", "numpy") == 0
    assert call("compare", "latest", run, "--engine", "numpy") == 0
    assert call("predict", "latest", "nothing.png") == 1
    assert "nothing.png: No such file" in capsys.readouterr().err
    assert call("train", "--resume", "latest", "--epochs", 2, "--quiet") == 0
    assert len((run / "history.csv").read_text().splitlines()) == 3


def test_without_a_run_latest_is_one_line(call, capsys):
    assert call("evaluate", "latest") == 2
    assert capsys.readouterr().err.startswith("error: latest: there is no run here yet. ")
    with pytest.raises(SystemExit, match="2"):
        call("train", "--resume", "latest")
    assert "argument --resume: latest: there is no run here yet" in capsys.readouterr().err


def test_doctor_checks_and_does_not_train(call, tmp_path, capsys, monkeypatch):
    network = ["--preset", "mlp", "--engine", "numpy", "--data-dir", "stripes"]
    assert call("doctor", *network) == 0
    said = capsys.readouterr().out
    assert said.startswith("mlp on stripes\n") and said.count("✓ ") == 5
    right = sn.ReLU.backward
    monkeypatch.setattr(sn.ReLU, "backward", lambda self, dy, cache: (2 * right(self, dy, cache)[0], {}))
    assert call("doctor", *network) == 1
    assert capsys.readouterr().err == "error: 1 of 5 checks failed\n" and not (tmp_path / "runs").exists()


def test_info_says_what_a_report_of_a_problem_needs(call, tmp_path, capsys):
    assert call("info", "--data-dir", "stripes") == 0
    said = capsys.readouterr().out
    assert sn.__version__ in said and "numpy " in said and "threads" in said and "four files in stripes" in said
    assert call("info", "--data-dir", "nowhere") == 0
    assert "none in nowhere" in capsys.readouterr().out


def test_info_without_numba(tmp_path):
    program = """
import sys
sys.modules["numba"] = None
from scratchnet import commands
sys.exit(commands.main(["info"]))
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0 and 'engine="numpy" works without' in told.stdout, told


def test_the_module_is_the_command(tmp_path):
    told = scratchnet("lr-finds", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (2, "error: no program is called 'lr-finds'. Did you mean lr-find?\n")
    told = scratchnet("train", "--list-presets", cwd=tmp_path)
    assert told.returncode == 0 and told.stdout.count("\n") == 2 * len(PRESETS) and not told.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does it")
def test_a_run_that_is_stopped_says_the_command_that_goes_on_as_it_was_typed(tmp_path):
    stripes_folder(tmp_path / "stripes")
    words = [sys.executable, "-m", "scratchnet", "train", *SMALL, "--data-dir", "stripes", "--epochs", "5000"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    for line in process.stdout:
        if re.match(" *epoch +2/", line):
            break
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    command = "python -m scratchnet train --resume (.*)"
    message = rf"\nstopped; saved in epoch \d+, after \d+ batches. Resume with: {command}\n"
    assert (path := re.fullmatch(message, stderr)) and (tmp_path / path[1]).is_dir()


def test_as_typed(monkeypatch):
    for argv0, words in (
        ("scratchnet tune", ["scratchnet", "lr-find"]),
        ("python -m scratchnet tune", ["python", "-m", "scratchnet", "lr-find"]),
        ("scripts/tune.py", ["python", "scripts/lr_find.py"]),
    ):
        monkeypatch.setattr(sys, "argv", [argv0])
        assert as_typed("lr_find") == words


# Exit codes


@pytest.mark.parametrize(("error", "code"), [
    (ValueError("x"), 2), (FileNotFoundError("x"), 2), (ImportError("x"), 2), (sn.TrainingDivergedError("x"), 1),
])  # fmt: skip
def test_a_mistake_is_one_line_and_a_code(capsys, error, code):
    def main(argv=None):
        raise error

    assert exit_code(main)() == code and capsys.readouterr().err == "error: x\n"


@pytest.mark.parametrize("error", [BrokenPipeError, KeyError, ZeroDivisionError, KeyboardInterrupt])
def test_what_is_no_mistake_of_the_users_is_passed_on(error):
    def main(argv=None):
        raise error

    with pytest.raises(error):
        exit_code(main)()


def test_sigterm_ends_a_program_in_order_and_its_handler_comes_back():
    before, said = signal.getsignal(signal.SIGTERM), []
    assert stoppable(lambda: signal.raise_signal(signal.SIGTERM) or 0, lambda: said.append(1)) == 143
    assert said == [1] and signal.getsignal(signal.SIGTERM) is before
    assert stoppable(lambda: 7, lambda: said.append(2)) == 7 and said == [1]


# Options


def test_options_override_the_recipe_and_nothing_else_does(tmp_path):
    parse = options.training_options().parse_args
    data = ["--data-dir", str(stripes_folder(tmp_path / "stripes")), "--preset", "mlp"]
    images = load_images(parse(data))
    plain, why = choose_recipe(parse(data), images)
    assert str(plain) == str(PRESETS["mlp"](4)) and (images.classes, images.shape, why) == (4, (10, 10, 1), "")
    words = ["--optimizer", "sgd", "--lr", "0.5", "--clip-norm", "2", "--widths", "8,6", "--schedule", "cosine"]
    changed, _ = choose_recipe(parse([*data, *words]), images)
    assert str(changed.optimizer) == "SGD(lr=0.5, clip_norm=2.0)" and changed.schedule == "cosine"
    assert [layer.units for layer in changed.layers if isinstance(layer, sn.Dense)] == [8, 6, 4]
    assert load_images(parse([*data, "--limit", "50"])).x.shape == (50, 10, 10)


def test_another_schedule_comes_without_the_recipes_warm_up():
    fast = PRESETS["fast"](10)
    assert fast.warm_up and fast.overridden(schedule="cosine").warm_up == 0
    assert fast.overridden(schedule="cosine", warm_up=9).warm_up == 9 and fast.overridden(epochs=3).warm_up == 58


def test_how_a_recipe_is_trained_leaves_the_recipe_as_it_was():
    recipe = PRESETS["default"](10)
    options = recipe.fit_options(1000)
    assert options["optimizer"].lr == sn.OneCycle(0.006, 4 * 8) and recipe.optimizer.lr == 0.006
    assert recipe.overridden(lr=1.0).optimizer.lr == 1 and recipe.optimizer.lr == 0.006
    assert options["callbacks"] is not recipe.callbacks


def test_a_damaged_config_of_a_run_to_resume_is_one_line(call, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    for text in ("{", "[]", '{"arguments": 3}'):
        (tmp_path / "run" / "config.json").write_text(text)
        with pytest.raises(SystemExit, match="2"):
            call("train", "--resume", "run")
        assert "argument --resume: run/config.json is damaged" in capsys.readouterr().err


# latest


def finished(path):
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def test_latest_is_the_run_that_began_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c 1"):
        report.mark_latest(finished(Path("runs") / name))
        assert report.find_run("latest") == report.find_run("runs/latest") == Path("runs") / name
    assert os.readlink("runs/latest") == "c 1" and sorted(os.listdir("runs")) == ["a", "b", "c 1", "latest"]
    report.mark_latest(finished(Path("here")))
    assert report.find_run("latest") == Path("here") and report.find_model("latest") == Path("here/model.safetensors")
    report.mark_latest(tmp_path / "runs" / "b")
    assert report.find_run("latest") == Path("runs/b")
    assert report.find_run("runs/a") == Path("runs/a") and report.find_model("x.safetensors") == Path("x.safetensors")


def test_without_symbolic_links_latest_is_a_file(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "symlink_to", refused)
    for name in ("a", "ä b"):
        report.mark_latest(finished(tmp_path / "runs" / name))
        assert report.find_run("latest") == Path("runs") / name
    assert (tmp_path / "runs" / "latest").read_text(encoding="utf-8") == "ä b\n"


@pytest.mark.parametrize("own", ["folder", "file", "long file", "link elsewhere", "link to no run"])
def test_what_a_user_calls_latest_is_left_alone(tmp_path, monkeypatch, own):
    monkeypatch.chdir(tmp_path)
    latest, other = tmp_path / "latest", tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    if own == "folder":
        shutil.copytree(other, latest)
    elif "file" in own:
        latest.write_text("other" if own == "file" else "other " * 1000)
    else:
        latest.symlink_to(other if own == "link elsewhere" else "other")
    before = (latest.is_symlink(), latest.is_dir(), latest.is_file() and latest.read_text())
    report.mark_latest(finished(tmp_path / "run"))
    assert (latest.is_symlink(), latest.is_dir(), latest.is_file() and latest.read_text()) == before
    assert report.find_run("latest") == Path("latest") and (other / "notes.txt").exists()


def test_a_run_that_was_removed_is_named_by_what_reads_it(call, tmp_path, capsys):
    report.mark_latest(finished(tmp_path / "runs" / "gone"))
    shutil.rmtree(tmp_path / "runs" / "gone")
    assert call("evaluate", "latest") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "gone" in err and err.count("\n") == 1


def test_a_folder_in_which_no_link_can_be_made_ends_no_run(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError

    for name in ("symlink_to", "write_text", "replace"):
        monkeypatch.setattr(Path, name, refused)
    (tmp_path / "a").mkdir()
    report.mark_latest(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == ["a"]


def test_no_options_are_named_in_two_ways():
    """What a resumed run keeps are options that there are."""
    known = vars(options.training_options().parse_args([]))
    assert set(options.RESUMED) == set(known) and isinstance(Namespace(**known), Namespace)
