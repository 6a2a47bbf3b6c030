"""ImageClassifier has the habits of scikit-learn's estimators, and needs no scikit-learn for them."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

ROOT = Path(__file__).parents[1]
NAMES = np.array(["rows", "columns", "rising", "falling"])


def test_labels_of_any_type_come_back(engine, stripes):
    x, y = stripes
    for labels in (NAMES[y], y + 5, y == 1, y.astype(float), NAMES[y].astype(object)):
        classifier = sn.ImageClassifier(epochs=15, engine=engine).fit(x, labels)
        np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
        assert classifier.predict(x).dtype == np.asarray(labels).dtype or labels.dtype == object
        assert classifier.score(x, labels) > 0.9
        p = classifier.predict_proba(x)
        np.testing.assert_array_equal(classifier.classes_[p.argmax(axis=1)], classifier.predict(x))
    assert classifier.model_.class_names == sorted(NAMES)


def test_images_features_and_reshaped_features(stripes):
    x, y = stripes
    flat, images = sn.ImageClassifier(epochs=2), sn.ImageClassifier(epochs=2)
    reshaped = sn.ImageClassifier(epochs=2, image_shape=(10, 10)).fit(x.reshape(80, 100), y)
    flat.fit(x.reshape(80, 100), y)
    images.fit(x, y)
    kinds = [[type(layer).__name__ for layer in c.model_.layers] for c in (flat, images)]
    assert "Conv2D" not in kinds[0] and kinds[1].count("Conv2D") == 2
    np.testing.assert_array_equal(reshaped.predict_proba(x.reshape(80, 100)), images.predict_proba(x))
    assert flat.n_features_in_ == images.n_features_in_ == reshaped.n_features_in_ == 100
    assert sn.ImageClassifier(epochs=1).fit(np.zeros((4, 2, 3, 3)), [0, 1, 0, 1]).n_features_in_ == 18


def test_the_network_brings_its_own_scale(stripes):
    """Bytes, [0, 1] and large numbers give the same network the same view."""
    x, y = stripes
    data = x, x / 255, x * 1e4 - 7e5
    views = [sn.ImageClassifier(epochs=2, engine="numpy").fit(z, y).predict_proba(z) for z in data]
    np.testing.assert_allclose(views[1], views[0], atol=1e-3)
    np.testing.assert_allclose(views[2], views[0], atol=1e-3)


def test_layers_and_optimizer_are_patterns_that_fit_does_not_use_up(stripes):
    layers, optimizer = [sn.Rescale(), sn.Flatten(), sn.Dense(4)], sn.SGD(0.1, momentum=0.9)
    classifier = sn.ImageClassifier(layers, epochs=2, optimizer=optimizer)
    first = classifier.fit(*stripes).predict_proba(stripes[0])
    np.testing.assert_array_equal(classifier.fit(*stripes).predict_proba(stripes[0]), first)
    assert not layers[0].in_model and optimizer.steps == 0


def test_a_recipe_is_trained_as_it_says(stripes):
    x = np.zeros((80, 28, 28), np.uint8)
    x[:, 9:19, 9:19] = stripes[0]
    classifier = sn.ImageClassifier("fast", epochs=2).fit(x, stripes[1])
    assert isinstance(classifier.model_.layers[1], sn.Cropping2D)
    assert classifier.history_["lr"][0] > classifier.history_["lr"][1] > 0  # a cosine
    assert len(sn.ImageClassifier("mlp", epochs=1, optimizer="sgd").fit(x, stripes[1]).history_.epochs) == 1
    with pytest.raises(ValueError, match="layers='fastest' is no recipe; there are default, fast, best"):
        sn.ImageClassifier("fastest").fit(x, stripes[1])


def test_parameters_are_those_of_the_constructor():
    classifier = sn.ImageClassifier(epochs=3)
    assert classifier.get_params()["epochs"] == 3
    assert classifier.set_params(seed=1, epochs=4) is classifier
    assert repr(classifier) == "ImageClassifier(epochs=4, seed=1)"
    with pytest.raises(ValueError, match=r"Invalid parameter 'epoch' for estimator .* Valid parameters are: layers, "):
        classifier.set_params(epoch=3)
    with pytest.raises(TypeError, match=r"ImageClassifier has no argument 'random_state'. Use seed"):
        sn.ImageClassifier(random_state=0)


@pytest.mark.parametrize(("x", "y", "message"), [
    (np.zeros(3), [0, 1, 2], r"expected images \(n, h, w\) or features \(n, features\).* Reshape your data"),
    (np.zeros((3, 2)), [0, 1], r"inconsistent numbers of samples: \[3, 2\]"),
    (np.zeros((0, 2)), [], r"0 sample\(s\)"),
    (np.full((2, 2), np.nan), [0, 1], "X contains NaN or infinity"),
    (np.zeros((2, 2), complex), [0, 1], "Complex data not supported"),
    (np.zeros((2, 2)), [0.5, 1], "Unknown label type: continuous"),
    (np.zeros((2, 2)), [[0, 1], [1, 0]], r"y should be a 1d array, got an array of shape \(2, 2\)"),
    (np.zeros((2, 2)), None, "the target y is None"),
])  # fmt: skip
def test_wrong_data_is_explained(x, y, message):
    with pytest.raises(ValueError, match=message):
        sn.ImageClassifier(engine="numpy").fit(x, y)


def test_examples_of_another_size_are_refused(stripes):
    classifier = sn.ImageClassifier(epochs=1, engine="numpy").fit(*stripes)
    with pytest.raises(ValueError, match=r"X has 81 features, but ImageClassifier is expecting 100 features as input"):
        classifier.predict(np.zeros((2, 9, 9)))
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) has 9 numbers, each row 8"):
        sn.ImageClassifier(image_shape=(3, 3)).fit(np.zeros((2, 8)), [0, 1])


def test_a_trained_classifier_is_pickled(engine, stripes):
    classifier = sn.ImageClassifier(epochs=1, engine=engine).fit(*stripes)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(stripes[0]), classifier.predict_proba(stripes[0]))


def test_it_works_where_there_is_no_scikit_learn():
    program = """
