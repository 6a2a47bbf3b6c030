"""The page as one file: its bundle, its policy, what it refuses, and the command that writes it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.commands import exporting
from scratchnet.page.bundle import STATIC, bundle, one_file
from scratchnet.page.export import save_html
from scratchnet.page.sources import page_sources
from scratchnet.page.tray import find_test_images, make_tray
from scratchnet.zoo import PRESETS

ROOT = Path(__file__).parents[2]
HOSTILE = "</script><img src=x onerror=alert(1)><!--"


@pytest.fixture
def small():
    """A network that is quickly made."""
    layers = [sn.Rescale(), sn.Conv2D(2, 3), sn.ReLU(), sn.MaxPool2D(4), sn.Flatten(), sn.Dense(10)]
    return sn.Sequential(layers, (28, 28, 1), engine="numpy")


def modules(folder, **texts):
    """A folder like static/, of the page's own index.html and style.css and these modules."""
    for name in ("index.html", "style.css"):
        shutil.copy(STATIC / name, folder / name)
    for name, text in texts.items():
        (folder / f"{name}.js").write_text(text)
    return folder


# the bundle


def test_a_module_stands_behind_those_it_imports_and_only_once(tmp_path):
    folder = modules(
        tmp_path,
        main='import { b } from "./b.js";\nimport { c } from "./c.js";\nb(c);\n',
        b='import { c } from "./c.js";\nexport function b() {\n  return c;\n}\n',
        c="export const c = 1;\n",
    )
    script = bundle(folder)
    assert re.findall(r"^// (\w+)\.js$", script, re.M) == ["c", "b", "main"]
    assert not re.search(r"^(import|export)\b", script, re.M)


