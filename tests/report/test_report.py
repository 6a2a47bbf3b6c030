"""A run's folder: its numbers are those of the model, its page stands alone, and what users wrote is only text."""

import base64
import csv
import json
import re
import runpy
import shutil
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scratchnet as sn
from scratchnet import metrics, report
from scratchnet.data.folder import write_idx_dataset
from scratchnet.report.page import page as write_page

ROOT = Path(__file__).parents[2]
NAMES = ["<script>alert(1)</script>", "b & c", '"d"', "e", "f", "g", "never"]


def dataset_of(shape, classes, seed=1):
    """Noisy pictures with a bright bar whose place is the class; 90 to train and 45 to test."""
    rng = np.random.default_rng(seed)

    def part(n):
        y = (np.arange(n) % classes).astype(np.uint8)
        x = rng.integers(0, 120, (n, *shape))
        for image, k in zip(x, y, strict=True):
            image[2 + 2 * k : 4 + 2 * k] += 130
        return x.astype(np.uint8), y

    return part(90), part(45)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """(folder, model, history, splits, metrics) of a small training on 20×20 images of seven classes."""
    out = tmp_path_factory.mktemp("run")
    (x, y), test = dataset_of((20, 20), 7)
    layers = [sn.Rescale(), sn.Conv2D(4, 3), sn.ReLU(), sn.MaxPool2D(3), sn.Flatten(), sn.Dense(7)]
    model = sn.Sequential(layers, (20, 20, 1), engine="numpy", class_names=NAMES)
    splits = {"training": (x[:75], y[:75]), "validation": (x[75:], y[75:]), "test": test}
    history = model.fit(
        *splits["training"], epochs=3, batch_size=16, validation_data=splits["validation"], verbose=False,
        callbacks=[sn.CSVLogger(out / "history.csv"), sn.ModelCheckpoint(out / "model.safetensors")],
    )  # fmt: skip
    model.parameters()["5.dense.b"][6] = -100  # class 6 is never predicted
    model.save(out / "model.safetensors")
    findings = [{"level": "good", "text": "It <i>learned</i>."}, {"level": "warning", "text": "Never: never."}]
    (out / "findings.json").write_text(json.dumps(findings))
    (out / "health.csv").write_text(
        "epoch,step,layer,activation_mean,activation_std,dead_share,gradient_norm,update_ratio\n"
        "1,5,1.conv2d,0.1,0.2,,0.5,0.001\n1,5,2.relu,0.1,0.2,0.25,,\n"
    )
    settings = {"preset": "default", "dataset": "own <data>", "engine": "numpy", "seed": 0, "data_dir": None,
                "augment": "light"}  # fmt: skip
    return out, model, history, splits, report.write_run(out, model, history, splits, settings)


# numbers


def test_the_folder_has_everything(run):
    files = {path.relative_to(run[0]).as_posix() for path in run[0].rglob("*") if path.is_file()}
    names = ["samples", "augmented", "curves", "confusion", "top_losses", "predictions", "calibration", "robustness",
             "filters", "feature_maps", "health"]  # fmt: skip
    pictures = {f"figures/{name}.{kind}" for name in names for kind in ("png", "csv")}
    written = {"metrics.json", "config.json", "report.html", "model.safetensors", "history.csv"}
    assert files == pictures | written | {"findings.json", "health.csv"}


def test_the_metrics_are_those_of_the_model_on_the_test_set(run):
    out, model, history, splits, returned = run
    found = json.loads((out / "metrics.json").read_text())
    assert found == json.loads(json.dumps(returned))
    assert {"accuracy": found["test_accuracy"], "loss": found["test_loss"]} == model.evaluate(*splits["test"])
    right = int((model.predict(splits["test"][0]).argmax(axis=1) == splits["test"][1]).sum())
    assert found["test_accuracy_interval"] == list(metrics.wilson_interval(right, 45))
    assert found["test"]["mistakes"] == 45 - right and found["test"]["never_predicted"] == [6]
    assert found["images"] == {"training": 75, "validation": 15, "test": 45}
    assert found["val_accuracy"] == max(history["val_accuracy"])
    assert found["epochs"] == 3 and found["images_per_second"] == pytest.approx(225 / sum(history["seconds"]))
    assert found["parameters"] == 4 * 9 + 4 + 144 * 7 + 7


def test_the_tables_beside_the_pictures_agree_with_the_metrics(run):
    out, *_, found = run
    with open(out / "figures" / "confusion.csv") as file:
        rows = [[int(row[str(j)]) for j in range(7)] for row in csv.DictReader(file)]
    assert rows == found["test"]["confusion_matrix"]
    with open(out / "figures" / "top_losses.csv") as file:
        assert [int(row["index"]) for row in csv.DictReader(file)] == [e["index"] for e in found["test"]["top_losses"]]


