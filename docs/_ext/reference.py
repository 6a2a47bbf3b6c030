"""The docstrings of the library as reStructuredText: they are plain text, and Sphinx must not read marks into them.

A paragraph that is indented, or begins with >>>, is a block as it stands; in all others the characters that have a
meaning for Sphinx are escaped, and `name` is code. So x_hat, |g| and *args mean themselves.
"""

import inspect
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import scratchnet

MARKS = re.compile(r"([\\*_|`])")
ITEM = re.compile(r"[a-z]\w*(, [a-z]\w*)*: ")
GROUP = re.compile(r"\s*# (.+)")


def as_rst(lines):
    """The lines of a docstring, cleaned by autodoc, as reStructuredText.

    >>> print(*as_rst(["y_n is `x`", "    y = |x|", "size: in pixels, a", "number. more: too"]), sep="\\n")
    y\\_n is ``x``
    <BLANKLINE>
    .. code-block:: text
    <BLANKLINE>
        y = |x|
    <BLANKLINE>
    * ``size``: in pixels, a
      number. more: too
    <BLANKLINE>
    """
    found = []
    for kind, block in blocks(lines):
        if kind == "text":
            found += [escaped(line) for line in block]
        elif kind == "item":
            name, _, rest = block[0].partition(": ")
            found += [f"* ``{name}``: {escaped(rest)}", *(f"  {escaped(line)}" for line in block[1:])]
        else:
            indent = "" if all(line.startswith(" ") for line in block) else "    "
            language = "pycon" if kind == "example" else "text"
            found += [f".. code-block:: {language}", "", *(f"{indent}{line}" for line in block)]
        found.append("")
    return found


def blocks(lines):
    """(kind, lines): a run without a blank line, cut where the kind changes, and before each argument."""
    found, open_block = [], False
    for line in lines:
        if not line.strip():
            open_block = False
            continue
        kind = kind_of(line)
        before = found[-1][0] if open_block else None
        joins = before == kind != "item" or before == "example" or (before == "item" and kind == "text")
        if joins:
            found[-1][1].append(line)
        else:
            found.append((kind, [line]))
        open_block = True
    return found


def kind_of(line):
    """An example, verbatim text (indented, or set in columns), an argument, or prose."""
    if line.startswith(">>>"):
        return "example"
    if line.startswith(" ") or "   " in line.strip():
        return "verbatim"
    return "item" if ITEM.match(line) else "text"


def escaped(line):
    """A line of prose: marks escaped, `code` as code."""
    parts = re.split(r"(`[^`]+`)", line)
    return "".join(f"`{part}`" if part.startswith("`") else MARKS.sub(r"\\\1", part) for part in parts)


def plain_text(app, what, name, obj, options, lines):
    """autodoc's event: replace the lines in place."""
    lines[:] = as_rst(list(lines))


class PublicNames(SphinxDirective):
    """.. public-names:: GROUP: every public name of a group of __all__, with its docstring, methods and source."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        text = []
        for name in groups()[self.arguments[0]]:
            thing = getattr(scratchnet, name)
            file = Path(inspect.getsourcefile(inspect.unwrap(thing))).relative_to(Path(scratchnet.__file__).parents[1])
            kind = "autofunction" if not isinstance(thing, type) else "autoclass"
            kind = "autoexception" if kind == "autoclass" and issubclass(thing, Exception) else kind
            members = ["   :members:"] if kind == "autoclass" else []
            text += [f".. {kind}:: scratchnet.{name}", *members, "", f"   `{file} <../source/{file}.html>`__", ""]
        container = nodes.section()
        self.state.nested_parse(StringList(text, "reference"), self.content_offset, container)
        return container.children


def groups():
    """The comments in __all__ -> the names after them.

    >>> "MaxPool2D" in groups()["layers, in the order in which an image meets them"]
    True
    """
    source = open(scratchnet.__file__, encoding="utf-8").read().partition("__all__ = [")[2].partition("\n]")[0]
    found = {}
    for line in source.splitlines():
        if match := GROUP.fullmatch(line):
            found[match[1]] = []
        elif line.strip():
            found[list(found)[-1]] += re.findall(r'"(\w+)"', line)
    return found


def setup(app):
    """Called by Sphinx."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-process-docstring", plain_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
