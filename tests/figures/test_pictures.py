"""Pictures: their tables hold what is drawn, their titles are true, and nothing runs out of them."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

import scratchnet as sn
from scratchnet import figures, metrics
from scratchnet.figures.confusion import confusion_title
from scratchnet.figures.montage import Montage, as_picture
from scratchnet.figures.picture import percent
from scratchnet.training import History
from tests import oracles


def probabilities_of(labels, classes, rng, skill=2.0):
    """A model's answers: right the more often, the greater its skill."""
    logits = rng.standard_normal((len(labels), classes)) + skill * np.eye(classes)[labels]
    p = np.exp(logits)
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32)


def history_of(epochs):
    """A training whose validation accuracy is best in the second epoch."""
    values = [0.9, 0.97, 0.96, 0.95, 0.94]
    return History(
        [
            {"epoch": k + 1, "training_loss": 1.0 - 0.1 * k, "seconds": 1.0, "images": 100, "lr": 1e-3 / (k + 1),
             "loss": 0.5 / (k + 1), "accuracy": 0.8 + 0.02 * k, "val_loss": 0.6 / (k + 1),
             "val_accuracy": values[k % 5]} for k in range(epochs)
        ]
    )  # fmt: skip


def convolutional(shape, classes, seed=0, filters=5):
    layers = [sn.Rescale(), sn.Conv2D(filters, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(3, 3), sn.Flatten(),
              sn.Dropout(0.5), sn.Dense(classes)]  # fmt: skip
    return sn.Sequential(layers, shape, seed, engine="numpy")


def numbers_of(picture):
    """The table as a reader of the CSV file gets it."""
    return list(csv.DictReader(io.StringIO(picture.table())))


# the tables


def test_the_confusion_table_is_the_matrix(rng):
    confusion = rng.integers(0, 50, (7, 7))
    rows = numbers_of(figures.confusion_picture(confusion))
    assert [[int(row[str(j)]) for j in range(7)] for row in rows] == confusion.tolist()


def test_the_numbers_written_into_the_matrix_are_the_matrix(rng):
    confusion = rng.integers(0, 4, (7, 7))
    axes = figures.confusion_picture(confusion).figure.axes[0]
    drawn = {tuple(map(int, text.get_position())): int(text.get_text()) for text in axes.texts}
    assert drawn == {(j, i): count for (i, j), count in np.ndenumerate(confusion) if count}


def test_the_curves_are_those_of_the_history():
    history = history_of(4)
    picture = figures.learning_curves(history)
    assert [float(row["val_loss"]) for row in numbers_of(picture)] == history["val_loss"]
    lines = [line.get_ydata().tolist() for line in picture.figure.axes[1].lines[:2]]
    assert lines == [history["accuracy"], history["val_accuracy"]]


def test_the_table_of_predictions_has_each_images_own_numbers(rng):
    labels = rng.integers(0, 7, 60)
    x, p = rng.integers(0, 256, (60, 20, 20), np.uint8), probabilities_of(labels, 7, rng)
    for row in numbers_of(figures.predictions(x, labels, p)) + numbers_of(figures.top_losses(x, labels, p)):
        i = int(row["index"])
        assert (int(row["true"]), int(row["predicted"])) == (labels[i], p[i].argmax())
        assert np.float32(row["p_true"]) == p[i, labels[i]] and np.float32(row["p_predicted"]) == p[i].max()


def test_the_images_shown_are_those_of_the_table(rng):
    labels = rng.integers(0, 3, 40)
    x, p = rng.integers(0, 256, (40, 9, 9, 3), np.uint8), probabilities_of(labels, 3, rng)
    picture = figures.top_losses(x, labels, p)
    sheet = np.asarray(picture.figure.axes[0].images[0].get_array())
    found = [
        next(i for i in range(40) if (abs(sheet[r : r + 9, c : c + 9] - x[i] / 255) < 1e-6).all())
        for r, c in (Montage([as_picture(x[0])] * 25, 5, 0.16, below_of(picture)).corner(k) for k in range(25))
    ]
    assert found == [int(row["index"]) for row in numbers_of(picture)]


def below_of(picture):
    """The room for labels in the sheet of 5 × 5 images of 9 × 9 with a margin of 1, as a share of 9."""
    height = picture.figure.axes[0].images[0].get_array().shape[0]
    return (height / 5 - 10) / 9


def test_the_calibration_table_is_the_calibration(rng):
    labels = rng.integers(0, 7, 300)
    p = probabilities_of(labels, 7, rng)
    expected = metrics.calibration(p, labels)
    rows = numbers_of(figures.calibration_diagram(p, labels))
    assert [int(row["count"]) for row in rows] == expected.count.tolist()
    assert [float(row["accuracy"]) for row in rows] == expected.accuracy.tolist()
    for row in rows:
        low, high = metrics.wilson_interval(round(float(row["accuracy"]) * int(row["count"])), int(row["count"]))
        assert (float(row["interval_low"]), float(row["interval_high"])) == (low, high)


def test_the_filters_table_has_the_weights_before_and_after():
    model = convolutional((20, 20, 1), 7)
    start = {name: array.copy() for name, array in model.parameters().items()}
    model.parameters()["1.conv2d.W"][1, 2, 0, 3] += 0.25
    rows = numbers_of(figures.filters(model))
    assert len(rows) == 9 * (5 + 3)
    for row in rows:
        place = tuple(int(row[name]) for name in ("row", "column", "channel", "filter"))
        assert np.float32(row["before"]) == start[row["layer"]][place]
        assert np.float32(row["after"]) == model.parameters()[row["layer"]][place]


def test_the_feature_maps_are_the_layers_outputs(rng):
    model, image = convolutional((20, 20, 1), 7), rng.integers(0, 256, (20, 20), np.uint8)
    rows = numbers_of(figures.feature_maps(model, image, 2, model.predict(image[None])[0]))
    params = model.parameters()
    y = oracles.conv2d(image[None, ..., None] / 255.0, params["1.conv2d.W"], params["1.conv2d.b"], (1, 1), "valid")
    drawn = np.zeros((18, 18, 5))
    for row in (row for row in rows if row["layer"] == "1.conv2d"):
        drawn[int(row["row"]), int(row["column"]), int(row["channel"])] = float(row["value"])
    np.testing.assert_allclose(drawn, y[0], rtol=1e-3, atol=1e-4)
    logits = [float(row["value"]) for row in rows if row["layer"] == "7.dense"]
    np.testing.assert_allclose(logits, model.forward(image[None])[0], rtol=1e-4)


def test_layers_that_change_nothing_to_see_are_left_out(rng):
    model, image = convolutional((20, 20, 1), 7), rng.integers(0, 256, (20, 20), np.uint8)
    layers = dict.fromkeys(row["layer"] for row in numbers_of(figures.feature_maps(model, image, 2, np.eye(7)[0])))
    assert list(layers) == ["input", "1.conv2d", "2.relu", "3.maxpool2d", "4.conv2d", "7.dense", "probabilities"]


def test_the_counts_of_every_class_are_in_the_table(rng):
    splits = {part: (rng.random((n, 6, 6)), rng.integers(0, 5, n)) for part, n in (("training", 80), ("test", 20))}
    rows = numbers_of(figures.samples(splits, 5, ["a", "b", "c", "d", "e"]))
    assert [row["name"] for row in rows] == list("abcde")
    for part, (_, labels) in splits.items():
        assert [int(row[part]) for row in rows] == [int((labels == k).sum()) for k in range(5)]


HEALTH = """epoch,step,layer,activation_mean,activation_std,dead_share,gradient_norm,update_ratio
1,10,1.conv2d,0.1,1.5,,0.5,0.001
1,10,2.relu,0.4,0.9,0.125,,
2,20,1.conv2d,0.2,1.25,,0.25,0.002
2,20,2.relu,0.5,0.8,0.25,,
"""


def test_health_is_drawn_as_it_was_recorded(tmp_path):
    (tmp_path / "health.csv").write_text(HEALTH)
    picture = figures.health(figures.read_health(tmp_path / "health.csv"))
    rows = {(row["layer"], row["step"]): row for row in numbers_of(picture)}
    assert len(rows) == 4
    for row in csv.DictReader(io.StringIO(HEALTH)):
        for name in ("activation_mean", "activation_std", "dead_share", "gradient_norm", "update_ratio"):
            assert float(rows[row["layer"], row["step"]][name] or -1) == float(row[name] or -1)
    assert picture.title == "At the end 25.0 % of the units of 2.relu are dead, the most of any layer"
    (line,) = picture.figure.axes[2].lines  # dead units: only the ReLU has any
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([10, 20], [0.125, 0.25])


def test_a_file_that_is_no_record_of_health_is_refused(tmp_path):
    (tmp_path / "health.csv").write_text("epoch,loss\n1,2\n")
    with pytest.raises(ValueError, match="expected a table with the columns"):
        figures.read_health(tmp_path / "health.csv")


# the titles


def test_the_title_names_the_most_frequent_mistake():
    names = [str(k) for k in range(10)]
    confusion = np.diag([100] * 10)
    assert confusion_title(confusion, names) == "No mistake among 1,000 test images"
    confusion[3, 5] = 7
    assert confusion_title(confusion, names) == "3 is most often taken for 5 (7 times)"
    confusion[4, 9] = 7
    assert confusion_title(confusion, names) == "Most often mistaken: 3 for 5 and 4 for 9 (7 times each)"
    confusion[np.arange(4), 9] = 7
    title = "No mistake is frequent: no class is taken for another more than 7 times"
    assert confusion_title(confusion, names) == title


def test_the_curves_title_names_the_best_epoch():
    assert figures.learning_curves(history_of(4)).title == "The validation accuracy was best in epoch 2 of 4: 97.00 %"
    assert figures.learning_curves(history_of(1)).title == "After one epoch the validation accuracy is 90.00 %"


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 4)])
def test_the_curves_mark_the_epoch_that_is_kept(keep, epoch):
    loss = figures.learning_curves(history_of(4), keep).figure.axes[0]
    assert [list(line.get_xdata()) for line in loss.lines if line.get_linestyle() == ":"] == [[epoch, epoch]]


