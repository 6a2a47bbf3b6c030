"""The served page in a browser: what it asks of the server, and that it asks nobody else (W7)."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.page import tray
from scratchnet.page.classroom import Classroom
from scratchnet.page.contents import page_parts
from scratchnet.page.corrections import Corrections, class_names
from scratchnet.page.live import Live
from scratchnet.page.observe import Observer
from scratchnet.page.server import Server
from scratchnet.page.server_site import Site

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from scratchnet.page.server_teaching import teaching_routes
from scratchnet.page.server_training import training_routes
from tests.page.conftest import serious_violations

SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}
VIEWS = {"#training": "First filters", "#learnt": "Images that excite a map most", "#speed": "Its layers",
         "#teach": "What is it really?"}  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def digits():
    """A small network that reads synthetic digits, and images of them."""
    (x, y), test = sn.load_synthetic(n_train=1500, n_test=200)
    layers = [sn.Rescale(), sn.Conv2D(6, 5, stride=2), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(10)]
    model = sn.Sequential(layers, (28, 28, 1), engine="numpy")
    model.fit(x, y, epochs=2, batch_size=32, optimizer=sn.Adam(3e-3), verbose=False)
    return model, (x, y), (test[0][..., None], test[1])


class Seen:
    """A page of the browser, and everything it asked for or complained about."""

    def __init__(self, context, address):
        self.page, self.requests, self.problems = context.new_page(), [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.problems.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective))"
        )
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready=yes]", timeout=20_000)

    def go(self, view):
        self.page.evaluate("hash => { location.hash = hash; }", view)

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def wait(self, text, seconds=15):
        self.page.get_by_text(text).first.wait_for(timeout=1000 * seconds)


@contextmanager
def pages(browser, model, tests, routes=None, offers=(), **context):
    """A server, and a function that opens its page."""
    site = Site(model, lambda shown: page_parts(shown, tray.TestImages(*tests, "test images")))
    site.offers |= dict.fromkeys(offers, True)
    opened = browser.new_context(**context)
    with Server(site, port=0, routes=routes) as server:
        yield server, lambda hash="": Seen(opened, server.address + hash)
        opened.close()


def taught(model, data, folder):
    """The routes of a classroom in this folder."""

    def routes(site):
        kept = Corrections(folder, (28, 28, 1), class_names(model))
        return teaching_routes(site, Classroom(site, kept, folder, lambda: data, lambda: data))

    return routes


def test_W7_the_page_asks_its_own_server_alone_and_nothing_is_wrong_with_it(browser, digits):
    model, _, tests = digits
    named = sn.Sequential(
        [sn.Rescale(), sn.Flatten(), sn.Dense(3)], (28, 28, 1), engine="numpy", class_names=["a", EVIL, "c"]
    )
    for shown, images in ((model, tests), (named, (tests[0][:5], np.arange(5) % 3))):
        with pages(browser, shown, images) as (server, open_page):
            seen = open_page()
            for view in ["#draw", "#strip", *VIEWS]:
                seen.go(view)
                seen.page.wait_for_timeout(300)
            assert seen.problems == []
            assert {url.split("/")[2] for url in seen.requests if not url.startswith("data:")} == {
                f"127.0.0.1:{server.door.port}"
            }
            if shown is named:
                seen.go("#draw")
                seen.wait(EVIL)  # as text
                assert seen.page.locator("main img").count() == 0


def test_the_page_and_the_engine_give_the_same_probabilities_and_a_picture_is_read(browser, digits, tmp_path):
    from PIL import Image

    model, _, tests = digits
    with pages(browser, model, tests) as (_, open_page):
        seen = open_page("#draw")
        both = seen.page.evaluate(
            "async () => { const { context } = scratchnet; context.needInput();"
            " const there = await context.server.predict(context.x);"
            " return [[...context.probabilities], there.probabilities, [...context.x.data]]; }"
        )
        x = np.array(both[2], np.uint8).reshape(1, 28, 28, 1)
        np.testing.assert_array_equal(np.float32(both[1]), model.predict(x)[0])
        np.testing.assert_allclose(both[0], both[1], atol=1e-5)

        paper = np.full((200, 160), 230, np.uint8)
        paper[30:170, 70:90] = 20
        Image.fromarray(paper).save(tmp_path / "one.png")
        seen.page.set_input_files("input[type=file]", tmp_path / "one.png")
        seen.wait("a picture")
        pixels = seen.page.evaluate("[...scratchnet.context.x.data]")
        np.testing.assert_array_equal(np.uint8(pixels).reshape(28, 28), sn.digit_from_image(tmp_path / "one.png"))
        (tmp_path / "text.png").write_text("no picture")
        seen.page.set_input_files("input[type=file]", tmp_path / "text.png")
        seen.wait("No digit was read: expected an image file")


def test_a_training_is_watched_and_steered_in_eight_pages(browser, digits):
    model, (x, y), tests = digits
    fresh, live = model.untrained_copy(), Live(Observer(*tests))
    live.paused = True
    fit = {"epochs": 3, "batch_size": 32, "optimizer": sn.Adam(1e-3), "validation_data": tests, "verbose": False}
    thread = threading.Thread(target=lambda: fresh.fit(x, y, callbacks=[live], **fit), daemon=True)
    with pages(browser, model, tests, lambda site: training_routes(site, live), ["training"]) as (_, open_page):
        thread.start()
        seen = [open_page("#training") for _ in range(8)]
        first = seen[0]
        first.wait("Paused at step 1,")
        first.press("One step")
        first.wait("Paused at step 2,")
        first.page.get_by_label("Learning rate").fill("-1")
        first.wait("changed by hand at step 2")
        first.press("Watch my input")
        first.press("Resume")
        thread.join(60)
        for one in seen:
            one.wait("Ended at step 141,")
            assert one.problems == []
    assert live.changes == [{"step": 2, "lr_scale": 0.1}]


def test_a_correction_is_learned_and_the_taught_model_is_shown(browser, digits, tmp_path):
    model, data, tests = digits
    before = model.get_weights()
    with pages(browser, model, tests, taught(model, data, tmp_path), ["teach"]) as (server, open_page):
        seen = open_page("#teach")
        seen.wait("What is it really?")
        seen.press("7")
        seen.wait("1 correction")
        seen.press("Learn from these")
        seen.wait("Use the taught model", 60)
        seen.wait("This page shows the former model.")
        seen.press("Use the taught model")
        seen.wait("This page shows the taught model.", 30)
        answer = seen.page.evaluate(
            "() => { scratchnet.context.needInput(); return [...scratchnet.context.probabilities]; }"
        )
        assert np.argmax(answer) == 7 and seen.problems == []
        seen.press("Forget correction 1, 7")
        seen.wait("0 corrections")
        assert server.site.model is not model
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize(("scheme", "size"), [("light", "phone"), ("dark", "desktop")])
def test_axe_finds_no_serious_violation_in_what_a_server_adds(browser, digits, tmp_path, scheme, size):
    model, data, tests = digits
    live = Live(Observer(*tests))
    model.untrained_copy().fit(*data, epochs=1, callbacks=[live], verbose=False, validation_data=tests)

    def routes(site):
        return [*training_routes(site, live), *taught(model, data, tmp_path)(site)]

    # The page's policy forbids scripts from elsewhere, and axe is one.
    options = {"color_scheme": scheme, "viewport": SIZES[size], "bypass_csp": True}
    with pages(browser, model, tests, routes, ["training", "teach"], **options) as (_, open_page):
        seen = open_page()
        for view, text in VIEWS.items():
            seen.go(view)
            seen.wait(text)
            time.sleep(0.5)
            assert serious_violations(seen.page) == [], view
            assert seen.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), view


def test_moved_images_are_those_of_the_augmentation(twins, rng):
    x = rng.integers(0, 256, (12, 10, 1)).astype(float)
    shift = "return net.movedImage(net.tensor([12, 10, 1], argument), {across: 3, down: -2}).data"
    moved = np.array(twins(shift, x.ravel().tolist())).reshape(12, 10)
    expected = np.zeros((12, 10))
    expected[:10, 3:] = x[2:, :7, 0]
    np.testing.assert_allclose(moved, expected, atol=1e-12)
    turned = twins("return net.movedImage(net.tensor([9, 9, 1], argument), {turn: 90}).data", x.ravel()[:81].tolist())
    np.testing.assert_allclose(np.reshape(turned, (9, 9)), np.rot90(x.ravel()[:81].reshape(9, 9), -1), atol=1e-9)
    halved = twins("return net.movedImage(net.tensor([9, 9, 1], argument), {zoom: 0.5}).data", [255.0] * 81)
    assert np.count_nonzero(np.reshape(halved, (9, 9))) == 25  # half as large, and black around it


def test_grad_cam_is_the_weighted_sum_of_the_last_maps(twins, digits):
    import base64

    from scratchnet.page.describe import describe

    model, _, tests = digits
    exact, x = model.untrained_copy("numpy", "float64"), tests[0][:1]
    exact.set_weights([np.float64(array) for array in model.get_weights()])
    _, caches = exact.forward_cached(x, exact.context())
    stages, y = exact.backend.stages, x
    dy = np.eye(10)[[4]]
    for stage, cache in zip(reversed(stages[4:]), reversed(caches[4:]), strict=True):
        dy, _ = stage.backward(dy, cache)
    for layer in exact.layers[:4]:
        y, _ = layer.forward(y, exact.context())
    expected = np.maximum(0, (dy.mean(axis=(1, 2), keepdims=True) * y).sum(axis=-1))[0]
    bytes_ = page_parts(model)["model.safetensors"]
    found = twins(
        "const bytes = Uint8Array.from(atob(argument.weights), (c) => c.charCodeAt(0)).buffer;"
        "const model = net.makeModel(argument.description, net.readSafetensors(bytes).tensors);"
        "const { key, map } = net.gradCam(model, net.tensor([28, 28, 1], argument.x), 4);"
        "return { key, shape: map.shape, data: map.data };",
        {"description": describe(model), "weights": base64.b64encode(bytes_).decode(), "x": x.ravel().tolist()},
    )
    assert found["key"] == "3.maxpool2d"
    np.testing.assert_allclose(np.reshape(found["data"], found["shape"]), expected, atol=1e-10 * expected.max())
