"""Whole pictures as a network's input, and predict.py, which shows them to one."""

import importlib.util
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import scratchnet as sn
from scratchnet.data.pictures import open_image, whole_image

GRADIENT = np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)


@pytest.fixture(scope="module")
def predict():
    """The main function of scripts/predict.py."""
    spec = importlib.util.spec_from_file_location("predict", Path(__file__).parents[2] / "scripts" / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([*map(str, arguments), "--engine", "numpy"])


def model_of_brightness(path, shape, names=None):
    """A model that says class 0 if a picture is dark and class 1 if it is light; no training needed."""
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(2)], shape, engine="numpy", class_names=names)
    model.layers[-1].W[...] = [-20 / np.prod(shape), 20 / np.prod(shape)]
    model.layers[-1].b[...] = [10, -10]
    model.save(path)
    return path


# Pixels


def test_a_picture_of_the_right_size_is_taken_as_it_is():
    np.testing.assert_array_equal(whole_image(GRADIENT, (40, 60, 1)), GRADIENT)
    colour = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    np.testing.assert_array_equal(whole_image(colour, (8, 9, 3)), colour)


def test_grey_and_colour_turn_into_each_other():
    colour = np.stack([GRADIENT] * 3, axis=-1)
    np.testing.assert_array_equal(whole_image(GRADIENT, (40, 60, 3)), colour)
    np.testing.assert_array_equal(whole_image(colour, (40, 60, 1)), GRADIENT)


def test_shrinking_takes_means_and_keeps_what_is_where():
    small = whole_image(GRADIENT, (10, 15, 1)).astype(float)
    means = GRADIENT.reshape(10, 4, 15, 4).mean(axis=(1, 3))
    assert np.abs(small - means).max() < 4


def test_inverting_swaps_black_and_white():
    np.testing.assert_array_equal(whole_image(GRADIENT, (40, 60, 1), invert=True), 255 - GRADIENT)


def test_transparency_lies_on_white_paper():
    picture = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert (whole_image(picture, (10, 10, 3)) == 255).all()


def test_white_paint_on_nothing_lies_on_black():
    paint = np.zeros((40, 60, 4), np.uint8)
    paint[..., :3], paint[..., 3] = 255, GRADIENT
    np.testing.assert_array_equal(whole_image(paint, (40, 60, 1)), GRADIENT)
    paint[20, 30] = (0, 0, 0, 255)  # with anything dark beside it, the white is paper
    assert whole_image(paint, (40, 60, 1))[0, 0] == 255


@pytest.mark.parametrize("channels", [2, 4])
def test_a_model_with_other_channels_has_no_pictures(channels):
    with pytest.raises(ValueError, match=f"got {channels}"):
        whole_image(GRADIENT, (8, 8, channels))


# Where pictures come from


def encoded(kind="png", **options):
    file = io.BytesIO()
    Image.fromarray(GRADIENT).save(file, kind, **options)
    return file


def test_bytes_and_open_files_are_as_good_as_a_path(tmp_path):
    file = encoded()  # its position is at the end, where writing left it
    (tmp_path / "a.png").write_bytes(file.getvalue())
    with open(tmp_path / "a.png", "rb") as opened:
        for source in (file, file.getvalue(), bytearray(file.getvalue()), memoryview(file.getvalue()), opened, opened):
            np.testing.assert_array_equal(whole_image(source, (40, 60, 1)), GRADIENT)
        assert not opened.closed and not file.closed
    with open(tmp_path / "a.png", "rb", buffering=0) as opened:
        np.testing.assert_array_equal(whole_image(opened, (40, 60, 1)), GRADIENT)


@pytest.mark.skipif(os.name == "nt", reason="a pipe's end is opened by its number")
def test_a_stream_that_cannot_go_back_is_read_to_its_end():
    out, into = os.pipe()
    with open(out, "rb") as stream, open(into, "wb") as writer:
        writer.write(encoded().getvalue())
        writer.close()
        np.testing.assert_array_equal(whole_image(stream, (40, 60, 1)), GRADIENT)


def test_bytes_that_are_no_picture_are_told_by_what_they_came_from(tmp_path):
    (tmp_path / "page.html").write_bytes(b"<html>")
    for source, message in [
        (b"<html>", "bytes: expected an image file.* another kind of file"),
        (io.BytesIO(b""), "BytesIO: expected an image file.* another kind of file"),
        (encoded().getvalue()[:60], "bytes: expected an image file.* a damaged one"),
        (io.StringIO("text"), 'opened as text. Open it as bytes: open\\(path, "rb"\\)'),
    ]:
        with pytest.raises(ValueError, match=message):
            open_image(source)
    with open(tmp_path / "page.html", "rb") as opened, pytest.raises(ValueError, match=r"page.html: expected"):
        open_image(opened)