def test_without_a_validation_set_the_curves_are_those_of_training():
    history = history_of(3)
    for logs in history.epochs:
        del logs["val_loss"], logs["val_accuracy"]
    assert figures.learning_curves(history).title == "The training accuracy was best in epoch 3 of 3: 84.00 %"


def test_the_worst_mistake_is_named_and_that_there_is_none_too(rng):
    x = rng.random((3, 6, 6))
    p = np.array([[0.8, 0.2], [0.9, 0.1], [0.4, 0.6]])
    assert figures.top_losses(x, np.array([0, 1, 1]), p).title == (
        "The worst mistake is image 1: 1 taken for 0 (90.0 % sure)"
    )
    assert figures.top_losses(x, np.array([0, 0, 1]), p).title == (
        "No mistakes; the least certain prediction is image 2: 1 (60.0 % sure)"
    )
    assert figures.predictions(x, np.array([0, 1, 1]), p).title == "2 of the first 3 test images are recognised"


def test_how_evenly_the_classes_are_spread_is_said():
    def title(labels):
        return figures.samples({"training": (np.zeros((len(labels), 6, 6)), np.array(labels))}, 3).title

    assert title([0, 0, 1, 2, 2, 2]) == "3 classes with 1 (1) to 3 (2) training images"
    assert title([0, 1, 2]) == "3 classes, each with the same number of training images (1)"
    assert title([0, 2]) == "Of 3 classes 1 without a training image: 1"


