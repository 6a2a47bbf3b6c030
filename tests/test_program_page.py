"""docs/program.md quotes print(program); docs/glossary.md is in alphabetical order and its links exist."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "program.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^\*\*(.+?)\*\*.*\]\((.+?)\)", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
PROGRAM, LOOP = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_quoted_program_is_what_print_gives(capsys):
    target = pytest.importorskip("scratchnet.compiled.simd.target")
    if target.LANES != 16 or not target.FUSED:
        pytest.skip("the page quotes the program of a machine with AVX-512")
    exec(PROGRAM, {})
    assert capsys.readouterr().out == re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_calls_can_be_printed_one_by_one(capsys):
    pytest.importorskip("numba")
    names: dict = {}
    exec(PROGRAM, names)
    capsys.readouterr()
    exec(LOOP, names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 100
    assert lines[0].startswith("pack weights ") and "1.conv2d.W" in lines[0]


def test_the_glossary_is_alphabetical_and_its_files_exist():
    terms = [term.lower() for term, _ in ENTRIES]
    assert len(terms) > 50
    assert terms == sorted(terms)
    for _, link in ENTRIES:
        assert (DOCS / link).exists(), link