# EXIF 2.32, tag 0x0112: the sides of the scene that the first row and the first column of the file show
ORIENTATIONS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.transpose(a), 2),
    8: lambda a: np.rot90(a, 3),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_kind_of_source_is_turned_as_its_camera_says(orientation, tmp_path):
    exif, path = Image.Exif(), tmp_path / "photo.png"
    exif[0x0112] = orientation
    Image.fromarray(ORIENTATIONS[orientation](GRADIENT)).save(path, exif=exif)
    with Image.open(path) as image, open(path, "rb") as file:
        upright = ImageOps.exif_transpose(image)
        for source in (path, path.read_bytes(), file, image, image.convert("RGB"), upright):
            np.testing.assert_array_equal(whole_image(source, (40, 60, 1)), GRADIENT)


def test_an_image_that_breaks_off_is_told_like_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"image: expected an image file, .* a damaged one"):
        open_image(Image.open(io.BytesIO(encoded("bmp").getvalue()[:-200])))


def test_a_heic_photo_says_what_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(ValueError, match=r"IMG_1.HEIC: .* a HEIC photo: export it as JPEG, or pip install pillow-heif"):
        open_image(tmp_path / "IMG_1.HEIC")


# What is no picture


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="a directory or a device"):
            open_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow thinks of the damage
def test_a_damaged_picture_is_one_kind_of_error_whatever_the_decoder_stumbles_over(tmp_path):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8))
    refused = 0
    for kind in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm"):
        picture.save(tmp_path / f"whole.{kind}")
        whole = (tmp_path / f"whole.{kind}").read_bytes()
        for _ in range(60):
            damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            for place in rng.integers(0, len(damaged), 5):
                damaged[place] = rng.integers(256)
            path = tmp_path / f"damaged.{kind}"
            path.write_bytes(damaged)
            try:
                whole_image(path, (8, 8, 3))
            except ValueError as error:
                assert str(error).startswith(f"{path}: expected an image file")
                refused += 1
    assert refused > 200


# predict.py


def test_several_pictures_get_a_line_each_with_the_names_of_the_classes(predict, tmp_path, capsys):
    model = model_of_brightness(tmp_path / "model.safetensors", (6, 6, 3), ["night", "day"])
    for name, value in (("a", 10), ("b", 250)):
        Image.new("RGB", (50, 30), (value, value, value)).save(tmp_path / f"{name}.png")
    assert predict(tmp_path, tmp_path / "a.png", tmp_path / "b.png") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "a.png: night (100.0%), then day (0.0%)" in first and "b.png: day (100.0%)" in second
    assert predict(model, tmp_path / "a.png", "--invert") == 0
    assert "a.png: day" in capsys.readouterr().out


def test_json_holds_every_answer_and_every_failure(predict, tmp_path, capsys):
    model = model_of_brightness(tmp_path / "m", (6, 6, 3), ["night", "day"])
    Image.new("RGB", (50, 30)).save(tmp_path / "a.png")
    assert predict(model, tmp_path / "a.png", tmp_path / "none.png", "--json") == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert good["class"] == "night" and good["probability"] == good["probabilities"]["night"] > 0.9
    assert good["image"].endswith("a.png") and bad["error"] == "No such file or directory"