def test_confidence_that_does_not_fit_the_accuracy_is_called_so():
    labels = np.arange(1000) % 4 // 3  # three quarters are 0
    for confidence, verdict in ((0.75, "well calibrated"), (0.95, "over-confident"), (0.55, "under-confident")):
        p = np.tile([confidence, 1 - confidence], (1000, 1))
        assert figures.calibration_diagram(p, labels).title.endswith(f"right in 75.0 %: {verdict}")


def test_what_training_changed_is_measured():
    model = convolutional((20, 20, 1), 7)
    assert figures.filters(model).title == "Training did not change the filters"
    model.parameters()["4.conv2d.W"][...] *= 1.5
    assert figures.filters(model).title == "Training changed 4.conv2d the most, by 50 % of its initial size"


# odd data


NAMES = ["a name that is far too long to be drawn anywhere", "$x^2$", "Å", "猫", "<b>bold</b>", "7", "line\nbreak"]
CASES = {
    "seven classes of 20×20 with difficult names": ((20, 20, 1), 7, NAMES),
    "26 letters": ((28, 28, 1), 26, [chr(65 + k) for k in range(26)]),
    "ten classes in colours": ((32, 32, 3), 10, ["airplane", "automobile", "bird", "cat"]),
    "two classes, flat images": ((9, 40, 1), 2, None),
    "forty-seven classes": ((20, 20, 2), 47, None),
}


