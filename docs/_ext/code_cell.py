"""```{code-cell} python: a cell of a lesson. On the site it is code; `tests/lessons.py` runs it, jupytext opens it."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class CodeCell(SphinxDirective):
    """The content as a block of Python."""

    has_content = True
    optional_arguments = 1

    def run(self):
        code = "\n".join(self.content)
        return [nodes.literal_block(code, code, language="python")]


def setup(app):
    """Called by Sphinx."""
    app.add_directive("code-cell", CodeCell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
