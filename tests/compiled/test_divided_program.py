"""One image on several threads: the bits of one thread, on present weights, for any number of callers."""

import threading

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.compiled.execution import divided_program, engine
from scratchnet.compiled.execution.divided_program import DividedProgram
from scratchnet.compiled.layers.conv_division import even_parts
from scratchnet.team import shared_team
from scratchnet.zoo import PRESETS
from tests.compiled.test_inference_program import LAYERS, images, model_of

LAYERS = {
    **LAYERS,
    "winograd, clipped, pools of 3": lambda: [
        sn.Conv2D(16, 3, padding="same"), sn.ReLU(), sn.BatchNorm(), sn.Conv2D(17, 3), sn.BatchNorm(), sn.ReLU(),
        sn.MaxPool2D(3), sn.Conv2D(40, 3, padding="same"), sn.Flatten(), sn.Dense(3),
    ],
    "strides, average": lambda: [
        sn.Conv2D(16, 5, stride=2), sn.ReLU(), sn.AvgPool2D(2), sn.Flatten(), sn.Dense(70), sn.Tanh(), sn.Dense(9),
    ],
    "block": lambda: [
        sn.Conv2D(16, 3), sn.Residual([sn.Conv2D(16, 3, padding="same"), sn.BatchNorm(), sn.ReLU()]), sn.Flatten(),
        sn.Dense(5),
    ],
}  # fmt: skip


@pytest.fixture(params=[2, 3, 5])
def threads(request):
    before = shared_team().threads
    sn.set_threads(request.param)
    yield request.param
    sn.set_threads(before)


@pytest.fixture(autouse=True)
def always_divided(monkeypatch):
    """Every network, and every image but a program's first."""
    monkeypatch.setattr(engine, "WORTH", 0)
    monkeypatch.setattr(divided_program, "AWAKE", 1e9)
    monkeypatch.setattr(divided_program.FasterWay, "next", lambda self: 1)


def moved(model):
    """The model with BatchNorms of other averages, some of their gammas negative."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, sn.BatchNorm):
            layer.gamma[...], layer.running_var[...] = rng.normal(size=layer.gamma.shape), rng.uniform(0.5, 2)
            layer.beta[...], layer.running_mean[...] = rng.normal(size=(2, *layer.beta.shape))
    return model


def on_one_thread(model, x):
    """Its logits from a program of one thread."""
    found = engine.InferenceProgram(model.backend, x.dtype, 1, 1, True).run(x, shared_team())
    return found.tobytes()


def made(model):
    """The programs that divide an image."""
    return [program for idle in model.backend.inference_programs.values() for program in idle
            if isinstance(program, DividedProgram)]  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_the_bits_are_those_of_one_thread(name, threads):
    model = moved(model_of(LAYERS[name]()))
    model(images(1))
    (program,) = made(model)
    assert program.program.threads == threads
    for image in images(4)[:, None]:
        x = model.check_input(image)
        assert program.run_divided(x, shared_team()).tobytes() == on_one_thread(model, x) == model(image).tobytes()


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("name", PRESETS)
def test_the_bits_of_the_presets_are_those_of_one_thread(name, threads):
    model = moved(PRESETS[name](10).build((28, 28, 1), seed=3))
    x = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    model(x)
    assert made(model)[0].run_divided(x, shared_team()).tobytes() == on_one_thread(model, x)


def test_changed_weights_are_noticed(threads):
    model = model_of(LAYERS["norms"]())
    x = model.check_input(images(1))
    before = model(x)
    for name, array in model.parameters().items():
        array += 0.1
        assert model(x).tobytes() == on_one_thread(model, x) != before.tobytes(), name


def test_after_a_pause_one_thread_predicts(monkeypatch, threads):
    clock, asked = [0.0], []
    monkeypatch.setattr(divided_program, "AWAKE", 1.0)
    monkeypatch.setattr(divided_program, "perf_counter", lambda: clock[0])
    model, x = model_of(LAYERS["norms"]()), images(1)
    model(x)
    (program,) = made(model)
    run = program.run_divided
    monkeypatch.setattr(program, "run_divided", lambda *how: asked.append(clock[0]) or run(*how))
    for clock[0] in (0.5, 2.0, 2.5, 3.4, 9.0):
        model(x)
    assert asked == [0.5, 2.5, 3.4]


def test_floating_point_images_and_several_callers_at_once(threads):
    model, x = model_of(LAYERS["norms"]()), images(40, np.float32)
    expected = [on_one_thread(model, model.check_input(image[None])) for image in x]
    found = [[] for _ in range(3)]

    def call(answers):
        answers += [model(image[None]).tobytes() for image in x]

    callers = [threading.Thread(target=call, args=(answers,)) for answers in found]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [expected] * 3


def test_two_images_one_thread_and_small_networks_are_not_divided(monkeypatch, threads):
    model = model_of(LAYERS["norms"]())
    model(images(2))
    assert not made(model)
    monkeypatch.setattr(engine, "WORTH", 10**12)
    model = model_of(LAYERS["norms"]())
    model(images(1))
    assert not made(model)
    monkeypatch.setattr(engine, "WORTH", 0)
    sn.set_threads(1)
    model = model_of(LAYERS["norms"]())
    model(images(1))
    assert not made(model)
    sn.set_threads(threads)


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_the_program_can_be_read(threads):
    model = model_of(LAYERS["norms"]())
    model(images(1))
    text = str(made(model)[0])
    assert "one image on 2 threads" in text and text.count("convolve") >= 2


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (7, 2), (8, 3), (2, 5), (100, 7)])
def test_even_parts_cover_everything_once_and_differ_by_one_at_most(count, parts):
    found = even_parts(count, parts)
    assert [i for part in found for i in range(count)[part]] == list(range(count))
    lengths = [part.stop - part.start for part in found]
    assert len(found) == min(count, parts) and max(lengths) - min(lengths) <= 1


def test_the_faster_way_is_found_again_when_it_changes(monkeypatch):
    monkeypatch.undo()  # the real choice
    choice, ways = divided_program.FasterWay(), []
    for call in range(2 * divided_program.PERIOD):
        slow = 0 if call < divided_program.PERIOD else 1  # another program has come
        ways.append(choice.next())
        choice.took(ways[-1], 2.0 if ways[-1] == slow else 1.0)
    tried = 2 * divided_program.TRIES
    assert set(ways[tried : divided_program.PERIOD]) == {1}
    assert set(ways[divided_program.PERIOD + tried :]) == {0}
    assert ways.count(0) - ways.count(1) == 0


def test_a_call_that_waits_for_a_thread_to_wake_does_not_decide(monkeypatch):
    monkeypatch.undo()
    choice = divided_program.FasterWay()
    for seconds in (3.0, 3.0, 3.0, 3.0, 90.0, 2.0, 2.0, 2.0):
        choice.took(choice.next(), seconds)
    assert choice.next() == 1