def test_tta_is_the_mean_over_nine_places_of_the_picture(predict, tmp_path, capsys):
    """A white column at the left edge is doubled in three places, and out of sight in three."""
    model = model_of_brightness(tmp_path / "m", (8, 8, 1), ["night", "day"])
    Image.fromarray(np.repeat([[255, *[120] * 7]], 8, axis=0).astype(np.uint8)).save(tmp_path / "a.png")
    assert predict(model, tmp_path / "a.png", "--tta", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    means = [(255 * columns + 120 * (8 - columns)) / 8 / 255 for columns in (0, 1, 2)]
    expected = np.mean([1 / (1 + np.exp(40 * mean - 20)) for mean in means])
    assert found["probabilities"]["night"] == pytest.approx(expected, rel=1e-4)


def test_a_model_of_digits_sees_a_centred_digit_and_others_see_the_whole_picture(predict, tmp_path, capsys):
    paper = np.full((80, 80), 255, np.uint8)
    paper[10:30, 50:54] = 0  # a small dark 1 on a light sheet; white on black, as MNIST's, it is dark
    Image.fromarray(paper).save(tmp_path / "one.png")
    digits = model_of_brightness(tmp_path / "digits", (28, 28, 1))
    named = model_of_brightness(tmp_path / "named", (28, 28, 1), ["dark", "light"])
    for arguments, answer in [
        ((digits,), "0"),
        ((digits, "--whole"), "1"),
        ((named,), "light"),
        ((named, "--digits"), "dark"),
    ]:
        assert predict(*arguments, tmp_path / "one.png") == 0
        assert f"one.png: {answer} (" in capsys.readouterr().out


def test_several_digits_are_answered_from_left_to_right(predict, tmp_path, capsys):
    """A model of two kinds of digits: a thin bar is dark, a thick one is light."""
    paper = np.full((60, 160), 255, np.uint8)
    paper[10:50, 20:24] = paper[10:50, 70:100] = paper[10:50, 140:144] = 0
    Image.fromarray(paper).save(tmp_path / "number.png")
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(2)], (28, 28, 1), engine="numpy")
    model.layers[-1].W[...], model.layers[-1].b[...] = [-0.05, 0.05], [6, -6]  # a bar of 40 pixels, or of 300
    model.save(tmp_path / "m")
    assert predict(tmp_path / "m", tmp_path / "number.png") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'number.png'}: 010 (0 100.0%, 1 100.0%, 0 100.0%)\n"
    assert predict(tmp_path / "m", tmp_path / "number.png", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["class"] == "010" and [digit["class"] for digit in found["digits"]] == ["0", "1", "0"]
    assert found["probability"] == pytest.approx(np.prod([digit["probability"] for digit in found["digits"]]))
    assert predict(tmp_path / "m", tmp_path / "number.png", "--tta", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["class"] == "010"


def test_what_is_unlike_the_training_images_is_said_to_be(predict, tmp_path, capsys):
    """Grey is neither night nor day: both logits are 0, and the energy is -log 2."""
    model_of_brightness(tmp_path / "model.safetensors", (6, 6, 3), ["night", "day"])
    for name, value in (("dark", 10), ("grey", 128)):
        Image.new("RGB", (50, 30), (value, value, value)).save(tmp_path / f"{name}.png")
    pictures = [tmp_path / "dark.png", tmp_path / "grey.png"]
    for folder, unfamiliar in ((tmp_path, [False, True]), (tmp_path / "model.safetensors", [None, None])):
        (tmp_path / "metrics.json").write_text('{"out_of_distribution": {"score": "energy", "threshold": -5}}')
        assert predict(folder, *pictures) == 0
        lines = capsys.readouterr().out.splitlines()
        assert ["unlike the training images" in line for line in lines] == [bool(u) for u in unfamiliar]
        assert predict(folder, *pictures, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert [one["unfamiliar"] for one in found] == unfamiliar
        assert found[1]["energy"] == pytest.approx(-np.log(2), abs=0.1) and found[0]["energy"] < -5


def test_pictures_of_the_wrong_kind_are_told_and_the_others_answered(predict, tmp_path, capsys):
    model = model_of_brightness(tmp_path / "m", (28, 28, 1))
    (tmp_path / "page.png").write_bytes(b"<html>")
    Image.new("L", (40, 40), 255).save(tmp_path / "blank.png")
    Image.fromarray(np.pad(np.full((20, 4), 255, np.uint8), 8)).save(tmp_path / "one.png")
    assert predict(model, tmp_path / "page.png", tmp_path / "blank.png", tmp_path, tmp_path / "one.png") == 1
    said = capsys.readouterr()
    page, blank, folder = said.err.splitlines()
    assert "another kind of file" in page and "found only paper" in blank and "a directory" in folder
    assert said.out.startswith(f"{tmp_path / 'one.png'}: 0")


def test_a_model_that_takes_no_such_pictures_is_an_error(predict, tmp_path, capsys):
    flat, deep = tmp_path / "flat", tmp_path / "deep"
    sn.Sequential([sn.Dense(2)], (784,), engine="numpy").save(flat)
    model_of_brightness(deep, (6, 6, 5))
    colour = model_of_brightness(tmp_path / "colour", (6, 6, 3))
    for arguments, message in [
        ((flat,), "takes input of shape (784,)"),
        ((deep,), "(6, 6, 5)"),
        ((colour, "--digits"), "--digits needs grey squares"),
        ((tmp_path / "none",), "no such model file"),
        ((tmp_path,), "no such model file"),
    ]:
        assert predict(*arguments, "any.png") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and message in line
