"""The exported page, in a browser without a network: what mouse, finger, pen and keys draw is read as Python does."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.data.drawing import digit_from_strokes
from tests.page.pen_digits import drawn_digits

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def digits(reader):
    """One written digit of each class that the model reads in Python: (class, strokes)."""
    found = {}
    for label, strokes in drawn_digits(5, seed=3):
        if label not in found and reader.predict(digit_from_strokes(strokes)[None]).argmax() == label:
            found[label] = strokes
    assert len(found) == 10
    return found


def with_mouse(opened, strokes):
    """Draw with the pressed mouse."""
    left, top, side = opened.field()
    for stroke in strokes:
        for k, (x, y) in enumerate(stroke):
            opened.page.mouse.move(left + x * side, top + y * side)
            if k == 0:
                opened.page.mouse.down()
        opened.page.mouse.up()
    opened.settle()


def large(strokes):
    """The same digit over most of the field: a browser takes the first 15 pixels of a touch for a tap."""
    points = np.concatenate([np.array(stroke) for stroke in strokes])
    low, side = points.min(axis=0), np.ptp(points, axis=0).max()
    return [(0.05 + 0.9 * (np.array(stroke) - low) / side).tolist() for stroke in strokes]


def touch(session, kind, *points):
    """A touch event of the browser's own input: points are (x, y) of the window."""
    session.send("Input.dispatchTouchEvent", {
        "type": kind, "touchPoints": [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)],
    })  # fmt: skip


def with_finger(opened, strokes):
    """Draw with one finger."""
    session = opened.context.new_cdp_session(opened.page)
    left, top, side = opened.field()
    for stroke in strokes:
        for k, (x, y) in enumerate(stroke):
            touch(session, "touchMove" if k else "touchStart", (left + x * side, top + y * side))
        touch(session, "touchEnd")
    opened.settle()


def answer(opened):
    return opened.page.locator(".answer").text_content()


def drawn_strokes(opened):
    """The points as the page has them: what the browser's events said."""
    text = opened.page.locator(".ink").get_attribute("d") or ""
    return [
        [tuple(map(float, point.split())) for point in path.split("L")] for path in text.split("M") if path
    ]  # "M x y L x y …"


# drawing


def test_digits_drawn_with_the_mouse_are_read_as_python_reads_them(open_page, reader, digits):
    opened = open_page()
    for label, strokes in digits.items():
        opened.page.click("#clear")
        with_mouse(opened, [stroke[::2] for stroke in strokes])
        assert answer(opened).startswith(("This is", "Probably", "Perhaps")) and f" {label} " in answer(opened)
        drawn = digit_from_strokes(drawn_strokes(opened))
        np.testing.assert_array_equal(opened.x()[..., 0], drawn)
        theirs = opened.page.evaluate("[...scratchnet.context.probabilities]")
        np.testing.assert_allclose(theirs, reader.predict(drawn[None])[0], atol=1e-5)
    assert opened.problems == []


@pytest.mark.parametrize("label", [2, 4, 7])
def test_a_digit_drawn_with_a_finger_is_read_and_the_page_does_not_scroll(open_page, digits, label):
    opened = open_page(**PHONE)
    with_finger(opened, large(digits[label]))
    assert f" {label} " in answer(opened)
    before = opened.page.evaluate("scrollY")
    with_finger(opened, [[(0.5, 0.9), (0.5, 0.5), (0.5, 0.1)]])
    assert opened.page.evaluate("scrollY") == before
    assert len(drawn_strokes(opened)) == len(digits[label]) + 1
    assert opened.problems == []


def test_two_fingers_scroll_the_page_and_take_the_stroke_back(open_page):
    opened = open_page(**PHONE)
    session = opened.context.new_cdp_session(opened.page)
    left, _, side = opened.field()
    opened.page.evaluate("scrollTo(0, 0)")
    x, y = left + side / 2, opened.page.locator("#field").bounding_box()["y"] + side * 0.9
    touch(session, "touchStart", (x, y))
    touch(session, "touchStart", (x, y), (x + 40, y))
    for k in range(1, 9):
        touch(session, "touchMove", (x, y - 15 * k), (x + 40, y - 15 * k))
    touch(session, "touchEnd")
    opened.settle()
    assert opened.page.evaluate("scrollY") > 60
    assert drawn_strokes(opened) == []
    with_finger(opened, [[(0.3, 0.3), (0.6, 0.6)]])  # the next finger draws again
    assert len(drawn_strokes(opened)) == 1