# the page


class Page(HTMLParser):
    """The page's tags, attributes and text; its tags must be closed in the order in which they were opened."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="session")
def page(run):
    return Page((run[0] / "report.html").read_text())


def test_the_page_stands_alone(page):
    assert not {"script", "link", "iframe", "object", "form", "i"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert (tag, value[:22]) == ("img", "data:image/png;base64,")
    style = (ROOT / "scratchnet" / "report" / "style.py").read_text()
    assert "url(" not in style and "@import" not in style


def test_the_pages_pictures_are_pictures_and_are_described(page):
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    described = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(sources) == len(described) == 11 and all(described)
    for source in sources:
        Image.open(BytesIO(base64.b64decode(source.partition(",")[2]))).load()


def test_what_comes_from_users_is_text(page):
    for text in (NAMES[0], NAMES[1], NAMES[2], "own <data>", "It <i>learned</i>."):
        assert text in page.text


def test_the_page_goes_from_trust_to_speed(page):
    order = ["Can the numbers be trusted?", "Did it learn?", "Where does it fail?", "Why?", "How fast was it?"]
    places = [page.text.index(title) for title in order]
    assert places == sorted(places)


def test_the_pages_numbers_are_those_of_the_metrics(run, page):
    found, text = run[4], re.sub(r"\s+", " ", page.text)
    low, high = (f"{100 * bound:.2f} %" for bound in found["test_accuracy_interval"])
    assert f"lies between {low} and {high}" in text
    assert f"{45 - found['test']['mistakes']} of 45" in text
    assert "75 training, 15 validation, 45 test" in text
    assert "Never predicted: never." in text
    assert all(sha in text for sha in found["sha256"].values())
    multiply_adds = 18 * 18 * 4 * 9 + 144 * 7
    assert f"{multiply_adds:,}" in text


def test_synthetic_digits_are_not_called_mnist(run):
    _, model, history, _, found = run
    assert "not MNIST" in write_page(model, history, {}, [], found | {"dataset": "synthetic"}, {})


def test_a_picture_that_cannot_be_drawn_costs_neither_numbers_nor_page(run, tmp_path):
    _, model, history, splits, found = run
    (tmp_path / "health.csv").write_text("nonsense")
    settings = {"preset": "p", "dataset": "d", "engine": "n", "seed": 0}
    with pytest.warns(RuntimeWarning, match="health could not be drawn"):
        metrics_now = report.write_run(tmp_path, model, history, splits, settings)
    assert metrics_now["test"] == found["test"]
    assert len(Page((tmp_path / "report.html").read_text()).tags) > 100
    assert len(list((tmp_path / "figures").glob("*.png"))) == 9


def test_a_run_of_one_epoch_in_colours_without_convolution_or_validation(tmp_path):
    (x, y), test = dataset_of((32, 32, 3), 10)
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(10)], (32, 32, 3), engine="numpy")
    history = model.fit(x, y, verbose=False)
    settings = {"preset": "p", "dataset": "d", "engine": "numpy", "seed": 0}
    found = report.write_run(tmp_path, model, history, {"training": (x, y), "test": test}, settings)
    assert found["val_accuracy"] is None and found["kept_epoch"] == 1
    assert not (tmp_path / "figures" / "filters.png").exists()
    assert "Why?" in Page((tmp_path / "report.html").read_text()).text  # there are feature maps


# reading a run again


def test_the_history_is_read_as_it_was_written(run):
    out, _, history, *_ = run
    assert report.read_history(out / "history.csv").epochs == history.epochs
    with pytest.raises(ValueError, match="expected a history"):
        report.read_history(out / "health.csv")


def test_a_redrawn_run_is_the_same(run, tmp_path):
    out, model, history, splits, _ = run
    shutil.copytree(out, tmp_path / "copy")
    for path in (tmp_path / "copy" / "figures").iterdir():
        path.unlink()
    report.redraw(tmp_path / "copy", model, history, splits)
    for path in (out / "figures").iterdir():
        assert (tmp_path / "copy" / "figures" / path.name).read_bytes() == path.read_bytes(), path.name
    written = re.compile(r"Written [\d: -]+ by")
    pages = [written.sub("", (folder / "report.html").read_text()) for folder in (out, tmp_path / "copy")]
    assert pages[0] == pages[1]


def test_a_run_is_not_redrawn_with_other_data(run):
    out, model, history, splits, _ = run
    x, y = splits["test"]
    with pytest.raises(ValueError, match="the test images differ from those of the run"):
        report.redraw(out, model, history, {**splits, "test": (x[::-1], y)})


# the scripts, as users meet them


def script(name, *arguments):
    return runpy.run_path(str(ROOT / "scripts" / f"{name}.py"))["main"]([str(a) for a in arguments])


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """(run, data): the folder of a run by scripts/train.py on seven classes of 20×20, and its data's folder."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("trained")
    write_idx_dataset(data, dataset_of((20, 20), 7), class_names=NAMES)
    options = ("--preset", "mlp", "--engine", "numpy", "--epochs", 1, "--quiet")
    assert script("train", "--data-dir", data, "--out", out, *options) == 0
    return out, data


