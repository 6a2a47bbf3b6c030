"""The documentation site: it builds without a warning, asks no other machine for anything, and every link leads on."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import scratchnet as sn
from tests.page.conftest import browser  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[1]
QUESTION = "How does the gradient get through a max-pool?"
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src"), ("video", "src")}


class Page(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors, self.text = [], [], set(), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag != "link" or found.get("rel") in ("stylesheet", "icon", "preload", "modulepreload"):
            self.loaded += [value for key, value in found.items() if (tag, key) in LOADED and value]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site: SCRATCHNET_SITE, or built here, its network trained for one epoch."""
    if os.environ.get("SCRATCHNET_SITE"):
        return Path(os.environ["SCRATCHNET_SITE"])
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason=f"{package} is not installed: python -m pip install -e '.[docs]'")
    pytest.importorskip("numba")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-D", "live_epochs=1", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """path -> Page, of every page but the live one, which tests/page is about."""
    return {path: Page(path) for path in site.rglob("*.html") if path.parent.name != "live"}


def local(path, target):
    """The file that a link of a page means."""
    return Path(f"{path.parent}/{unquote(target.partition('#')[0])}").resolve() if not target.startswith("#") else path


def test_no_page_loads_anything_from_elsewhere_and_all_that_is_loaded_is_there(site, pages):
    assert len(pages) > 200
    for path, page in pages.items():
        for target in page.loaded:
            assert "://" not in target and not target.startswith("//"), f"{path.name} loads {target}"
            if not target.startswith("data:"):
                assert local(path, target.partition("?")[0]).is_file(), f"{path.name} loads {target}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_every_link_leads_to_a_file_and_its_anchor(pages):
    for path, page in pages.items():
        for target in page.links:
            if re.match(r"[a-z]+:", target):
                continue
            file, anchor = local(path, target), unquote(target.partition("#")[2])
            assert file.is_file(), f"{path}: {target}"
            if anchor and file in pages:
                assert anchor in pages[file].anchors, f"{path}: {target}"


def test_two_clicks_lead_to_the_max_pool_with_mathematics_code_a_picture_the_view_and_an_exercise(site, pages):
    front = (site / "index.html").read_text(encoding="utf-8")
    (target,) = set(re.findall(rf'href="([^"]+)"[^>]*>(?:<[^>]+>)*{re.escape(QUESTION)}', front)) - {"#"}
    lesson = site / target
    page = pages[lesson]
    assert QUESTION in page.text and "y = max(x₀₀, x₀₁, x₁₀, x₁₁)" in page.text
    assert "np.put_along_axis(dvalues, winner" in page.text and "scratchnet learn 6" in page.text
    assert any("06-pool" in image for image in page.loaded)
    (view,) = {link for link in page.links if "live/page.html" in link}
    assert "#gates" in view and local(lesson, view).is_file()


def test_the_reference_has_every_public_name_with_its_example(site):
    text = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    for name in sn.__all__:
        assert f'id="scratchnet.{name}"' in text, name
    assert text.count("&gt;&gt;&gt; ") > len(sn.__all__)


def test_the_live_page_is_one_file_and_is_framed(site, pages):
    assert (site / "live" / "page.html").stat().st_size < 1_000_000
    assert "live/page.html" in pages[site / "live.html"].loaded


def test_in_a_browser_without_a_network_the_site_can_be_read_and_searched(site, browser):  # noqa: F811
    context = browser.new_context(offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / "index.html").as_uri())
    page.locator("article a", has_text=QUESTION).click()
    assert page.url.endswith("lessons/06-gates.html")
    page.goto((site / "search.html").as_uri() + "?q=max-pool")
    page.wait_for_selector("#search-results li a")
    assert QUESTION in " ".join(page.locator("#search-results li a").all_inner_texts())
    page.goto((site / "live.html").as_uri())
    page.frame_locator("iframe.live").locator("#content").wait_for()
    assert errors == [] and all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    for width in (320, 375, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for name in ("index", "lessons/06-gates", "comparison", "benchmarks", "reference/layers"):
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
    context.close()