def test_the_pressure_of_a_pen_does_not_matter(open_page, digits):
    opened = open_page()
    session = opened.context.new_cdp_session(opened.page)
    left, top, side = opened.field()
    inputs = []
    for force in (0.1, 1.0):
        opened.page.click("#clear")
        for stroke in digits[3]:
            for k, (x, y) in enumerate(stroke):
                kind = "mouseMoved" if k else "mousePressed"
                session.send("Input.dispatchMouseEvent", {
                    "type": kind, "x": left + x * side, "y": top + y * side, "button": "left", "buttons": 1,
                    "clickCount": 1, "pointerType": "pen", "force": force,
                })  # fmt: skip
            session.send("Input.dispatchMouseEvent", {
                "type": "mouseReleased", "x": left + x * side, "y": top + y * side, "button": "left", "clickCount": 1,
                "pointerType": "pen",
            })  # fmt: skip
        opened.settle()
        inputs.append(opened.x())
    assert inputs[0].any()
    np.testing.assert_array_equal(*inputs)


def test_arrows_and_space_draw_and_the_cursor_is_announced(open_page, reader):
    opened = open_page()
    opened.page.focus("#field")
    opened.page.keyboard.press("ArrowUp")
    for _ in range(9):
        opened.page.keyboard.press("ArrowUp")
    opened.page.keyboard.press("Space")
    opened.hears("row 5, column 15, pen down")
    for _ in range(20):
        opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Space")
    opened.settle()
    cells = [((14 + 0.5) / 28, (row + 0.5) / 28) for row in range(4, 25)]
    drawn = digit_from_strokes([cells])
    np.testing.assert_array_equal(opened.x()[..., 0], drawn)
    assert f" {reader.predict(drawn[None]).argmax()} " in answer(opened)
    opened.page.keyboard.press("Backspace")
    opened.settle()
    assert answer(opened) == "Draw something."


def test_undo_takes_one_stroke_and_clear_takes_all(open_page, digits):
    opened = open_page()
    two = [[(0.2, 0.2), (0.2, 0.8)], [(0.6, 0.2), (0.6, 0.8)]]
    with_mouse(opened, two)
    opened.page.click("#undo")
    opened.settle()
    np.testing.assert_array_equal(opened.x()[..., 0], digit_from_strokes(drawn_strokes(opened)))
    assert len(drawn_strokes(opened)) == 1
    with_mouse(opened, digits[5])
    opened.page.click("#clear")
    opened.settle()
    assert drawn_strokes(opened) == [] and opened.x().size == 0


def test_an_empty_field_has_no_answer(open_page):
    opened = open_page()
    assert answer(opened) == "Draw something."
    assert set(opened.page.locator(".bar-value").all_text_contents()) == {"–"}


def test_two_digits_beside_each_other_are_noticed(open_page):
    opened = open_page()
    with_mouse(opened, [[(0.2, 0.2), (0.2, 0.8)], [(0.7, 0.2), (0.7, 0.8)]])
    assert "One digit, please" in opened.page.locator("#note").text_content()


@pytest.mark.parametrize(
    ("step", "changes"), [("box", {"box": None}), ("pen", {"pen": None}), ("centre", {"centre": False})]
)
def test_a_step_that_is_switched_off_is_left_out(open_page, digits, step, changes):
    opened = open_page()
    corner = [[(0.3 * x, 0.3 * y) for x, y in stroke] for stroke in digits[6]]
    with_mouse(opened, corner)
    opened.page.uncheck(f"#step-{step}")
    opened.settle()
    np.testing.assert_array_equal(opened.x()[..., 0], digit_from_strokes(drawn_strokes(opened), **changes))


def test_a_test_image_can_be_taken_and_its_label_is_the_right_class(open_page, reader, test_images):
    opened = open_page()
    hardest = reader.predict(test_images.x)[np.arange(1000), test_images.y].argmin()
    opened.page.click(".tray-image >> nth=0")
    np.testing.assert_array_equal(opened.x(), test_images.x[hardest])
    assert opened.page.evaluate("scratchnet.context.label") == test_images.y[hardest]


def test_the_whole_tray_is_shown_when_asked_for(open_page):
    opened = open_page()
    opened.page.click("text=All 128")
    assert opened.page.locator(".tray-image").count() == 128
    opened.page.keyboard.press("Enter")  # the first of the new ones has the focus
    same = "scratchnet.context.x.data.every((value, k) => value === scratchnet.context.tray[30].x.data[k])"
    assert opened.page.evaluate(same)


