"""A headless Chromium for the tests of the page. Where there is none they are skipped, with the reason.

SCRATCHNET_BROWSER=required makes such a skip a failure; SCRATCHNET_CHROMIUM names the program to use.
"""

from __future__ import annotations

import json
import mimetypes
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.page.export import save_html
from scratchnet.page.tray import TestImages
from scratchnet.zoo import PRESETS

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "scratchnet" / "page" / "static"
ORIGIN = "http://scratchnet.test"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
]  # fmt: skip


def no_browser(reason: str) -> None:
    """Skip, or fail where a browser is required."""
    if os.environ.get("SCRATCHNET_BROWSER") == "required":
        pytest.fail(f"SCRATCHNET_BROWSER=required, but {reason}")
    pytest.skip(reason)


def chromium_path() -> str:
    """The browser's program."""
    names = [os.environ.get("SCRATCHNET_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        no_browser("no Chromium was found: apt-get install chromium, or SCRATCHNET_CHROMIUM=/path/to/it")
    return str(found)


@pytest.fixture(scope="module")
def browser():
    """Chromium. Playwright's event loop in this thread ends with the module: other modules have loops of their own."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        no_browser("playwright is not installed: pip install 'scratchnet[browser]'")
    path = chromium_path()
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:
            no_browser(f"{path} does not start: {str(error).splitlines()[0]}")
        yield started
        started.close()


def serve_files(page, folder: Path, extra: dict[str, bytes] | None = None) -> None:
    """Answer every request of this browser page for ORIGIN from `folder`, without a server; refuse all others."""

    def answer(route):
        url = route.request.url.split("?")[0].split("#")[0]
        name = url.removeprefix(ORIGIN).lstrip("/") or "index.html"
        path = folder / name
        kind = (
            "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "application/octet-stream"
        )
        if not url.startswith(ORIGIN):
            route.abort()
        elif name in (extra or {}):
            route.fulfill(status=200, content_type=kind, body=extra[name])
        elif path.is_file():
            route.fulfill(status=200, content_type=kind, body=path.read_bytes())
        else:
            route.fulfill(status=404, body="")

    page.route("**/*", answer)


class Twins:
    """The page's modules in a browser, as functions of Python: values cross as JSON, numbers with all their digits."""

    def __init__(self, page):
        self.page = page

    def __call__(self, program: str, argument=None):
        """The JSON value of a program, the body of an async function of `net` (all of net/) and `argument`."""
        text = self.page.evaluate(
            "async ([program, text]) => {"
            "  const body = Object.getPrototypeOf(async function () {}).constructor;"
            "  const value = await new body('net', 'argument', program)(window.net, JSON.parse(text));"
            "  return JSON.stringify(value ?? null, (key, v) => ArrayBuffer.isView(v) ? Array.from(v) : v);"
            "}",
            [program, json.dumps(argument)],
        )
        return json.loads(text)


def import_all(folder: Path) -> str:
    """A script that puts everything that the modules of static/net export into window.net."""
    names = sorted(path.relative_to(folder).as_posix() for path in (folder / "net").rglob("*.js"))
    lines = [f'import * as m{i} from "./{name}";' for i, name in enumerate(names)]
    return "\n".join([*lines, f"window.net = Object.assign({{}}, {', '.join(f'm{i}' for i in range(len(names)))});"])


def open_twins(browser, folder: Path) -> Twins:
    """The modules of a folder like static/, in a browser page of their own."""
    page = browser.new_context().new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    html = b"<!doctype html><title>twins</title><script type='module' src='all.js'></script>"
    serve_files(page, folder, {"twins.html": html, "all.js": import_all(folder).encode()})
    page.goto(f"{ORIGIN}/twins.html")
    page.wait_for_function("window.net !== undefined", timeout=20_000)
    assert not problems, problems
    return Twins(page)


@pytest.fixture(scope="module")
def twins(browser):
    """static/net as it is."""
    return open_twins(browser, STATIC)


@pytest.fixture(scope="session")
def reader():
    """The default network, trained for one epoch on MNIST where it is found, else on synthetic digits."""
    try:
        (x, y), _ = sn.load_mnist(download=False)
    except sn.DataFileError:
        (x, y), _ = sn.load_synthetic()
    recipe = PRESETS["default"](10)
    model = recipe.build((28, 28, 1))
    options = {"epochs": 1, "batch_size": 64, "augment": recipe.augment, "verbose": False}
    n = 24_000 if len(x) == 60_000 else 2_000  # synthetic digits are easy, and a loss of 0 has no gradients to show
    model.fit(x[:n], y[:n], optimizer=sn.Adam(2e-3), **options)
    return model


@pytest.fixture(scope="session")
def test_images():
    """Of the data that `reader` was trained on."""
    try:
        _, (x, y) = sn.load_mnist(download=False)
    except sn.DataFileError:
        _, (x, y) = sn.load_synthetic()
    return TestImages(x[:1000, ..., None], y[:1000], "test images")


@pytest.fixture(scope="session")
def exported(reader, test_images, tmp_path_factory):
    """The page of `reader` as one file."""
    path = tmp_path_factory.mktemp("page") / "digits.html"
    save_html(reader, path, test_images, name="a reader of digits")
    return path


class Opened:
    """An exported file in a browser that has no network, and everything that went wrong in it."""

    def __init__(self, browser, path: Path, **context):
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.problems.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective))"
        )
        self.page.goto(path.as_uri())
        # Waiting for an expression would evaluate text, which the page's policy forbids; a selector is no text.
        self.page.wait_for_selector("html[data-ready=yes]", timeout=20_000)

    def go(self, address: str) -> None:
        """Show another address."""
        self.page.evaluate("hash => { location.hash = hash; }", address)
        self.page.wait_for_timeout(50)

    def x(self) -> np.ndarray:
        """The pixels of the page's input, uint8 (h, w, c); empty without one."""
        found = self.page.evaluate(
            "scratchnet.context.x && [scratchnet.context.x.shape, [...scratchnet.context.x.data]]"
        )
        return np.array(found[1], np.uint8).reshape(found[0]) if found else np.empty(0, np.uint8)

    def hears(self, said: str) -> None:
        """Wait until the live region says something that matches."""
        self.page.locator("#live", has_text=re.compile(said)).wait_for(state="attached", timeout=5_000)

    def settle(self) -> None:
        """Wait until the last change of the drawing has been calculated."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def field(self) -> tuple[float, float, float]:
        """Left, top and side of the drawing field, in pixels of the window."""
        self.page.locator("#field").scroll_into_view_if_needed()
        box = self.page.locator("#field").bounding_box()
        return box["x"], box["y"], box["width"]


@pytest.fixture
def open_page(browser, exported):
    """open_page(path=exported, **settings of the browser's context) -> Opened; closed at the end of the test."""
    opened = []

    def start(path: Path = exported, **context) -> Opened:
        opened.append(Opened(browser, path, **context))
        return opened[-1]

    yield start
    for one in opened:
        one.context.close()


def serious_violations(page) -> list[str]:
    """What axe-core calls serious or critical, with the first place of each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]
