"""Labels in every form that files and other libraries give them: accepted, or an error with the line that converts."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.labels import as_labels

FORMS = {
    "a column": lambda y: y[:, None],
    "whole floats": lambda y: y.astype(np.float64),
    "a column of floats": lambda y: y[:, None].astype(np.float32),
    "a list": lambda y: y.tolist(),
    "a list of lists": lambda y: y[:, None].tolist(),
    "bytes": lambda y: y.astype(np.uint8),
    "big-endian": lambda y: y.astype(">i4"),
    "objects": lambda y: y.astype(object),
    "one-hot": lambda y: np.eye(4)[y],
    "one-hot bools": lambda y: np.eye(4, dtype=bool)[y],
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_of_any_form_train_to_the_same_bits(form, engine, stripes):
    x, y = stripes
    given, models = FORMS[form](y), []
    for labels in (y, given):
        model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine=engine)
        model.fit(x, labels, batch_size=32, validation_data=(x, labels), verbose=False)
        models.append(model)
    np.testing.assert_allclose(models[0].predict(x), models[1].predict(x), rtol=1e-5)
    assert models[0].evaluate(x, y)["accuracy"] == models[0].evaluate(x, given)["accuracy"]


def test_bools_are_the_labels_of_two_classes(engine, stripes):
    x, y = stripes
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(2)], (10, 10, 1), engine=engine)
    model.fit(x, y % 2 == 1, epochs=5, verbose=False)
    assert model.evaluate(x, y % 2 == 1) == model.evaluate(x, y % 2)


def test_read_only_arrays_and_lists_are_accepted(engine, stripes):
    x, y = (array.copy() for array in stripes)
    x.flags.writeable = y.flags.writeable = False
    model = sn.Sequential([sn.Rescale(), sn.Conv2D(2, 3), sn.Flatten(), sn.Dense(4)], (10, 10, 1), engine=engine)
    model.fit(x, y, validation_data=(x, y), verbose=False)
    np.testing.assert_array_equal(model.predict(x), model.predict(list(x)))
    assert model.evaluate(list(x), list(y)) == model.evaluate(x, y)


@pytest.mark.parametrize(("labels", "classes", "message"), [
    (["cat", "dog"], 2, r"labels are texts \('cat', 'dog', ...\).* names, y = np.unique\(y, return_inverse=True\)"),
    (np.array(["cat", 3], object), 2, r"np.unique\(y, return_inverse=True\)"),
    ([[b"cat"], [b"dog"]], 2, r"np.unique\(y, return_inverse=True\)"),
    (["5", "0", "10"], 11, r"labels are texts \('5', '0', '10', ...\).* pass y.astype\(int\)"),
    ([1, 2, 3], 3, "labels run from 1 to 3; the model's classes are 0 to 2. Pass y - 1"),
    ([-1, 1], 2, "labels are -1 and 1; the model's classes are 0 and 1. Pass y > 0"),
    ([True, False], 10, "labels are True or False, two classes, but the model has 10"),
    ([0.5, 1], 3, "labels must be class numbers; label 0 is 0.5"),
    ([0, np.nan], 3, "labels must be class numbers; label 1 is nan"),
    ([0, np.inf], 3, "labels must be class numbers; label 1 is inf"),
])  # fmt: skip
def test_labels_that_must_be_converted_show_how(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        as_labels(labels, classes)


@pytest.mark.parametrize("labels", [np.array(["a", "b", "c", "d"]), [1, 2, 3, 4]])
def test_fit_and_evaluate_explain_them_too(labels):
    model, x = sn.Sequential([sn.Dense(4)], (1,), engine="numpy"), np.zeros((4, 1))
    for call in (lambda: model.fit(x, labels, verbose=False), lambda: model.evaluate(x, labels)):
        with pytest.raises(ValueError, match=r"np.unique|Pass y - 1"):
            call()


def test_a_loss_of_ones_own_gets_the_labels_that_were_passed():
    seen = []

    def squares(outputs, targets):
        seen.append(targets.dtype)
        d = outputs[:, 0] - targets
        return float((d**2).mean()), (2 * d / len(d))[:, None].astype(outputs.dtype)

    model = sn.Sequential([sn.Dense(1)], (1,), engine="numpy")
    model.fit(np.ones((4, 1)), [0.5, 0.25, 0.5, 0.25], loss=squares, verbose=False)
    assert set(seen) == {np.dtype("float64")}
