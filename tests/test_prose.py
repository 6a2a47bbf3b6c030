"""The documents and docstrings use plain terms: `tests/prose.py` has the list."""

import pytest

from tests import prose


@pytest.mark.parametrize("path", prose.files(), ids=lambda path: str(path.relative_to(prose.ROOT)))
def test_the_prose_has_no_word_for_which_a_plainer_one_is_at_hand(path):
    assert not prose.findings(path)


def test_docstrings_and_documents_are_searched_and_code_is_not(tmp_path):
    source, document = tmp_path / "a.py", tmp_path / "a.md"
    source.write_text('"""One.\n\nThe work goes on."""\nnobody = "whoever"\n')
    document.write_text("so many\n```\nso many\n```\n`so many`, a training step\nand whoever\n")
    assert [line.split(":")[1] for line in prose.findings(source)] == ["3"]
    assert [line.split(":")[1] for line in prose.findings(document)] == ["1", "6"]
