"""The page's modules as one script, and the page as one file.

Browsers load no ES modules from a file that was opened by a double click. So the modules are put one after the other,
each behind those that it imports, and the words `import … from …;` and `export` are taken out; what is left shares the
scope of one function. This works because the modules keep to a few rules, which are checked here:

    import { a, b } from "./x.js";      at the start of a line, without `as`, and x exports a and b
    export function | class | const     no default export, no list of exports, no re-export
    a name at the top level             in one module only

The file's Content-Security-Policy names the script and the style by their SHA-256 hashes, so nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

STATIC = Path(__file__).parent / "static"
IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"([^"]+)";[ \t]*\n?', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)
DECLARED = re.compile(
    r"^(?P<export>export )?(?:async )?(?:function\*?|class|const|let|var) +(?P<name>[\w$]+|[{\[])", re.MULTILINE
)
REFUSED = re.compile(r"^(?:import|export)\b.*|\bimport\s*\(.*", re.MULTILINE)
STYLE_TAG = '<link rel="stylesheet" href="style.css">\n'
SCRIPT_TAG = '<script type="module" src="main.js"></script>\n'
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data: blob:; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def bundle(folder: Path = STATIC, first: str = "main.js") -> str:
    """All modules that `first` needs as one script. Raises ValueError where a module breaks the rules above."""
    sources: dict[str, str] = {}  # in the order in which they must run
    owners: dict[str, str] = {}  # of the names at the top level
    exports: dict[str, set[str]] = {}

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ValueError(f"modules import each other: {' -> '.join([*importers, name])}")
        if name in sources:
            return
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{importers[-1] if importers else name} imports {name}, and there is no such file")
        text = path.read_text(encoding="utf-8")
        needed = [(posixpath.normpath(posixpath.join(posixpath.dirname(name), where)), names)
                  for names, where in IMPORT.findall(text)]  # fmt: skip
        for where, names in needed:
            add(where, (*importers, name))
            _check_names(name, where, names, exports[where])
        sources[name], exports[name] = _stripped(name, text, owners)

    add(first, ())
    return "".join(
        ['(() => {\n"use strict";\n', *(f"\n// {name}\n{text}" for name, text in sources.items()), "})();\n"]
    )


def _check_names(name: str, where: str, names: str, exported: set[str]) -> None:
    """The imported names are exported."""
    for word in filter(None, (part.strip() for part in names.split(","))):
        if word not in exported:
            raise ValueError(f"{name} imports {word!r} from {where}, which exports {', '.join(sorted(exported))}")


def _stripped(name: str, text: str, owners: dict[str, str]) -> tuple[str, set[str]]:
    """A module without `import` and `export`, and the names it exports."""
    exported = set()
    for match in DECLARED.finditer(text):
        declared = match["name"]
        if declared in "{[":
            raise ValueError(f"{name}: {match[0].strip()!r}: a declaration at the top level has one plain name")
        if declared in owners:
            raise ValueError(f"{name} and {owners[declared]} both declare {declared!r}; names are unique in the page")
        owners[declared] = name
        if match["export"]:
            exported.add(declared)
    text = EXPORT.sub("", IMPORT.sub("", text))
    if found := REFUSED.search(_without_comments(text)):
        raise ValueError(
            f"{name}: {found[0].strip()!r}: the page knows only import {{ a, b }} from and export function"
        )
    return text, exported


def _without_comments(text: str) -> str:
    """Without comments of whole lines and blocks, where the words import and export may stand."""
    return re.sub(r"/\*.*?\*/|^\s*//.*?$", "", text, flags=re.DOTALL | re.MULTILINE)


def one_file(parts: Mapping[str, object], folder: Path = STATIC) -> str:
    """The page with its parts inside. parts: id -> JSON data, or bytes; they become the elements that load.js reads."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    style = f"\n{(folder / 'style.css').read_text(encoding='utf-8')}"
    script = f"\n{in_script(bundle(folder))}"
    if "</" in style:
        raise ValueError("style.css contains '</', which would end its element")
    policy = POLICY.format(script=csp_hash(script), style=csp_hash(style))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    data = "".join(data_element(name, part) for name, part in parts.items())
    for tag in ('<meta charset="utf-8">\n', STYLE_TAG, SCRIPT_TAG):
        if page.count(tag) != 1:
            raise ValueError(f"index.html must contain {tag.strip()!r} once")
    page = page.replace('<meta charset="utf-8">\n', f'<meta charset="utf-8">\n{meta}')
    page = page.replace(STYLE_TAG, f"<style>{style}</style>\n")
    return page.replace(SCRIPT_TAG, f"{data}<script>{script}</script>\n")


def csp_hash(text: str) -> str:
    """The source expression of an inline element.

    >>> csp_hash("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    if "\r" in text or "\0" in text:
        raise ValueError("an inline element must not contain \\r or NUL: a browser replaces them before it hashes")
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def in_script(text: str) -> str:
    """A script that can stand in an element: `</` and `<!--` could end or change it.

    >>> in_script("'</script>'")
    "'<\\\\/script>'"
    """
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def data_element(name: str, part: object) -> str:
    r"""A part of the page: JSON, of which no character can end the element, or bytes in base64.

    >>> print(data_element("model", {"name": "</script>"}), end="")
    <script type="application/json" id="model">{"name":"\u003c/script>"}</script>
    """
    if isinstance(part, bytes):
        kind, text = "octet-stream", base64.b64encode(part).decode()
    else:
        kind, text = "json", json.dumps(part, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/{kind}" id="{name}">{text}</script>\n'
