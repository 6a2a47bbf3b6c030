"""A folder of labelled pictures: the same data set from the same folder, each class in both parts, nothing hidden."""

import importlib.util
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scratchnet as sn
from scratchnet.data.labelled import load_labelled_images, split
from scratchnet.data.pictures import whole_image

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
grey = partial(whole_image, shape=(8, 8, 1))
coloured = partial(whole_image, shape=(8, 8, 3))


def script(name):
    """The module of a script, which is in no package."""
    path = Path(__file__).parents[2] / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"script_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def paint(folder, count=10, size=12):
    """`count` pictures in the one colour of their class; picture i is a little darker than picture i - 1."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            shade = tuple(max(0, value - i) for value in colour)
            Image.new("RGB", (size, size), shade).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def pictures(tmp_path):
    return paint(tmp_path / "pictures")


def same(a, b):
    pairs = zip((*a.dataset[0], *a.dataset[1]), (*b.dataset[0], *b.dataset[1]), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


# Which picture is where


def test_every_image_is_the_picture_that_its_line_names_and_bears_its_folders_label(pictures):
    made = load_labelled_images(pictures, coloured, test_share=0.3)
    assert made.class_names == ["blue", "green", "red"] and made.unreadable == []
    for (x, y), files in zip(made.dataset, made.files, strict=True):
        assert len(x) == len(y) == len(files)
        for image, label, file in zip(x, y, files, strict=True):
            np.testing.assert_array_equal(image, Image.open(pictures / file).resize((8, 8)))
            assert made.class_names[label] == file.parent.name
    assert len({*made.files[0], *made.files[1]}) == 30


def test_each_class_gives_its_share_to_the_test_set(pictures):
    for name in "012345":
        (pictures / "red" / f"{name}.png").unlink()
    (_, y_train), (_, y_test) = load_labelled_images(pictures, grey, test_share=0.2).dataset
    assert np.bincount(y_train).tolist() == [8, 8, 3] and np.bincount(y_test).tolist() == [2, 2, 1]


def test_rare_classes_are_in_both_parts():
    for n in (2, 3):
        for share in (0.01, 0.5, 0.99):
            labels = np.array([0] * 40 + [1] * n)
            train, test = split(labels, share, seed=0)
            assert set(labels[train]) == set(labels[test]) == {0, 1}
            assert sorted([*train, *test]) == list(range(len(labels)))


def test_the_first_few_examples_are_of_all_classes(pictures):
    (_, y), _ = load_labelled_images(pictures, grey).dataset
    assert set(y[:10]) == {0, 1, 2}


def test_the_order_of_the_file_system_does_not_matter(pictures, monkeypatch):
    first = load_labelled_images(pictures, grey)
    forwards = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(forwards(path))))
    assert same(first, load_labelled_images(pictures, grey))


def test_a_seed_gives_one_data_set_and_another_seed_another(pictures):
    first, again, other = (load_labelled_images(pictures, grey, seed=seed) for seed in (1, 1, 2))
    assert same(first, again) and not same(first, other)
    assert set(first.files[1]) != set(other.files[1])


def test_another_picture_moves_no_other_classs_pictures(pictures):
    def for_testing():
        return {path for path in load_labelled_images(pictures, grey).files[1] if path.parent.name != "red"}

    before = for_testing()
    Image.new("RGB", (9, 9)).save(pictures / "red" / "new.png")
    assert for_testing() == before


def test_numbers_in_the_names_of_classes_count(tmp_path):
    for name in ("10", "9", "page 10", "page 9", "Äpfel"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (8, 8)).save(tmp_path / name / f"{i}.png")
    assert load_labelled_images(tmp_path, grey).class_names == ["9", "10", "page 9", "page 10", "Äpfel"]


def test_more_than_256_classes_have_labels_that_idx_can_express(tmp_path):
    for k in range(257):
        (tmp_path / "in" / str(k)).mkdir(parents=True)
        for i in range(2):
            (tmp_path / "in" / str(k) / str(i)).touch()
    made = load_labelled_images(tmp_path / "in", lambda path: np.zeros((1, 1), np.uint8))
    sn.write_idx_dataset(tmp_path / "out", made.dataset)
    assert sorted(sn.load_idx_dataset(tmp_path / "out")[0][1]) == list(range(257))


# Folders in folders


def test_pictures_in_sub_folders_of_a_class_are_its_own(pictures):
    deep = pictures / "red" / "dark" / "very dark"
    deep.mkdir(parents=True)
    for i in range(5):
        (pictures / "red" / f"{i}.png").rename(deep / f"{i}.png")
    made = load_labelled_images(pictures, coloured)
    assert made.class_names == ["blue", "green", "red"]
    files = [*made.files[0], *made.files[1]]
    assert len(files) == 30 and sum("very dark" in file.parts for file in files) == 5
    for (x, y), paths in zip(made.dataset, made.files, strict=True):
        for image, label, file in zip(x, y, paths, strict=True):
            assert made.class_names[label] == file.parts[0]
            np.testing.assert_array_equal(image, Image.open(pictures / file).resize((8, 8)))


def test_what_archives_and_desktops_leave_is_no_class_and_no_picture(pictures):
    before = load_labelled_images(pictures, grey)
    for place in (pictures, pictures / "red", pictures / "blue"):
        for name in ("__MACOSX", ".thumbnails"):
            (place / name / "red").mkdir(parents=True)
            (place / name / "red" / "._0.png").write_bytes(b"a resource fork")
            (place / name / "1.png").write_bytes(b"another")
    after = load_labelled_images(pictures, grey)
    assert same(before, after) and after.unreadable == [] and after.class_names == ["blue", "green", "red"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_that_lead_in_circles_end(pictures):
    (pictures / "red" / "again").symlink_to(pictures, target_is_directory=True)
    assert sum(map(len, load_labelled_images(pictures, grey).files)) == 30


# A split that is there


@pytest.fixture
def ready(tmp_path):
    """Ten pictures of each class to train on, three of each to test with."""
    paint(tmp_path / "ready" / "train")
    paint(tmp_path / "ready" / "test", count=3)
    return tmp_path / "ready"


def test_a_ready_split_is_kept(ready):
    made = load_labelled_images(ready, coloured, test_share=0.5)
    assert made.class_names == ["blue", "green", "red"]
    for part, (_, y), files, count in zip(("train", "test"), made.dataset, made.files, (10, 3), strict=True):
        assert {file.parts[0] for file in files} == {part} and np.bincount(y).tolist() == [count] * 3
        assert [made.class_names[label] for label in y] == [file.parts[1] for file in files]
    assert set(made.dataset[0][1][:10]) == {0, 1, 2}  # shuffled
    assert same(made, load_labelled_images(ready, coloured))


def test_a_validation_part_is_for_testing_where_there_is_no_other(ready):
    (ready / "test").rename(ready / "val")
    assert {file.parts[0] for file in load_labelled_images(ready, grey).files[1]} == {"val"}
    paint(ready / "test", count=2)
    train, test = load_labelled_images(ready, grey).files
    assert {file.parts[0] for file in train} == {"train", "val"} and {file.parts[0] for file in test} == {"test"}


def test_a_ready_split_needs_pictures_of_each_class_to_train_on_and_some_to_test_with(ready):
    for i in range(10):
        (ready / "train" / "green" / f"{i}.png").unlink()
    with pytest.raises(ValueError, match="found none of green to train on"):
        load_labelled_images(ready, grey)
    paint(ready / "train" / "green")
    for path in (ready / "test").rglob("*.png"):
        path.unlink()
    with pytest.raises(ValueError, match="found none to test with"):
        load_labelled_images(ready, grey)


def test_trains_and_tests_may_be_classes(tmp_path):
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("L", (8, 8)).save(tmp_path / name / f"{i}.png")
    assert load_labelled_images(tmp_path, grey).class_names == ["test", "train"]


# What cannot be used


def test_pictures_that_cannot_be_used_are_listed_with_their_reasons(pictures):
    whole = (pictures / "red" / "0.png").read_bytes()
    (pictures / "red" / "cut.png").write_bytes(whole[:45])
    (pictures / "blue" / "page.png").write_bytes(b"<html>")
    (pictures / "blue" / ".hidden").write_bytes(b"")
    (pictures / "notes.txt").write_bytes(b"beside the classes, not among them")
    made = load_labelled_images(pictures, grey)
    assert [Path(line.split(": ")[0]).name for line in made.unreadable] == ["page.png", "cut.png"]
    assert "another kind of file" in made.unreadable[0] and "damaged" in made.unreadable[1]
    assert len(made.files[0]) + len(made.files[1]) == 30


def test_a_class_with_one_good_picture_cannot_be_split(pictures):
    for i in range(1, 10):
        (pictures / "red" / f"{i}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"at least two pictures of each class.* found fewer of red\n .*1.png"):
        load_labelled_images(pictures, grey)


def test_there_must_be_classes_to_tell_apart(pictures, tmp_path):
    with pytest.raises(ValueError, match="at least two classes, found 0 folders"):
        load_labelled_images(pictures / "red", grey)
    with pytest.raises(ValueError, match="no such folder"):
        load_labelled_images(tmp_path / "nowhere", grey)
    for share in (0, 1, -0.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            load_labelled_images(pictures, grey, test_share=share)


# The script, and what follows it


def test_pictures_become_a_data_set_a_model_and_answers(no_pictures, pictures, tmp_path, capsys):
    out, run = tmp_path / "idx", tmp_path / "run"
    arguments = ["--images", str(pictures), "--out", str(out), "--colour", "--size", "20"]
    assert script("make_idx").main(arguments) == 0
    said = capsys.readouterr().out
    assert "24 images to train on and 6 to test with, 20×20×3, of 3 classes: blue, green, red" in said
    assert (out / "t10k-files.txt").read_text().count("\n") == 6

    small = ["--data-dir", str(out), "--preset", "mlp", "--engine", "numpy", "--epochs", "3", "--batch-size", "4"]
    assert script("train").main([*small, "--out", str(run), "--quiet"]) == 0
    assert sn.load_model(run / "model.safetensors", engine="numpy").class_names == ["blue", "green", "red"]
    assert json.loads((run / "metrics.json").read_text())["dataset"] == "idx"

    images = [str(pictures / name / "3.png") for name in COLOURS]
    capsys.readouterr()
    assert script("predict").main([str(run), *images, "--json", "--engine", "numpy"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["class"] for answer in answers] == list(COLOURS)
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)


def test_the_same_command_writes_the_same_bytes(pictures, tmp_path):
    for out in ("a", "b"):
        assert script("make_idx").main(["--images", str(pictures), "--out", str(tmp_path / out), "--size", "8"]) == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 7
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_a_data_set_that_is_there_is_not_overwritten(pictures, tmp_path, capsys):
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"precious")
    assert script("make_idx").main(["--images", str(pictures), "--out", str(tmp_path)]) == 2
    assert "already contains a data set" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.gz"))


def test_inverting_and_centring_are_offered(tmp_path):
    for name in "01":
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(2):
            paper = np.full((60, 60), 255, np.uint8)
            paper[5:35, 10 + i : 14 + i + 10 * int(name)] = 0
            Image.fromarray(paper).save(tmp_path / "pictures" / name / f"{i}.png")

    def images(*options):
        out = tmp_path / "-".join(["out", *options])
        assert script("make_idx").main(["--images", str(tmp_path / "pictures"), "--out", str(out), *options]) == 0
        return np.concatenate([x for x, _ in sn.load_idx_dataset(out)])

    plain, inverted, digits = images(), images("--invert"), images("--digits")
    np.testing.assert_array_equal(inverted, 255 - plain)
    assert (plain[:, 0] == 255).all() and (digits[:, 0] == 0).all()
    assert digits.any(axis=2).sum(axis=1).tolist() == [20] * 4  # rows with ink: MNIST's box


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "7"], "must be at least 8"),
        (["--grey", "--colour"], "not allowed with"),
        (["--digits", "--invert"], "leave out --invert"),
        (["--test-share", "some"], "invalid float"),
        (["--test-share", "1.5"], "between 0 and 1"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, pictures, tmp_path, capsys):
    try:
        code = script("make_idx").main(["--images", str(pictures), "--out", str(tmp_path / "out"), *arguments])
    except SystemExit as stop:
        code = stop.code
    assert code == 2 and message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("preset", "fits"), [("default", False), ("lenet5", False), ("mlp", True)])
def test_a_preset_that_does_not_fit_small_images_is_one_line(preset, fits, pictures, tmp_path, capsys):
    script("make_idx").main(["--images", str(pictures), "--out", str(tmp_path / "idx"), "--size", "8"])
    capsys.readouterr()
    small = ["--data-dir", str(tmp_path / "idx"), "--engine", "numpy", "--epochs", "1", "--quiet"]
    code = script("train").main([*small, "--preset", preset, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert code == (0 if fits else 2)
    if not fits:
        assert said.startswith(f"error: the preset {preset} does not fit images of 8×8×1: layer ")
        assert said.count("\n") == 1 and not (tmp_path / "run").exists()