def test_a_picture_is_refused_with_what_to_do_instead(open_page):
    opened = open_page()
    opened.page.click("text=Picture …")
    assert "scratchnet predict MODEL picture.png" in opened.page.locator("#note").text_content()


def test_at_least_97_of_100_written_digits_are_read_on_the_page(open_page, reader):
    try:
        sn.load_mnist(download=False)
    except sn.DataFileError as error:
        pytest.skip(f"the model must have been trained on MNIST: {error}")
    opened = open_page()
    digits = drawn_digits(20)
    best = "(all) => all.map((strokes) => scratchnet.predictStrokes(strokes)).map((p) => p.indexOf(Math.max(...p)))"
    answers = opened.page.evaluate(best, [strokes for _, strokes in digits])
    right = [label == answer for (label, _), answer in zip(digits, answers, strict=True)]
    assert len(right) == 200 and np.mean(right) >= 0.97


# walking


def test_a_number_of_a_convolution_is_reached_by_keyboard_and_is_pythons(open_page, reader):
    opened = open_page()
    opened.page.click(".tray-image >> nth=3")
    opened.page.click("nav >> text=Layers")
    opened.page.click("text=4.conv2d")
    opened.page.focus(".one-map")
    for key in ["ArrowDown"] * 5 + ["ArrowRight"] * 7:
        opened.page.keyboard.press(key)
    exact = reader.untrained_copy("numpy", np.float64)
    for name, array in exact.parameters().items():
        array[...] = reader.parameters()[name]
    y = opened.x()[None].astype(float)
    for layer in exact.layers[:5]:
        y, _ = layer.forward(y, sn.Context(training=False))
    shown = opened.page.locator(".readout a")
    assert shown.text_content() == "y/4.conv2d/5,7,0"
    assert float(shown.get_attribute("title").replace("−", "-")) == pytest.approx(y[0, 5, 7, 0], rel=1e-10)
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("main[data-view=pixel]")
    assert f"{y[0, 5, 7, 0]:.6g}".replace("-", "−") in opened.page.locator("main").text_content()
    opened.page.keyboard.press("Backspace")
    opened.page.wait_for_selector("main[data-view=strip]")


def test_the_derivative_of_a_layers_output_is_pythons(open_page, reader):
    opened = open_page()
    opened.page.click(".tray-image >> nth=0")
    opened.go("#strip/4.conv2d")
    opened.page.click("button:has-text('Backward')")
    opened.page.focus(".one-map")
    for key in ["ArrowDown"] * 2 + ["ArrowRight"] * 3:
        opened.page.keyboard.press(key)
    shown = opened.page.locator(".readout a")
    address = shown.text_content()
    assert address == "dy/4.conv2d/2,3,0"
    label = opened.page.evaluate("scratchnet.context.label")
    value = sn.explain(reader, opened.x(), label, address).value
    assert float(shown.get_attribute("title").replace("−", "-")) == pytest.approx(value, rel=1e-9, abs=1e-15)


# the file


def test_nothing_is_asked_of_any_network_and_nothing_is_complained_about(open_page, exported, digits):
    opened = open_page()
    with_mouse(opened, digits[8])
    named = opened.page.evaluate("[...document.querySelectorAll('#views a')].map((link) => link.hash)")
    for address in [*named, "#strip/1.conv2d", "#dW/4.conv2d/1,2,0,7"]:
        opened.go(address)
    assert [url.split("#")[0] for url in opened.requests if not url.startswith("data:")] == [exported.as_uri()]
    assert opened.problems == []


def test_a_page_with_other_weights_says_so_and_does_not_answer(open_page, exported, tmp_path, digits):
    text = exported.read_text()
    start = text.index('id="weights">') + len('id="weights">')
    middle = start + 400_000  # somewhere in the dense layer's weights
    damaged = tmp_path / "damaged.html"
    damaged.write_text(text[:middle] + "QUJD" * 500 + text[middle + 2000 :])
    opened = open_page(damaged)
    assert "does not calculate what Python calculates" in opened.page.locator("#alarm").text_content()
    assert opened.page.locator("#alarm").is_visible()
    with_mouse(opened, digits[1])
    assert answer(opened).startswith("No answer")
    assert set(opened.page.locator(".bar-value").all_text_contents()) == {"–"}
    assert opened.page.locator("#guess").text_content() == "no answer"


def test_an_intact_page_says_how_close_it_is_to_python(open_page):
    opened = open_page()
    assert opened.page.locator("#alarm").is_hidden()
    assert "This page's logits and derivatives equal Python's within" in opened.page.locator("#check").text_content()
