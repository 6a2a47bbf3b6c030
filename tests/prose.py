"""Words that the documents and docstrings do without, and what to write instead.

    python tests/prose.py            every document and every docstring
    python tests/prose.py FILE ...   these files

The list is short on purpose: only words for which a plainer one is always at hand.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PLAINER = {
    r"nobody|somebody|everybody|anybody": "name the thing: a caller, a thread, a file",
    r"whoever": "any caller, any process, a reader",
    r"go(es)? on": "continues, resumes",
    r"(is|are|was|were) told": "receives, knows, is given",
    r"so many": "N, this number",
    r"a training(?= (that|is|was|with|of|ends|goes|as)\b|[.,:;)])": "a training run",
}


def files() -> list[Path]:
    """The documents, and the sources of the package and the scripts."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"]
    return sorted([*documents, *ROOT.glob("scratchnet/**/*.py"), *ROOT.glob("scripts/*.py")])


def prose(path: Path) -> list[tuple[int, str]]:
    """(number, text) of the lines that are prose: of a source file its docstrings, of a document all but its code.

    >>> prose(ROOT / "tests" / "prose.py")[0]
    (1, 'Words that the documents and docstrings do without, and what to write instead.')
    """
    text = path.read_text(encoding="utf-8")
    return docstring_lines(text) if path.suffix == ".py" else document_lines(text)


def docstring_lines(source: str) -> list[tuple[int, str]]:
    """The lines of all docstrings."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented) and ast.get_docstring(node)]
    first = [(node.body[0].lineno, ast.get_docstring(node, clean=False)) for node in nodes]
    return [pair for start, text in first for pair in enumerate(text.splitlines(), start)]


def document_lines(text: str) -> list[tuple[int, str]]:
    """The lines outside of code blocks, without `code`."""
    lines, in_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        in_code ^= line.lstrip().startswith("```")
        if not in_code:
            lines.append((number, re.sub("`[^`]*`", "", line)))
    return lines


def findings(path: Path) -> list[str]:
    """What to change in a file, a line each."""
    return [
        f"{path}:{number}: “{match[0]}”: {instead}"
        for number, line in prose(path)
        for pattern, instead in PLAINER.items()
        for match in re.finditer(rf"\b({pattern})\b", line, re.IGNORECASE)
    ]


def main(names: list[str]) -> int:
    """Print the findings; 1 if there are any, else 0."""
    paths = [Path(name).resolve() for name in names] or files()
    found = [line for path in paths for line in findings(path)]
    print("\n".join(found) or f"prose: {len(paths)} files, nothing found")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
