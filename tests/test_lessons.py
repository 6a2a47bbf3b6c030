"""The lessons run, print what they quote, and have all their parts; their tools do what they say."""

import re
from pathlib import Path

import pytest

from scratchnet.learn import EXERCISES
from tests import lessons

every_lesson = pytest.mark.parametrize("lesson", lessons.LESSONS, ids=lambda path: path.stem)
PARTS = (
    "**The question.**",
    "guess",
    "lines(",
    "## In the ledger",
    "](../live/page.html#",
    "](../../scratchnet/",
    "![",
)


def test_there_are_ten():
    assert [int(path.name[:2]) for path in lessons.LESSONS] == list(range(1, 11))


@every_lesson
def test_a_lesson_runs_and_prints_what_it_quotes(lesson, tmp_path):
    pytest.importorskip("numba")
    found = lessons.findings(lesson, lessons.run(lesson, tmp_path))
    assert not found, "\n".join(found)


@every_lesson
def test_a_lesson_has_all_its_parts(lesson):
    text = lesson.read_text(encoding="utf-8")
    assert all(part in text for part in PARTS), [part for part in PARTS if part not in text]
    number = int(lesson.name[:2])
    assert f"scratchnet learn {number}\nscratchnet learn {number} --check" in text or number == 1
    assert f"--check {EXERCISES[number].file_name}\n" in text
    assert EXERCISES[number].lesson == number


@every_lesson
def test_what_is_quoted_about_is_bounded_by_an_assertion_or_is_a_time(lesson):
    for cell in lessons.cells(lesson.read_text(encoding="utf-8")):
        if cell.about:
            assert "assert " in cell.code or "gradcheck" in cell.code or "seconds" in cell.code or "LANES" in cell.code


@every_lesson
def test_a_lesson_opens_as_a_notebook(lesson):
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed: python -m pip install -e '.[docs]'")
    notebook = jupytext.read(lesson)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert code == [cell.code for cell in lessons.cells(lesson.read_text(encoding="utf-8"))]


# The runner can fail


SHORT = """# A lesson

```{code-cell} python
print(6 * 7)
```

```text
42
```

```{code-cell} python
print(f"took {1 / 3:.3f} s")
```

```text about
took 99 s
```
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "", ""),
        ("\n42\n", "\n43\n", "it prints\n42\n\nand the text says\n43"),
        ("took 99 s", "took 99 h", "it prints\ntook 0.333 s"),
        ("print(6 * 7)", "print(1 / 0)", "ZeroDivisionError"),
        ("print(6 * 7)", "assert 6 * 7 == 43", "AssertionError"),
        ("```text\n42\n```", "", "it prints\n42"),
        ("print(6 * 7)", "print(6 * 7); import matplotlib.pyplot as plt; plt.plot([1])", "1 figures, but 0 images"),
        ("42\n```", "42\n```\n\n![a picture](pictures/none.png)", "0 figures, but 1 images"),
    ],
)
def test_the_runner_finds_what_differs(tmp_path, old, new, says):
    lesson = tmp_path / "00-short.md"
    lesson.write_text(SHORT.replace(old, new) if old else SHORT)
    (tmp_path / "out").mkdir()
    found = "\n".join(lessons.findings(lesson, lessons.run(lesson, tmp_path / "out")))
    assert says in found and bool(says) == bool(found), found


def test_the_runner_updates_a_lesson(tmp_path):
    lesson = tmp_path / "00-short.md"
    lesson.write_text(SHORT.replace("```text\n42\n```\n", "").replace("99 s", "99 h"))
    (tmp_path / "out").mkdir()
    done = lessons.run(lesson, tmp_path / "out")
    lessons.update(lesson, done, tmp_path / "out")
    assert not lessons.findings(lesson, done)
    assert "took 0.333 s" in lesson.read_text() and "\n42\n" in lesson.read_text()


# The commands of the documents


def test_every_program_that_a_lesson_names_exists():
    root = Path(__file__).parents[1]
    for document in (root / "docs").rglob("*.md"):
        for path in re.findall(r"python ((?:scripts|benchmarks|examples|tests)/\w+\.py)", document.read_text("utf-8")):
            assert (root / path).exists(), f"{document.name}: {path}"
