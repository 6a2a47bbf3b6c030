"""The tests are tested: each mutant of the library is caught by the test it names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
every_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])


def mutated(source: str, mutant) -> str:
    """The source with the mutant's line replaced, which must be there once."""
    lines = source.split("\n")
    places = [i for i, line in enumerate(lines) if line.strip() == mutant.line]
    found = f"{mutant.file} has the line {mutant.line!r} {len(places)} times: bring mutants.py up to date"
    assert len(places) == 1, found
    indentation = lines[places[0]][: -len(lines[places[0]].lstrip())]
    lines[places[0]] = indentation + mutant.replacement
    return "\n".join(lines)


def copy_of_the_project(folder: Path) -> Path:
    """The package and its tests, in a place of their own."""
    for part in ("scratchnet", "scripts", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(folder: Path, *tests: str) -> subprocess.CompletedProcess:
    """pytest in a new process, on the package that lies in `folder`."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@every_mutant
def test_a_mutant_has_its_line_and_its_test(mutant):
    source = (ROOT / "scratchnet" / mutant.file).read_text()
    assert mutated(source, mutant) != source
    file, name = mutant.test.split("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.long
def test_the_library_as_it_is_passes_all_of_these_tests(tmp_path):
    run = run_tests(copy_of_the_project(tmp_path), *sorted({mutant.test for mutant in MUTANTS}))
    assert run.returncode == 0, run.stdout


@pytest.mark.long
@every_mutant
def test_P2_a_mutant_is_caught(mutant, tmp_path):
    file = copy_of_the_project(tmp_path) / "scratchnet" / mutant.file
    file.write_text(mutated(file.read_text(), mutant))
    run = run_tests(tmp_path, mutant.test)
    assert run.returncode == 1, f"survived: {mutant.name}\n{run.stdout}{run.stderr}"  # 1: collected, run, failed