import sys
sys.modules["sklearn"] = None
import numpy as np, scratchnet as sn
classifier = sn.ImageClassifier(epochs=1, engine="numpy")
try:
    classifier.predict(np.zeros((2, 3)))
except ValueError as error:
    assert "call fit(X, y) first" in str(error)
classifier.fit(np.eye(3), ["a", "b", "c"]).score(np.eye(3), ["a", "b", "c"])
"""
    subprocess.run([sys.executable, "-c", program], timeout=60, cwd=ROOT, check=True)


# with scikit-learn


def test_all_of_scikit_learns_checks_pass(engine):
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    results = checks.check_estimator(sn.ImageClassifier(engine=engine), on_skip=None, on_fail=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in results) > 40


def test_cross_validation_search_and_pipelines(stripes):
    selection = pytest.importorskip("sklearn.model_selection")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = stripes
    scores = selection.cross_val_score(sn.ImageClassifier(epochs=15), x, NAMES[y], cv=4)
    assert len(scores) == 4 and scores.mean() > 0.7
    pipeline = make_pipeline(StandardScaler(), sn.ImageClassifier(image_shape=(10, 10)))
    choices = {"imageclassifier__epochs": [1, 15], "imageclassifier__optimizer": ["adam", sn.SGD(1e-4)]}
    search = selection.GridSearchCV(pipeline, choices, cv=2, n_jobs=2).fit(x.reshape(80, 100), NAMES[y])
    assert search.best_params_ == {"imageclassifier__epochs": 15, "imageclassifier__optimizer": "adam"}
    assert set(search.predict(x.reshape(80, 100)[:5])) <= set(NAMES)
