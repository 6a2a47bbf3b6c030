"""The walk: views of one number after another, forward and backward, in the exported page without a network."""

import copy

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import zoo
from scratchnet.page.export import save_html
from scratchnet.page.ledger import explain_in, kinds
from scratchnet.page.passes import Pass
from tests.interop.samples import sample
from tests.page.conftest import serious_violations

WALK = ["pixel", "columns", "gates", "normalise", "dense", "loss", "backward", "check", "step", "number"]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def moved(model):
    """The model with every array moved from its start: zeros and ones hide errors."""
    rng = np.random.default_rng(2)
    for array in {**model.parameters(), **model.state()}.values():
        array[...] += rng.uniform(0, 0.1, array.shape)
    return model


def preset(name):
    return moved(zoo.PRESETS[name](10).build((28, 28, 1), engine="numpy"))


def coloured():
    """Images of 32 × 32 × 3, a block with a shortcut, and an activation that is no ReLU."""
    block = sn.Residual([sn.Conv2D(6, 3, 2, "same"), sn.BatchNorm(), sn.SiLU()], shortcut=sn.Conv2D(6, 1, 2))
    layers = [sn.Rescale(), sn.Conv2D(4, 3, 2), sn.GELU(), block, sn.DepthwiseConv2D(3), sn.GlobalAvgPool2D()]
    names = ["cat", "dog", "<img src=x onerror=alert(1)>"]
    return moved(sn.Sequential([*layers, sn.Dense(3)], (32, 32, 3), engine="numpy", class_names=names))


def of_keras(folder):
    """A model that Keras wrote."""
    path = folder / "model.keras"
    path.write_bytes(sample("sequential.keras"))
    return sn.load_keras(path, rescale=1 / 255)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Name -> the model and its page as one file."""
    folder = tmp_path_factory.mktemp("pages")
    models = {name: preset(name) for name in ("vgg-bn", "lenet5", "mlp")}
    models |= {"coloured": coloured(), "of keras": of_keras(folder)}
    for name, model in models.items():
        save_html(model, folder / f"{name}.html", name=name)
    return {name: (model, folder / f"{name}.html") for name, model in models.items()}


def exact(locator):
    """The number that an element shows, with all its digits: they stand in its title."""
    return float(locator.get_attribute("title").split(" = ")[-1].replace("−", "-"))


def run_of(opened, model, label=None):
    """Python's pass of what the page shows."""
    chosen = opened.page.evaluate("scratchnet.context.label") if label is None else label
    return Pass(model, opened.x(), chosen)


# every view, every kind of model


