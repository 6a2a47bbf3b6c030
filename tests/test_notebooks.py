"""What notebooks show: tables and pictures, in the kernel of a real notebook and as text."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import html

CELLS = [
    "import numpy as np, scratchnet as sn",
    "rng = np.random.default_rng(0)\n"
    "x, y = rng.integers(0, 256, (40, 6, 6)).astype(np.uint8), np.arange(40) % 3\n"
    "model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(8), sn.ReLU(), sn.Dense(3)], (6, 6, 1),\n"
    "                      engine='numpy', class_names=['a', '<b>', 'c'])",
    "model",
    "model.summary()",
    "health = sn.Health()\nhistory = model.fit(x, y, epochs=3, batch_size=8, callbacks=[health])\nhistory",
    "health",
    "answers = sn.Predictions(model, x, y)\nanswers",
    "answers.confusion",
    "sn.explain(model, x[0], 0, 'loss')",
]


def well_formed(text):
    """The HTML as a tree: these pieces are also well-formed XML, but for <br> and <img>."""
    text = re.sub(r"<(img|br)((?:\s[^>]*)?)>", r"<\1\2/>", text)
    return ElementTree.fromstring(f"<body>{text}</body>")


@pytest.fixture(scope="module")
def outputs():
    """The outputs of the cells, each a list of {"text/html": ..., "text/plain": ...}."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: python -m pip install -e '.[docs]'")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: python -m pip install -e '.[docs]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: python -m pip install -e '.[docs]'")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [[output.get("data", {"stream": output.get("text")}) for output in cell.outputs] for cell in notebook.cells]


def test_a_model_and_its_summary_are_the_same_table(outputs):
    (model,), (summary,) = outputs[2], outputs[3]
    assert "<table>" in model["text/html"] and "Dense(units=8)" in model["text/html"]
    assert summary["text/html"] == model["text/html"]


def test_training_shows_a_table_that_grows_and_no_lines(outputs):
    live, history = outputs[4]
    assert live["text/html"] == history["text/html"] and history["text/html"].count("<tr>") == 4
    assert "<svg" in history["text/html"] and not any("stream" in output for output in outputs[4])


def test_health_predictions_confusion_and_explanations_show_themselves(outputs):
    for cell in outputs[5:]:
        (output,) = cell
        assert "<table" in output["text/html"]
    assert outputs[6][0]["text/html"].count("<img ") == 12


# without a kernel


def small():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 6, 6)).astype(np.uint8), np.arange(40) % 3
    layers = [sn.Rescale(), sn.Flatten(), sn.Dense(3)]
    return sn.Sequential(layers, (6, 6, 1), engine="numpy", class_names=["a", "<b>", "c"]), x, y


def test_everything_is_well_formed_and_escaped():
    model, x, y = small()
    health = sn.Health()
    history = model.fit(x, y, epochs=2, callbacks=[health], verbose=False)
    answers = sn.Predictions(model, x, y)
    for thing in (
        model,
        history,
        health,
        answers,
        answers.confusion,
        sn.Predictions(model, x),
        sn.History(),
        sn.Health(),
    ):
        text = thing._repr_html_()
        well_formed(text)
        assert "<b>" not in text


def test_a_table_of_epochs_has_a_row_for_each_and_a_loss_that_is_not_finite_is_left_out_of_the_curve():
    history = sn.History([{"epoch": k, "training_loss": loss} for k, loss in enumerate([1.0, np.nan, 0.5])])
    tree = well_formed(history._repr_html_())
    assert len(tree.findall("./table/tbody/tr")) == 3
    (line,) = tree.iter("polyline")
    assert len(line.get("points").split()) == 2
    assert html.curves({"loss": [np.nan]}, "nothing") == ""


def test_a_confusion_matrix_counts_every_example_and_its_rows_add_up():
    model, x, y = small()
    answers = sn.Predictions(model, x, y)
    counts = answers.confusion.counts
    assert counts.sum() == 40 and counts.sum(axis=1).tolist() == [14, 13, 13]
    assert answers.confusion.accuracy == pytest.approx((answers.predicted == y).mean())
    rows = well_formed(answers.confusion._repr_html_()).findall("./table/tbody/tr")
    assert [[int(cell.text) for cell in row[1:-1]] for row in rows] == counts.tolist()


def test_the_surest_mistakes_come_first():
    class Fixed:
        class_names = None

        def predict(self, x):
            return np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.55, 0.45]])

    answers = sn.Predictions(Fixed(), np.zeros((4, 2, 2)), [0, 0, 1, 0])
    assert answers.order().tolist()[:2] == [1, 2]  # 80 % and 60 % sure, and wrong
    assert str(answers).splitlines()[:2] == ["2 of 4 images right, 50.00%", "  image 1: 1 80.0%, is 0"]
    assert sn.Predictions(Fixed(), np.zeros((4, 2, 2))).order().tolist()[0] == 3  # the least sure


def test_pictures_have_the_pixels_of_their_images():
    import base64
    import io

    from PIL import Image

    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for given, expected in ((image, image), (image[..., None], image), (np.ones((2, 2)), np.full((2, 2), 255))):
        data = re.search(r"base64,([^\"]+)", html.picture(given, "x"))[1]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), expected)
