"""`scratchnet learn`: the stub, the check, the solution, and the progress."""

import json

import pytest

from scratchnet import commands
from scratchnet.learn import EXERCISES, progress
from tests.learn.planted import SOLUTIONS


@pytest.fixture
def learn(monkeypatch, tmp_path):
    """`scratchnet learn ...` in a folder of its own, with a home of its own -> exit code."""
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: commands.main(["learn", *map(str, words)])


def test_a_stub_is_written_once(learn, tmp_path, capsys):
    assert learn(4) == 0
    assert capsys.readouterr().out.endswith("then: scratchnet learn 4 --check exercise_4_im2col.py\n")
    path = tmp_path / "exercise_4_im2col.py"
    assert path.read_text(encoding="utf-8") == EXERCISES[4].stub_text()
    path.write_text("mine")
    assert learn(4) == 2 and "exists already" in capsys.readouterr().err and path.read_text() == "mine"
    assert learn(4, "--overwrite") == 0 and path.read_text(encoding="utf-8") == EXERCISES[4].stub_text()


def test_a_check_needs_no_name_and_a_solved_exercise_is_remembered(learn, tmp_path, capsys):
    learn(5)
    assert learn(5, "--check") == 1 and "is still the stub" in capsys.readouterr().out
    assert progress.solved() == set()
    (tmp_path / "mine.py").write_text(SOLUTIONS[5].text())
    assert learn(5, "--check", "mine.py") == 0
    said = capsys.readouterr().out
    assert "✓ exercise 5" in said and "The library's edition: scratchnet/layers/dense.py: Dense.backward" in said
    assert progress.solved() == {5} and json.loads((progress.data_home() / progress.NAME).read_text()) == {
        "solved": [5]
    }
    assert learn() == 0
    said = capsys.readouterr().out
    assert "✓  5  the gradients of a dense layer" in said and "1 of 14 solved" in said


def test_a_damaged_progress_counts_as_none_and_one_that_cannot_be_written_is_a_warning(learn):
    progress.data_home().mkdir(parents=True)
    for text in ("{", "[]", '{"solved": 3}', '{"solved": ["x"]}'):
        (progress.data_home() / progress.NAME).write_text(text)
        assert progress.solved() == set()
    progress.mark_solved(3)
    assert progress.solved() == {3}
    (progress.data_home() / progress.NAME).unlink()
    progress.data_home().rmdir()
    progress.data_home().write_text("a file")
    with pytest.warns(UserWarning, match="cannot keep the progress"):
        progress.mark_solved(3)


def test_the_solution_is_the_librarys_file(learn, capsys):
    assert learn(6, "--solution") == 0
    said = capsys.readouterr().out
    assert said.startswith("# scratchnet/layers/pool.py, line ") and "np.put_along_axis(dvalues, winner" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((15,), "there is no exercise 15; there are 1 to 14"),
        ((3, "--check", "nothing.py"), "nothing.py: there is no such file. Write one with: scratchnet learn 3"),
    ],
)
def test_a_mistake_is_one_line(learn, capsys, words, says):
    assert learn(*words) == 2
    assert capsys.readouterr().err == f"error: {says}\n"


def test_a_check_needs_a_number(learn, capsys):
    with pytest.raises(SystemExit, match="2"):
        learn("--check", "mine.py")
    assert "which exercise?" in capsys.readouterr().err
