"""Picture files on a served page, by button, by dropping and by pasting: prepared as predict.py prepares them."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

import scratchnet as sn
from scratchnet.page.contents import page_parts
from scratchnet.page.prepare import prepared
from tests.page.conftest import ORIGIN, STATIC, serve_files

DROP = """([text, kind]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "digit.png", { type: "image/png" }));
  const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def photograph(*digits) -> bytes:
    """Dark ink on grey paper as a PNG: rings and bars beside each other."""
    paper = Image.new("L", (200 * len(digits), 240), 210)
    draw = ImageDraw.Draw(paper)
    for k, kind in enumerate(digits):
        if kind == 0:
            draw.ellipse((200 * k + 50, 50, 200 * k + 150, 190), outline=40, width=16)
        else:
            draw.line([(200 * k + 110, 40), (200 * k + 90, 200)], fill=40, width=16)
    file = io.BytesIO()
    paper.save(file, "PNG")
    return file.getvalue()


def blank() -> bytes:
    """Paper without ink."""
    file = io.BytesIO()
    Image.new("L", (200, 200), 210).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def served(browser, reader):
    """The page as from a server: its files, the model's parts, and /prepare, answered by the same Python."""
    parts = page_parts(reader)
    extra = {name: part if isinstance(part, bytes) else json.dumps(part).encode() for name, part in parts.items()}
    page = browser.new_context().new_page()
    serve_files(page, STATIC, extra)

    def prepare(route):
        try:
            answer, status = prepared(route.request.post_data_buffer, (28, 28, 1), None), 200
        except ValueError as error:
            answer, status = {"error": str(error)}, 422
        route.fulfill(status=status, content_type="application/json", body=json.dumps(answer))

    page.route("**/prepare", prepare)
    page.goto(f"{ORIGIN}/index.html")
    page.wait_for_selector("html[data-ready=yes]")
    yield page
    page.context.close()


def pixels(page):
    """The page's input."""
    page.wait_for_function("scratchnet.context.x !== null")
    return np.array(page.evaluate("[...scratchnet.context.x.data]"), np.uint8).reshape(28, 28)


@pytest.mark.parametrize("way", ["button", "drop", "paste"])
def test_a_picture_is_prepared_as_predict_prepares_it(served, reader, way):
    file = photograph(0)
    if way == "button":
        served.set_input_files("input[type=file]", {"name": "digit.png", "mimeType": "image/png", "buffer": file})
    else:
        served.evaluate(DROP, [base64.b64encode(file).decode(), way])
    expected = sn.digit_from_image(file)
    np.testing.assert_array_equal(pixels(served), expected)
    served.wait_for_function("document.querySelectorAll('.steps canvas').length >= 7")
    label = reader.predict(expected[None]).argmax()
    assert f" {label} " in served.locator(".answer").text_content()


def test_of_several_digits_each_can_be_taken(served):
    file = photograph(1, 0)
    served.set_input_files("input[type=file]", {"name": "digits.png", "mimeType": "image/png", "buffer": file})
    first, second = sn.digits_from_image(file)
    np.testing.assert_array_equal(pixels(served), first)
    assert "the first of 2 digits" in served.locator("#note").text_content()
    served.click("text=Take digit 2")
    np.testing.assert_array_equal(pixels(served), second)


@pytest.mark.parametrize(("file", "said"), [(b"no picture", "No digit was read"), (blank(), "found only paper")])
def test_what_is_no_picture_or_has_no_digit_is_said(served, file, said):
    served.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": file})
    served.locator("#note", has_text=said).wait_for()
    assert served.evaluate("scratchnet.context.x") is None
