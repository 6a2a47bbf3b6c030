"""A model in a notebook, in a copy and in another process."""

import copy
import io
import multiprocessing
import pickle

import numpy as np
import pytest

import scratchnet as sn
from tests.test_model import network


@pytest.fixture
def trained(engine, stripes):
    """A model with every kind of layer, whose every array has moved."""
    model = network(engine, class_names=["-", "|", "/", "<b>"])
    model.fit(*stripes, epochs=2, batch_size=32, verbose=False)
    return model


def arrays(model):
    return {name: array.tobytes() for name, array in {**model.parameters(), **model.state()}.items()}


def test_a_called_model_gives_logits(trained, stripes):
    x, _ = stripes
    np.testing.assert_array_equal(trained(x), trained.forward(x))
    np.testing.assert_array_equal(trained(x, training=True), trained.forward(x, training=True))


def test_repr_is_the_call_that_makes_the_model(engine):
    model = sn.Sequential(
        [sn.Rescale(), sn.Conv2D(4, (3, 2), padding="same"), sn.MaxPool2D(2), sn.MaxPool2D(2, 1), sn.Flatten(),
         sn.Dense(2)],
        (8, 8, 1), seed=3, engine=engine, class_names=["a", "b"],
    )  # fmt: skip
    lines = repr(model).splitlines()
    assert lines[:3] == ["Sequential([", "    Rescale(),", "    Conv2D(filters=4, kernel_size=(3, 2), padding='same'),"]
    assert lines[3:5] == ["    MaxPool2D(2),", "    MaxPool2D(2, stride=1),"]
    again = eval(repr(model), {name: getattr(sn, name) for name in sn.__all__})
    assert arrays(again) == arrays(model) and repr(again) == repr(model) and again.engine == engine
    assert repr(network(dtype="float64")).endswith("input_shape=(10, 10, 1), dtype='float64')")


def test_the_table_of_a_notebook_is_html_without_markup_of_the_users():
    class Marked(sn.ReLU):
        def __repr__(self):
            return "<script>alert(1)</script>"

    model = sn.Sequential([sn.Flatten(), Marked(), sn.Dense(4)], (2, 3, 1), engine="numpy")
    html = model._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "style" not in html
    assert html.count("<tr>") == 5 and "<td>Dense(units=4)</td><td>4</td><td>28</td><td>24</td>" in html


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_gives_the_same_bits_and_is_trained_by_itself(trained, stripes, duplicate):
    other, before, p = duplicate(trained), arrays(trained), trained.predict(stripes[0])
    assert other.engine == trained.engine and repr(other) == repr(trained) and other.class_names == trained.class_names
    np.testing.assert_array_equal(other.predict(stripes[0]), p)
    other.fit(*stripes, epochs=1, verbose=False)
    assert arrays(trained) == before and arrays(other) != before
    np.testing.assert_array_equal(trained.predict(stripes[0]), p)
    trained.fit(*stripes, epochs=1, verbose=False)
    assert arrays(trained) == arrays(other)  # the seed is copied too


def test_a_copy_can_be_copied_saved_and_assigned_to(trained, tmp_path):
    other = copy.deepcopy(copy.deepcopy(trained))
    other.save(tmp_path / "m")
    assert arrays(sn.load_model(tmp_path / "m", other.engine)) == arrays(trained)
    other.layers[-1].b = np.arange(4)
    np.testing.assert_array_equal(other.parameters()["8.dense.b"], np.arange(4))
    with pytest.raises(AttributeError, match="a model's layers cannot be set"):
        other.layers = ()


def test_what_holds_a_model_is_copied_with_it(trained, stripes):
    optimizer, stop, average = sn.Adam(1e-2), sn.EarlyStopping("loss"), sn.WeightAverage(0.9)
    history = trained.fit(*stripes, optimizer=optimizer, callbacks=[stop, average], verbose=False)
    for duplicate in (copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        model, its, _, _, logs = duplicate((trained, optimizer, stop, average, history))
        assert logs.epochs == history.epochs
        model.fit(*stripes, optimizer=its, verbose=False)  # with the moments of the copy
        assert its.steps == optimizer.steps + 1
        ensemble = duplicate(sn.Ensemble([trained, trained]))
        assert ensemble.models[0] is ensemble.models[1]
        np.testing.assert_array_equal(ensemble.predict(stripes[0]), trained.predict(stripes[0]))


def test_arrays_that_came_without_a_copy_are_made_the_models_own(trained, stripes):
    buffers = []
    content = pickle.dumps(trained, protocol=5, buffer_callback=buffers.append)
    read_only = [bytes(buffer.raw()) for buffer in buffers]  # as joblib's memory maps are
    other = pickle.loads(content, buffers=read_only)
    np.testing.assert_array_equal(other.predict(stripes[0]), trained.predict(stripes[0]))
    other.fit(*stripes, verbose=False)


def test_a_layer_of_ones_own_is_pickled_by_its_class(stripes):
    model = sn.Sequential([sn.Flatten(), Twice(), sn.Dense(4)], (10, 10, 1), engine="numpy")
    other = pickle.loads(pickle.dumps(model))
    assert type(other.layers[1]) is Twice
    np.testing.assert_array_equal(other(stripes[0]), model(stripes[0]))


class Twice(sn.Layer):
    """y = 2 x."""

    def forward(self, x, ctx):
        return 2 * x, None

    def backward(self, dy, cache):
        return 2 * dy, {}


def test_a_pool_of_new_processes_predicts(trained, stripes):
    x, _ = stripes
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.map(trained.predict, [x[:40], x[40:]])
    np.testing.assert_array_equal(parts, [trained.predict(x[:40]), trained.predict(x[40:])])


def test_a_model_is_not_in_its_pickle_with_locks_or_machine_code(trained):
    class Names(pickle.Unpickler):
        found = set()

        def find_class(self, module, name):
            self.found.add(module)
            return super().find_class(module, name)

    Names(io.BytesIO(pickle.dumps(trained))).load()
    unwanted = ("scratchnet.compiled", "scratchnet.engine", "numba", "_thread")
    assert not any(name.startswith(unwanted) for name in Names.found)


# arrays in a row


def test_weights_are_in_the_order_of_the_layers_state_behind_parameters(trained):
    weights = trained.get_weights()
    assert [w.shape for w in weights] == [(3, 3, 1, 4), *[(4,)] * 5, (3, 3, 4, 4), (4,), (64, 4), (4,)]
    np.testing.assert_array_equal(weights[4], trained.state()["2.batchnorm.running_mean"])
    assert trained.count_params() == sum(w.size for w in weights)
    weights[0][...] = 7
    assert (trained.layers[1].W != 7).all()


def test_weights_go_into_another_model(trained, stripes):
    other = trained.untrained_copy()
    assert (other.predict(stripes[0]) != trained.predict(stripes[0])).any()
    other.set_weights(trained.get_weights())
    np.testing.assert_array_equal(other.predict(stripes[0]), trained.predict(stripes[0]))


def test_weights_that_do_not_fit_change_nothing(trained):
    before, weights = arrays(trained), [w + 1 for w in trained.get_weights()]
    with pytest.raises(ValueError, match=r"expected 10 arrays \(1.conv2d.W, 1.conv2d.b, 2.batchnorm.gamma.*\), got 9"):
        trained.set_weights(weights[:-1])
    with pytest.raises(ValueError, match=r"8.dense.b has shape \(4,\), got float32 of shape \(3,\)"):
        trained.set_weights([*weights[:-1], weights[-1][:3]])
    assert arrays(trained) == before
