"""The documentation site: `sphinx-build -W docs site`. It works from file://, and asks no other machine for anything.

The pages are Markdown (MyST). What Sphinx does not do by itself is in _ext:

    code_cell    the code cells of the lessons as code
    reference    the API reference, from the docstrings of every public name
    sources      a page for each source file that a document links to
    live         the page of a small trained model, as one file
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(ROOT)]

import scratchnet  # noqa: E402

project = "scratchnet"
author = "the authors of scratchnet"
version = release = scratchnet.__version__
copyright = "the authors of scratchnet, MIT"

extensions = ["myst_parser", "sphinx.ext.autodoc", "code_cell", "reference", "sources", "live"]
exclude_patterns = ["_ext", "_build"]
suppress_warnings: list[str] = []
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "scratchnet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # it is fetched, which file:// does not allow
html_theme_options = {"navigation_with_keys": True, "footer_icons": []}