def test_a_trained_runs_report_is_redrawn_from_its_folder(trained, capsys):
    out, _ = trained
    before = (out / "figures" / "samples.csv").read_bytes()
    (out / "report.html").unlink()
    shutil.rmtree(out / "figures")
    assert script("report", out, "--engine", "numpy") == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    assert (out / "report.html").exists() and (out / "figures" / "samples.csv").read_bytes() == before


def test_evaluate_prints_every_class_with_its_name(trained, capsys):
    assert script("evaluate", trained[0], "--engine", "numpy") == 0
    text = capsys.readouterr().out
    found = json.loads((trained[0] / "metrics.json").read_text())
    assert f"accuracy {found['test_accuracy']:.2%} (95 % interval " in text
    assert all(name in text for name in NAMES) and "macro average" in text and "calibration error" in text


def test_evaluate_as_json_is_what_the_run_measured(trained, capsys):
    assert script("evaluate", trained[0], "--engine", "numpy", "--json") == 0
    printed, found = json.loads(capsys.readouterr().out), json.loads((trained[0] / "metrics.json").read_text())
    assert printed["loss"] == pytest.approx(found["test_loss"], rel=1e-6)  # from probabilities, not from logits
    assert {name: printed[name] for name in found["test"]} == found["test"]


def test_evaluate_says_each_models_accuracy_and_the_ensembles(no_pictures, trained, tmp_path, capsys):
    out, data = trained
    settings = ("--preset", "mlp", "--engine", "numpy", "--epochs", 1, "--seed", 1, "--quiet")
    assert script("train", "--data-dir", data, "--out", tmp_path / "b", *settings) == 0
    capsys.readouterr()
    assert script("evaluate", out, tmp_path / "b", "--engine", "numpy") == 0
    printed = capsys.readouterr().out
    for run in (out, tmp_path / "b"):
        found = json.loads((run / "metrics.json").read_text())
        assert f"{run}/model.safetensors: accuracy {found['test_accuracy']:.2%} (95 % interval " in printed

    models = [sn.load_model(run / "model.safetensors", engine="numpy") for run in (out, tmp_path / "b")]
    _, (x, y) = sn.load_idx_dataset(data)
    right = int(((models[0].predict(x) + models[1].predict(x)).argmax(axis=1) == y).sum())
    low, high = metrics.wilson_interval(right, len(y))
    said = f"accuracy {right / len(y):.2%} (95 % interval {low:.2%} to {high:.2%})"
    assert f"\nensemble of 2 on {len(y)} test images ({data.name}): {said}" in printed

    assert script("evaluate", out, tmp_path / "b", "--engine", "numpy", "--tta", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    p = sn.predict_augmented(sn.Ensemble(models), x)
    assert len(printed["models"]) == 2 and printed["tta"] and printed["accuracy"] == (p.argmax(axis=1) == y).mean()


def test_evaluate_asks_which_data_if_the_models_knew_different_ones(trained, tmp_path, capsys):
    shutil.copytree(trained[0], tmp_path / "b")
    config = tmp_path / "b" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"data_dir": "elsewhere"}))
    assert script("evaluate", trained[0], tmp_path / "b", "--engine", "numpy") == 2
    said = "error: the models were trained on different data. Choose with --dataset, --data-dir\n"
    assert capsys.readouterr().err == said
    assert script("evaluate", trained[0], tmp_path / "b", "--engine", "numpy", "--data-dir", trained[1]) == 0


def test_mistakes_are_one_line(trained, tmp_path, capsys):
    out, data = trained
    (tmp_path / "empty").mkdir()
    shutil.copytree(out, tmp_path / "cut")
    (tmp_path / "cut" / "metrics.json").write_text('{"preset": "mlp"}')
    shutil.copytree(out, tmp_path / "torn")
    (tmp_path / "torn" / "history.csv").write_text("")
    cases = [
        ("report", tmp_path / "empty"), ("report", tmp_path / "cut"), ("report", tmp_path / "torn"),
        ("report", out, "--data-dir", tmp_path), ("evaluate", tmp_path / "empty"), ("evaluate", data),
        ("evaluate", out, "--data-dir", tmp_path),
    ]  # fmt: skip
    for case in cases:
        assert script(*case, "--engine", "numpy") == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("error: ") and printed.err.count("\n") == 1 and not printed.out