@pytest.mark.parametrize(
    ("main", "other", "said"),
    [
        (
            'import { a } from "./other.js";',
            "export const b = 1;",
            "main.js imports 'a' from other.js, which exports b",
        ),
        ('import { a } from "./missing.js";', "", "main.js imports missing.js, and there is no such file"),
        ('import { a as b } from "./other.js";', "export const a = 1;", "imports 'a as b'"),
        ('import a from "./other.js";', "export const a = 1;", "the page knows only import { a, b }"),
        ('import * as a from "./other.js";', "export const a = 1;", "the page knows only import { a, b }"),
        ('import { a } from "./other.js";\nconst x = 1;', "export const a = 1;\nconst x = 2;", "both declare 'x'"),
        ('import { a } from "./other.js";', "export const a = 1;\nexport default a;", "the page knows only"),
        ('import { a } from "./other.js";', "const a = 1;\nexport { a };", "the page knows only"),
        ('const a = await import("./other.js");', "", "the page knows only"),
        ("const [a, b] = [1, 2];", "", "a declaration at the top level has one plain name"),
        ('import { a } from "./other.js";', 'import { b } from "./main.js";\nexport const a = b;', "import each other"),
    ],
)
def test_a_module_that_breaks_the_rules_is_named(tmp_path, main, other, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        bundle(modules(tmp_path, main=main, other=other))


def test_the_pages_own_modules_keep_the_rules():
    script = bundle()
    unused = [
        path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js") if path.parent.name != "ui"
        and f"\n// {path.relative_to(STATIC).as_posix()}\n" not in script
    ]  # fmt: skip
    assert unused == []


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.js")), ids=lambda path: path.relative_to(STATIC).as_posix())
def test_a_module_is_short_explained_and_writes_text_only_as_text(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert text.startswith(("/**", "//")), "a module says first what it is about"
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|getImageData|https?://(?!www\.w3\.org)"
    assert not re.search(forbidden, text)


# the file


def parts_of(text):
    """The policy, and the content of each element that has an id or is run."""
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)[1]
    data = dict(re.findall(r'<script type="application/[\w-]+" id="(\w+)">(.*?)</script>', text, re.S))
    return (
        policy,
        data,
        re.findall(r"<script>(.*?)</script>", text, re.S),
        re.findall(r"<style>(.*?)</style>", text, re.S),
    )


def test_the_policy_names_script_and_style_by_their_hashes_and_nothing_else(exported):
    policy, _, scripts, styles = parts_of(exported.read_text())
    assert len(scripts) == len(styles) == 1
    for kind, text in (("script", scripts[0]), ("style", styles[0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';") and "connect-src 'none'" in policy and "unsafe" not in policy


def test_the_policy_comes_before_everything_it_must_cover(exported):
    text = exported.read_text()
    assert text.index("Content-Security-Policy") < min(text.index("<script"), text.index("<style"), text.index("<link"))


def test_the_file_refers_to_nothing_outside(exported):
    text = exported.read_text()
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', text[: text.index('id="model"')])) == {"data:,"}
    assert "\r" not in text


def test_the_weights_in_the_file_are_the_models(exported, reader):
    import safetensors.numpy

    arrays = safetensors.numpy.load(base64.b64decode(parts_of(exported.read_text())[1]["weights"]))
    for name, array in {**reader.parameters(), **reader.state()}.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_the_golden_logits_in_the_file_are_those_of_the_textbook(exported, reader):
    golden = json.loads(parts_of(exported.read_text())[1]["golden"])
    x = np.array(golden["x"], np.uint8).reshape(1, 28, 28, 1)
    np.testing.assert_allclose(reader.forward(x)[0], golden["logits"], rtol=1e-4, atol=1e-4)


def test_class_names_cannot_end_an_element_or_become_one(small, tmp_path, open_page):
    named = sn.Sequential(sn_layers(small), (28, 28, 1), class_names=[HOSTILE, *map(str, range(9))], engine="numpy")
    save_html(named, tmp_path / "hostile.html", name=HOSTILE)
    text = (tmp_path / "hostile.html").read_text()
    assert text.count("onerror") == 2 and "<img" not in text  # in the class names and in the name, as \\u003c
    opened = open_page(tmp_path / "hostile.html")
    assert opened.page.locator(".bar-name >> nth=0").text_content() == HOSTILE
    assert opened.page.locator("img").count() == 0 and opened.problems == []


def sn_layers(model):
    from scratchnet.transfer import unbuilt

    return unbuilt(model.layers)


def test_a_layer_of_ones_own_is_refused_by_name(tmp_path):
    class Swish(sn.SiLU):
        """A layer of one's own."""

    model = sn.Sequential([sn.Rescale(), Swish(), sn.Flatten(), sn.Dense(10)], (28, 28, 1), engine="numpy")
    with pytest.raises(ValueError, match=r"layer 1 \(Swish\)"):
        save_html(model, tmp_path / "own.html")
    assert not (tmp_path / "own.html").exists()


def test_a_model_of_vectors_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"this model takes input of shape \(5,\)"):
        save_html(sn.Sequential([sn.Dense(3)], (5,), engine="numpy"), tmp_path / "vectors.html")


def test_the_default_network_with_its_tray_is_under_two_megabytes(exported, reader):
    assert reader.count_params() == PRESETS["default"](10).build((28, 28, 1), engine="numpy").count_params()
    assert exported.stat().st_size < 2_000_000


@pytest.mark.parametrize("preset", ["lenet5", "mlp", "vgg-bn", "resnet", "fast"])
def test_other_networks_check_themselves_and_answer(preset, tmp_path, open_page):
    model = PRESETS[preset](10).build((28, 28, 1), engine="numpy")
    save_html(model, tmp_path / "page.html")
    opened = open_page(tmp_path / "page.html")
    assert opened.page.locator("#alarm").is_hidden()
    named = opened.page.evaluate("[...document.querySelectorAll('#views a')].map((link) => link.hash)")
    for address in [*named, "#strip/0.rescale"]:
        opened.go(address)
    assert opened.problems == []


def test_a_colour_model_takes_drawings_in_all_its_channels(tmp_path, open_page):
    layers = [sn.Rescale(), sn.Conv2D(4, 3), sn.BatchNorm(), sn.ReLU(), sn.GlobalAvgPool2D(), sn.Dense(3)]
    save_html(sn.Sequential(layers, (32, 32, 3), engine="numpy"), tmp_path / "page.html")
    opened = open_page(tmp_path / "page.html")
    opened.page.focus("#field")
    opened.page.keyboard.press("Space")
    opened.settle()
    x = opened.x()
    assert x.shape == (32, 32, 3) and x.any() and (x == x[..., :1]).all()
    assert opened.problems == []


# tray and sources


def test_the_tray_begins_with_what_the_model_finds_hardest(reader, test_images):
    tray = make_tray(reader, test_images)
    pixels = np.frombuffer(base64.b64decode(tray["pixels"]), np.uint8).reshape(-1, *tray["shape"])
    labels = np.array(tray["labels"])
    probability = reader.predict(pixels)[np.arange(len(labels)), labels]
    all_probabilities = reader.predict(test_images.x)[np.arange(len(test_images.y)), test_images.y]
    np.testing.assert_allclose(probability[:20], np.sort(all_probabilities)[:20], atol=1e-6)
    assert len(labels) == 128 and len(np.unique(pixels.reshape(128, -1), axis=0)) == 128
    assert np.bincount(labels[20:], minlength=10).min() >= 10


def test_test_images_that_do_not_fit_are_left_out():
    colour = sn.Sequential([sn.Flatten(), sn.Dense(4)], (8, 8, 3), engine="numpy")
    assert find_test_images(colour) is None


def test_a_folder_without_data_is_an_error_only_if_it_was_asked_for(small, tmp_path):
    with pytest.raises(sn.DataFileError):
        find_test_images(small, data_dir=str(tmp_path), required=True)
    assert find_test_images(small, data_dir=str(tmp_path)) is None


def test_the_sources_are_the_lines_of_the_files(small):
    for name, found in page_sources(small).items():
        lines = (ROOT / found["file"]).read_text().splitlines()
        for k, line in enumerate(found["text"].splitlines()):
            assert line.strip() == lines[found["line"] - 1 + k].strip(), name


def test_the_page_has_the_source_of_every_layer_of_the_model(small):
    for layer in small.layers:
        for method in ("forward", "backward"):
            assert f"def {method}(self" in page_sources(small)[f"{type(layer).__name__}.{method}"]["text"]


# the command


def test_the_command_writes_a_page_and_opens_it(small, tmp_path, browser):
    small.save(tmp_path / "digits.safetensors")
    done = subprocess.run(
        [
            sys.executable, ROOT / "scripts" / "export.py", "digits.safetensors", "--to", "html",
            "--out", "digits.html", "--no-digits",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"checked with playwright [\d.]+ on 100 images: .* the same class for all", done.stdout)
    assert "tray" not in parts_of((tmp_path / "digits.html").read_text())[1]


def test_a_page_of_another_model_fails_the_check(small, tmp_path, browser):
    save_html(small, tmp_path / "digits.html")
    other = sn.Sequential(sn_layers(small), (28, 28, 1), seed=1, engine="numpy")
    found = exporting.check(other, "html", tmp_path / "digits.html", images=20)
    assert not found.passed


def test_digits_of_the_page_are_no_option_of_another_format(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "export.py", "x", "--to", "c", "--out", "x.c", "--no-digits"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "--no-digits are for --to html" in done.stderr


def test_a_missing_part_of_the_page_is_an_error_on_the_page(tmp_path, open_page, browser):
    (tmp_path / "empty.html").write_text(one_file({"model": {"format": 1}}))
    page = browser.new_page()
    page.goto((tmp_path / "empty.html").as_uri())
    page.wait_for_selector("main .alarm")
    assert "The page cannot start" in page.locator("main .alarm").text_content()
    page.close()