@pytest.mark.parametrize(("shape", "classes", "names"), CASES.values(), ids=CASES)
def test_nothing_runs_out_of_its_picture(shape, classes, names, rng):
    labels = rng.integers(0, classes, 90)
    x = rng.integers(0, 256, (90, *shape), np.uint8)
    p = probabilities_of(labels, classes, rng)
    p[:, -1] = 0  # a class that is never predicted
    confusion = metrics.confusion_matrix(labels, p.argmax(axis=1), classes)
    splits = {"training": (x[:60], labels[:60]), "validation": (x[60:70], labels[60:70]), "test": (x[70:], labels[70:])}
    drawn = [
        figures.samples(splits, classes, names),
        figures.confusion_picture(confusion, names),
        figures.predictions(x, labels, p, names),
        figures.top_losses(x, labels, p, names),
        figures.feature_maps(convolutional(shape, classes), x[0], int(labels[0]), p[0], names),
    ]
    for picture in drawn:
        stays_inside(picture)


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_curves_of_any_length_stay_in_their_picture(epochs):
    stays_inside(figures.learning_curves(history_of(epochs)))


def stays_inside(picture):
    height, width, _ = picture.pixels.shape
    drawn = picture.figure.get_tightbbox().get_points() * picture.figure.dpi  # of everything that is drawn
    assert drawn.min() > -2 and (drawn[1] < (width + 2, height + 2)).all(), f"{picture.name}: {drawn}"


@pytest.mark.parametrize("shape", [(20, 20), (9, 40), (40, 12)])
def test_labels_under_neighbouring_images_do_not_overlap(shape, rng):
    labels = rng.integers(0, 7, 40)
    x, p = rng.integers(0, 256, (40, *shape), np.uint8), probabilities_of(labels, 7, rng, skill=0)
    long_names = ["WWWWWWWWWWWWWWWWWWWW"] * 7
    for picture in (figures.predictions(x, labels, p, long_names), figures.top_losses(x, labels, p, long_names)):
        _ = picture.pixels
        boxes = [text.get_window_extent() for text in picture.figure.axes[0].texts]
        for i, a in enumerate(boxes):
            assert not any(a.overlaps(b) for b in boxes[i + 1 :]), f"{picture.name}: {i}"


def test_a_model_without_convolutions_has_no_filters():
    model = sn.Sequential([sn.Flatten(), sn.Dense(3)], (4, 4, 1), engine="numpy")
    assert figures.filters(model) is None


# files


def test_a_picture_is_saved_with_its_numbers_beside_it(tmp_path):
    picture = figures.learning_curves(history_of(3))
    image, table = picture.save(tmp_path)
    assert Image.open(image).size == picture.pixels.shape[1::-1]
    assert table.read_text() == picture.table() and len(table.read_text().splitlines()) == 4


def test_on_a_page_a_picture_comes_without_its_title():
    picture = figures.learning_curves(history_of(3))
    whole, body = (np.asarray(Image.open(io.BytesIO(picture.png(heading)))) for heading in (True, False))
    cut = len(whole) - len(body)
    assert 20 < cut < 60 and (whole[cut:] == body).all()
    assert (whole[:cut] < 128).any()  # the title is dark on white


def test_percentages_never_round_to_all_or_nothing():
    shown = ["0 %", "< 0.1 %", "0.1 %", "50.0 %", "> 99.9 %", "100 %"]
    assert [percent(v) for v in (0, 1e-6, 0.001, 0.5, 0.9996, 1)] == shown
