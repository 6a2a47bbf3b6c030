"""A page for each source file, with line numbers; links of the documents to files of the repository lead there.

`[pool.py](../scratchnet/layers/pool.py)` is a link on any platform that shows the repository. On the site there is no
repository, so the file itself becomes a page: source/scratchnet/layers/pool.py.html.
"""

import os
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).parents[2]
SUFFIXES = (".py", ".js", ".toml")
DOCUMENTS = {  # of the repository -> the page that has them
    "README.md": "index", "benchmarks/README.md": "benchmarks", "SECURITY.md": "security",
    "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog",
}  # fmt: skip


def in_repository(app, docname, target):
    """The file that a link of a document means, relative to the repository; None for anything else."""
    target = target.partition("#")[0]
    if not target or "://" in target:
        return None
    for base in (Path(app.env.doc2path(docname)).parent, ROOT, ROOT / "benchmarks"):
        path = Path(os.path.normpath(base / target))
        if path.exists() and path.is_relative_to(ROOT):
            path = path / "__init__.py" if (path / "__init__.py").exists() else path
            return path.relative_to(ROOT)
    return None


def address(app, docname, path):
    """The address of a file's page, seen from a document; None if it has none."""
    if page := DOCUMENTS.get(str(path)) or (
        str(path)[5:-3] if path.parts[0] == "docs" and path.suffix == ".md" else ""
    ):
        return app.builder.get_relative_uri(docname, page)
    if path.suffix in SUFFIXES:
        app.env.linked_sources = getattr(app.env, "linked_sources", set()) | {str(path)}
        return app.builder.get_relative_uri(docname, f"source/{path}")
    return None


class LinksToSources(SphinxPostTransform):
    """Links of documents to other files of the repository, and to the live page, before MyST looks for them."""

    default_priority = 5

    def run(self, **kwargs):
        kinds = addnodes.download_reference, addnodes.pending_xref
        for node in [node for kind in kinds for node in self.document.findall(kind)]:
            uri = self.found(node)
            if uri:
                node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))

    def found(self, node):
        """The address of what a link means; None for links that MyST and Sphinx know better."""
        docname, target = self.env.docname, node.get("reftarget", "")
        if node.get("reftype") not in ("myst", None):
            return None
        if "live/page.html" in target:
            return f"{'../' * docname.count('/')}live/page.html{target.partition('.html')[2]}"
        named = f"{target}.md" if node.get("refdomain") == "doc" else target  # MyST drops the ending of documents
        path = in_repository(self.app, docname, named)
        if path is None or (node.get("refdomain") == "doc" and str(path) not in DOCUMENTS):
            return None
        return address(self.app, docname, path)


def pages(app):
    """A page for every source of the package, and for all others that are linked."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="line", cssclass="highlight source")
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "scratchnet").rglob("*.py")}
    for name in sorted(wanted | getattr(app.env, "linked_sources", set())):
        text = (ROOT / name).read_text(encoding="utf-8")
        body = highlight(text, get_lexer_for_filename(name), formatter)
        context = {"title": name, "body": f"<h1>{name}</h1>{body}", "parents": [], "toc": "", "display_toc": False}
        yield f"source/{name}", context, "page.html"


def setup(app):
    """Called by Sphinx."""
    app.add_post_transform(LinksToSources)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
