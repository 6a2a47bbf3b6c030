"""The docstrings of the library as reStructuredText: they are plain text, and Sphinx must not read marks into them.

A paragraph that is indented, or begins with >>>, is a block as it stands; in all others the characters that have a
meaning for Sphinx are escaped, and `name` is code. So x_hat, |g| and *args mean themselves.
"""

import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import scratchnet

MARKS = re.compile(r"([\\*_|`])")
GROUP = re.compile(r"\s*# (.+)")


def as_rst(lines):
    """The lines of a docstring, cleaned by autodoc, as reStructuredText.

    >>> as_rst(["y_n is `x`", "", "    y = |x|"])
    ['y\\\\_n is ``x``', '', '.. code-block:: text', '', '    y = |x|', '']
    """
    found = []
    for block in blocks(lines):
        if block[0].startswith(">>>"):
            found += [".. code-block:: pycon", "", *(f"    {line}" for line in block), ""]
        elif all(line.startswith(" ") or not line for line in block):
            found += [".. code-block:: text", "", *block, ""]
        else:
            found += [*(escaped(line) for line in block), ""]
    return found[:-1] if found and block[0][:1] not in (" ", ">") else found


def blocks(lines):
    """Runs of lines without a blank one; a run is cut where prose and indented text meet, and before an example."""
    found, block = [], []
    for line in [*lines, ""]:
        if block and (not line.strip() or begins_another(block, line)):
            found.append(block)
            block = []
        if line.strip():
            block.append(line)
    return found


def begins_another(block, line):
    """Whether a line is of another kind than the block before it. The output of an example belongs to the example."""
    if block[0].startswith(">>>"):
        return False
    return line.startswith(">>>") or line.startswith(" ") != block[0].startswith(" ")


def escaped(line):
    """A line of prose: marks escaped, `code` as code."""
    parts = re.split(r"(`[^`]+`)", line)
    return "".join(f"`{part}`" if part.startswith("`") else MARKS.sub(r"\\\1", part) for part in parts)


def plain_text(app, what, name, obj, options, lines):
    """autodoc's event: replace the lines in place."""
    lines[:] = as_rst(list(lines))


class PublicNames(SphinxDirective):
    """{public-names} GROUP: every public name of a group of __all__, with its docstring and methods."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        container = nodes.section()
        container.document = self.state.document
        text = []
        for name in groups()[self.arguments[0]]:
            thing = getattr(scratchnet, name)
            kind = "autoexception" if isinstance(thing, type) and issubclass(thing, Exception) else "autoclass"
            kind = kind if isinstance(thing, type) else "autofunction"
            text += [f".. {kind}:: scratchnet.{name}"]
            text += ["   :members:"] if kind == "autoclass" else []
            text += [""]
        self.state.nested_parse(StringList(text, "reference"), 0, container)
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
