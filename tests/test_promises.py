"""A promise without a test is an intention."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]
PROMISES = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES if not line.startswith("| |")]


def functions_of(file: Path) -> set[str]:
    """The names of the functions in a file, which is read and not imported."""
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_a_number_and_is_one_sentence_or_two():
    assert len(PROMISES) > 30
    for number, text, _ in PROMISES:
        assert re.fullmatch("[A-Z][0-9]+", number) and text.endswith("."), number


@pytest.mark.parametrize("promise", PROMISES, ids=[f"{number} {text}" for number, text, _ in PROMISES])
def test_every_promise_names_tests_that_exist(promise):
    _, text, cell = promise
    tests = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)
    assert tests and cell.count("`") == 2 * len(tests), f"no test, or none in this form, for: {text}"
    for file, name in tests:
        assert name in functions_of(ROOT / file), f"{file} has no {name}"
