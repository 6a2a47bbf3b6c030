"""Links from one document to another file lead somewhere, and the citation has the version of the package."""

import re
from pathlib import Path

import pytest

import scratchnet as sn

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_has_its_file(document):
    text = re.sub("```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "live/page.html" in target:
            continue  # made when the site is built: tests/test_site.py
        if "://" not in target and not target.startswith("#"):
            assert (document.parent / target.partition("#")[0]).exists(), target


def test_the_citation_has_the_version_of_the_package():
    assert f"\nversion: {sn.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