@pytest.mark.parametrize("name", ["vgg-bn", "lenet5", "mlp", "coloured", "of keras"])
def test_every_view_and_every_layer_of_every_kind_of_model_is_shown(open_page, pages, name):
    model, path = pages[name]
    opened = open_page(path)
    opened.go("#loss")
    run = run_of(opened, model)
    for view in WALK:
        opened.go(f"#{view}")
        assert opened.page.locator("#content h2").count() == 1, view
        assert not opened.page.locator(".warning").count(), (
            f"{view}: {opened.page.locator('.warning').all_inner_texts()}"
        )
    for key, record in run.by_key.items():
        for kind, array in kinds(record).items():
            index = tuple(int(i) for i in np.unravel_index(array.size // 2, array.shape))
            address = f"{kind}/{key}/{','.join(map(str, index))}"
            opened.go(f"#{address}")
            folded = opened.page.locator("summary:has-text('All terms as links')")
            if folded.count():
                folded.click()
            shown = opened.page.locator(".explanation output")
            assert abs(exact(shown.first) - explain_in(run, address).value) <= 1e-9 * np.abs(array).max() + 1e-15, (
                address
            )
    assert opened.problems == []


def test_a_model_without_convolutions_says_so(open_page, pages):
    opened = open_page(pages["mlp"][1])
    opened.go("#pixel")
    assert "This model has no convolution." in opened.page.inner_text("#content")
    opened.go("#normalise")
    assert "no BatchNorm and no Dropout" in opened.page.inner_text("#content")


def test_names_of_classes_are_text_and_nothing_else(open_page, pages):
    opened = open_page(pages["coloured"][1])
    for view in ("loss", "dense", "step"):
        opened.go(f"#{view}")
        assert "<img src=x onerror=alert(1)>" in opened.page.inner_text("#content")
        assert not opened.page.locator("#content img").count()


# one number


def test_a_convolutions_pixel_shows_pythons_numbers(open_page, exported, reader):
    opened = open_page()
    opened.go("#loss")
    run = run_of(opened, reader)
    opened.go("#pixel/y/4.conv2d/3,4,7")
    expected = explain_in(run, "y/4.conv2d/3,4,7")
    opened.page.click("summary:has-text('All terms as links')")
    assert exact(opened.page.locator(".explanation output")) == pytest.approx(expected.value, rel=1e-10)
    tables = opened.page.locator(".equation table")
    channel = int(tables.nth(0).locator("caption").inner_text().split()[-1])
    terms = [term for term in expected.terms if term.group == f"channel {channel}"]
    for n in (0, 1):
        shown = [exact(link) for link in tables.nth(n).locator("a").all()]
        np.testing.assert_allclose(shown, [term.factors[n].value for term in terms], rtol=1e-10)
    shown = [exact(cell) for cell in tables.nth(2).locator("td").all()]
    np.testing.assert_allclose(shown, [term.value for term in terms], rtol=1e-10)
    sums = {g: sum(term.value for term in expected.terms if term.group == g) for g in {t.group for t in expected.terms}}
    for row in opened.page.locator(".partial-sums li").all():
        name = row.locator("button, span").first.inner_text()
        assert exact(row.locator(".number")) == pytest.approx(sums[name], rel=1e-9, abs=1e-12)


def test_links_lead_from_a_weights_derivative_back_to_the_probabilities(open_page):
    opened = open_page()
    opened.go("#number/dW/4.conv2d/1,1,3,7")
    seen = []
    for _ in range(12):
        place = opened.page.evaluate("location.hash")
        seen.append(place)
        if place.startswith("#probabilities"):
            break
        for summary in opened.page.locator("details:not([open]) summary:has-text('All terms')").all():
            summary.click()
        fold = opened.page.locator(".explanation .fold").first
        if fold.count():
            fold.click()
        links = opened.page.locator(
            ".explanation a[href^='#dy/'], .explanation a[href^='#dlogits/'], .explanation a[href^='#probabilities/']"
        )
        links.locator("visible=true").first.click()
        opened.page.wait_for_timeout(50)
    assert sum("/dy/" in place for place in seen) >= 5 and "dlogits" in seen[-2] and "probabilities" in seen[-1], seen
    opened.page.keyboard.press("Backspace")
    opened.page.wait_for_timeout(100)
    assert opened.page.evaluate("location.hash") != seen[-1]
    assert opened.problems == []


def test_the_label_of_ones_choice_changes_the_way_back(open_page, reader):
    opened = open_page()
    opened.go("#loss")
    for label in (2, 9):
        opened.page.click(f"#label-{label}")
        run = run_of(opened, reader, label)
        assert exact(opened.page.locator("a[href='#loss']").last) == pytest.approx(run.loss, rel=1e-9)
        links = opened.page.locator("a[href^='#dlogits/']").all()
        np.testing.assert_allclose([exact(link) for link in links], run.dlogits, rtol=1e-9, atol=1e-15)
        assert opened.page.evaluate("document.activeElement.id") == f"label-{label}"


def test_an_address_is_a_deep_link_in_a_new_window(browser, exported, reader):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(f"{exported.as_uri()}#dW/8.dense/700,31")
    page.wait_for_selector("html[data-ready=yes]")
    x = np.array(page.evaluate("[...scratchnet.context.x.data]")).reshape(28, 28)
    expected = Pass(reader, x, page.evaluate("scratchnet.context.label")).by_key["8.dense"].gradients["W"][700, 31]
    assert exact(page.locator(".explanation output").first) == pytest.approx(expected, rel=1e-8, abs=1e-15)
    assert page.locator("nav a[aria-current]").inner_text() == "Backward"
    context.close()


# check me


@pytest.mark.parametrize("label", [None, 4])
def test_ten_weights_of_each_layer_pass_the_check(open_page, label):
    opened = open_page()
    opened.go("#check")
    if label is not None:
        opened.page.click(f"#label-{label}")
    opened.page.click("#check-all")
    summary = opened.page.locator("#check-results [data-worst]")
    summary.wait_for(timeout=120_000)
    assert float(summary.get_attribute("data-worst")) < 1e-5
    assert int(summary.get_attribute("data-checked")) == 80  # W and b of four layers
    assert opened.page.locator("#check-results tbody tr").count() == 8
    assert not opened.page.locator("#check-results .warning").count()


def test_one_weight_and_one_pixel_are_checked_with_their_tangent(open_page, reader):
    opened = open_page()
    opened.go("#loss")
    opened.page.click("#label-4")
    for address in ("dW/1.conv2d/2,2,0,5", "dx/14,14,0"):
        opened.go(f"#check/{address}")
        assert float(opened.page.locator("#check-one").get_attribute("data-error")) < 1e-5
        expected = explain_in(run_of(opened, reader, 4), address).value
        assert exact(opened.page.locator("#check-one a")) == pytest.approx(expected, rel=1e-8)
        assert opened.page.locator(".chart").count() == 1


# one step


@pytest.mark.parametrize("name", ["sgd", "momentum", "rmsprop", "adam"])
def test_the_loss_after_one_step_is_pythons(open_page, reader, name):
    opened = open_page()
    opened.go("#step")
    opened.page.click("#label-4")
    opened.page.select_option("#choose-optimizer", name)
    optimizer = {"sgd": sn.SGD(), "momentum": sn.SGD(momentum=0.9), "rmsprop": sn.RMSprop(), "adam": sn.Adam()}[name]
    run = run_of(opened, reader, 4)
    after = copy.deepcopy(run.model)
    optimizer.step(after.parameters(), run.gradients())
    line = opened.page.locator("#step-results [data-after]")
    assert float(line.get_attribute("data-before")) == pytest.approx(run.loss, rel=1e-9)
    assert float(line.get_attribute("data-after")) == pytest.approx(Pass(after, run.x, 4).loss, rel=1e-7, abs=1e-10)
    opened.page.locator("#other-losses:has-text('100 other digits: mean loss')").wait_for(timeout=60_000)
    link = opened.page.locator("a[href^='#new.W/8.dense']")
    address = link.get_attribute("href").lstrip("#")
    link.click()
    assert exact(opened.page.locator(".explanation output")) == pytest.approx(
        explain_in(run, address, optimizer=type(optimizer)(**momentum_of(optimizer))).value, rel=1e-9
    )


def momentum_of(optimizer):
    return {"momentum": optimizer.momentum} if isinstance(optimizer, sn.SGD) else {}


def test_the_rate_moves_the_step_and_the_model_stays(open_page):
    opened = open_page()
    opened.go("#step")
    logits = opened.page.evaluate("[...scratchnet.context.pass().logits]")
    opened.page.focus("#rate")
    before = opened.page.locator("#step-results [data-after]").get_attribute("data-after")
    for _ in range(5):
        opened.page.keyboard.press("ArrowLeft")
    assert opened.page.locator("#step-results [data-after]").get_attribute("data-after") != before
    opened.go("#loss")
    assert opened.page.evaluate("[...scratchnet.context.pass().logits]") == logits


# training mode


def test_batchnorm_and_dropout_show_both_modes(open_page, pages):
    model, path = pages["vgg-bn"]
    opened = open_page(path)
    opened.go("#loss")
    label, x = opened.page.evaluate("scratchnet.context.label"), opened.x()
    for training, button in ((False, "#mode-Evaluation"), (True, "#mode-Training")):
        run = Pass(model, x, label, training=training)
        for address in ("y/3.batchnorm/5,6,2", "y/16.dropout/17"):
            opened.go(f"#{address}")
            opened.page.click(button)
            assert opened.page.locator(button).get_attribute("aria-pressed") == "true"
            assert exact(opened.page.locator(".explanation output")) == pytest.approx(
                explain_in(run, address).value, rel=1e-10, abs=1e-12
            )
            assert opened.page.evaluate("document.activeElement.id") == button.lstrip("#")
    links = opened.page.locator(".explanation a").all()
    opened.go(links[0].get_attribute("href"))
    assert "Training mode" in opened.page.inner_text(".mode-note")
    opened.page.click("#to-evaluation")
    assert not opened.page.locator(".mode-note").count()


def test_a_derivative_in_training_is_pythons_and_passes_its_check(open_page, pages):
    model, path = pages["vgg-bn"]
    opened = open_page(path)
    opened.go("#normalise/y/3.batchnorm/5,6,2")
    opened.page.click("#mode-Training")
    run = Pass(model, opened.x(), opened.page.evaluate("scratchnet.context.label"), training=True)
    for address in ("dgamma/3.batchnorm/2", "dx/3.batchnorm/5,6,2", "dW/1.conv2d/1,1,0,3"):
        opened.go(f"#{address}")
        scale = np.abs(run.by_key[address.split("/")[1]].dx).max()
        found = exact(opened.page.locator(".explanation output").first)
        assert found == pytest.approx(explain_in(run, address).value, rel=1e-8, abs=1e-9 * scale)
    opened.go("#check/dgamma/3.batchnorm/2")
    assert float(opened.page.locator("#check-one").get_attribute("data-error")) < 1e-5


# keys, touch, small windows, other colours


def test_arrows_move_the_pixel_and_enter_goes_to_its_terms(open_page, reader):
    opened = open_page()
    opened.go("#pixel/y/1.conv2d/10,10,3")
    opened.page.focus(".live-map")
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("ArrowRight")
    assert opened.page.evaluate("location.hash") == "#pixel/y/1.conv2d/11,11,3"
    expected = explain_in(run_of(opened, reader), "y/1.conv2d/11,11,3").value
    assert float(opened.page.inner_text(".sum-line strong").replace("−", "-")) == pytest.approx(expected, rel=1e-4)
    assert opened.page.evaluate("document.activeElement.className").startswith("map-grid")
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.tagName") == "A"
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_timeout(100)
    assert "/10,10,3" not in opened.page.evaluate("location.hash")


def test_choosing_a_filter_keeps_the_focus(open_page):
    opened = open_page()
    opened.go("#pixel/y/1.conv2d/10,10,3")
    opened.page.select_option("#choose-filter", "9")
    opened.page.wait_for_timeout(100)
    assert opened.page.evaluate("location.hash") == "#pixel/y/1.conv2d/10,10,9"
    assert opened.page.evaluate("document.activeElement.id") == "choose-filter"


def test_a_tap_moves_the_cursor(open_page):
    opened = open_page(**PHONE)
    opened.go("#pixel/y/1.conv2d/10,10,3")
    box = opened.page.locator(".live-map")
    box.scroll_into_view_if_needed()
    area = box.bounding_box()
    opened.page.touchscreen.tap(area["x"] + area["width"] * 2.5 / 24, area["y"] + area["height"] * 20.5 / 24)
    opened.page.wait_for_timeout(100)
    assert opened.page.evaluate("location.hash") == "#pixel/y/1.conv2d/20,2,3"


ADDRESSES = [
    *WALK, "pixel/y/4.conv2d/3,4,7", "gates/y/3.maxpool2d/4,4,1", "dense/y/8.dense/31", "backward/dW/8.dense/3,5",
    "backward/dW/4.conv2d/1,1,3,7", "backward/dx/4.conv2d/5,5,3", "backward/dx/3.maxpool2d/8,8,1",
    "backward/dx/2.relu/8,8,1", "check/dW/4.conv2d/1,1,3,7", "columns/4.conv2d/3,4,7", "number/probabilities/3",
]  # fmt: skip


@pytest.mark.parametrize("width", [320, 360, 1600])
def test_no_view_is_wider_than_the_window(open_page, width):
    opened = open_page(viewport={"width": width, "height": 800})
    for address in ADDRESSES:
        opened.go(f"#{address}")
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(open_page, scheme):
    opened = open_page(color_scheme=scheme, bypass_csp=True)
    for address in ADDRESSES:
        opened.go(f"#{address}")
        assert serious_violations(opened.page) == [], address


def test_nothing_moves_by_itself(open_page):
    opened = open_page(reduced_motion="reduce")
    for address in WALK:
        opened.go(f"#{address}")
        assert opened.page.evaluate("document.getAnimations().length") == 0
