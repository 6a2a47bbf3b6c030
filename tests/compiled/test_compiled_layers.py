"""Every compiled layer computes what its textbook layers compute: outputs, every gradient, on drawn layers.

The oracle is the same model in float64 on the textbook engine, with the same parameters.
"""

import copy

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet.compiled.execution.contexts import Buffers, Captured, CapturingContext
from scratchnet.compiled.execution.fusion import UncompiledLayer
from scratchnet.compiled.execution.program import Phase, Program
from scratchnet.compiled.execution.training_program import calls_of
from scratchnet.compiled.kernels.batchnorm.statistics import BLOCK
from scratchnet.compiled.layers.conv_batchnorm_recompute import CompiledConvBatchNormRecompute
from scratchnet.compiled.layers.inference import for_inference
from scratchnet.randomness import ExampleRandom
from scratchnet.team import Team, split_ranges
from scratchnet.training import train_step

TOLERANCE = 1e-5  # of the largest number of each array
WINOGRAD_TOLERANCE = 1e-4  # its transforms add and subtract before they multiply


def three_editions(layers, input_shape, seed=0):
    """The same model compiled, as the textbook in float32, and as the textbook in float64."""
    compiled = sn.Sequential(layers(), input_shape, seed=seed)
    rng = np.random.default_rng(seed)
    for name, array in {**compiled.parameters(), **compiled.state()}.items():
        if not name.endswith(".W"):  # zeros and ones would hide much
            array += rng.uniform(0.1, 0.5, array.shape).astype(np.float32)
        if name.endswith(".gamma"):  # a negative one exchanges largest and smallest
            array[::3] *= -1
    textbooks = [sn.Sequential(layers(), input_shape, engine="numpy", dtype=t) for t in ("float32", "float64")]
    for textbook in textbooks:
        theirs = {**textbook.parameters(), **textbook.state()}
        for name, array in {**compiled.parameters(), **compiled.state()}.items():
            theirs[name][...] = array
    return compiled, *textbooks


def tolerance_for(model) -> float:
    stages = [*model.backend.stages, *for_inference(model.backend.stages, 16, few=False)]
    return WINOGRAD_TOLERANCE if any("winograd" in stage.op.describe() for stage in stages) else TOLERANCE


def assert_same(name, got, rounded, exact, tolerance, terms=0.0):
    """Close to the exact numbers: by the tolerance, or as close as the textbook comes in float32.

    The second is for sums that cancel, such as the gradient of a convolution in front of a BatchNorm. terms: the
    largest sum of the magnitudes of the terms. BLOCK = 64 are summed in float32, which may lose 64 roundings of it.
    """
    assert got.shape == exact.shape and got.dtype == np.float32, name
    scale = max(np.abs(exact).max(initial=0), 1.0)  # all inputs are of size 1: a smaller sum is what cancelling left
    error, unavoidable = (np.abs(array - exact).max(initial=0) / scale for array in (got, rounded))
    allowed = max(tolerance, 4 * unavoidable, BLOCK * 2**-24 * terms / scale)
    assert error <= allowed, f"{name}: off by {error:.1e} of the scale, not {unavoidable:.1e}"


def run(model, x, dy, training, seed):
    """Everything a model computes, by name."""
    y, cache = model.forward_cached(x, model.context(training, ExampleRandom(seed, 3)))
    dx, grads = model.backward(dy(y.shape).astype(y.dtype), cache)
    return {"y": y, "dx": dx, **grads}


def magnitudes(model, x, dy, training, seed):
    """For the first layer's gradients, sums over positions: the largest sum of |term|, by name."""
    stages, layer = model.backend.stages, model.layers[0]
    if not isinstance(layer, sn.Conv2D):
        return {}
    y, caches = model.forward_cached(x, model.context(training, ExampleRandom(seed, 3)))
    dz = dy(y.shape).astype(y.dtype)
    for stage, cache in zip(stages[:0:-1], caches[:0:-1], strict=True):
        dz, _ = stage.backward(dz, cache)
    ((cols, x_shape), *_), terms = caches[0], np.abs(dz)
    _, grads = layer.backward(terms, (np.abs(cols), x_shape))
    return {f"0.conv2d.{name}": float(g.max(initial=0)) for name, g in grads.items()}


def assert_equal_to_textbook(layers, input_shape, n, seed=0, training=True):
    rng = np.random.default_rng(seed + 1)
    x = rng.normal(size=(n, *input_shape)).astype(np.float32)
    editions = three_editions(layers, input_shape, seed)
    dy = lambda shape: np.random.default_rng(seed + 2).normal(size=shape)  # noqa: E731
    got, rounded, exact = (run(model, x, dy, training, seed) for model in editions)
    terms = magnitudes(editions[2], x, dy, training, seed)
    assert got.keys() == exact.keys() == {"y", "dx", *editions[0].parameters()}
    for name in exact:
        assert_same(name, got[name], rounded[name], exact[name], tolerance_for(editions[0]), terms.get(name, 0.0))
    assert_same("prediction", *(model.forward(x) for model in editions), tolerance_for(editions[0]))
    return editions[0]


def separated(shape, seed):
    """Inputs that are multiples of 1/8, where equal numbers are frequent: ties in max-pool, sums that are exact."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32) / 8


# Every height and width from 1 to 5. Each size of filter has machine code of its own: all 25 take a minute to compile.
KERNELS = [(1, 1), (1, 4), (2, 3), (3, 2), (4, 1), (5, 5)]
ALL_KERNELS = [(k_h, k_w) for k_h in range(1, 6) for k_w in range(1, 6)]


@st.composite
def convolutions(draw, kernels=KERNELS):
    """A convolution and what may follow it, with an input it fits."""
    k = draw(st.sampled_from(kernels))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if draw(st.booleans()) else (1, 1)
    if draw(st.booleans()):
        k, stride = (3, 3), (1, 1)  # the common case, often
    padding = draw(st.sampled_from(["valid", "same", 1, 2]))
    h, w = (draw(st.integers(size, 13)) for size in k)
    c, filters = draw(st.sampled_from([1, 2, 3, 5, 16, 19, 32])), draw(st.sampled_from([1, 3, 8, 16, 21, 33]))
    bias = draw(st.booleans())
    after = draw(st.sampled_from(["", "relu", "pool", "relu pool", "norm pool", "norm relu pool", "relu norm pool"]))
    pool = draw(st.sampled_from([2, 2, 3, (1, 2), (2, 3)]))

    def layers():
        kinds = {"relu": sn.ReLU, "norm": sn.BatchNorm, "pool": lambda: sn.MaxPool2D(pool)}
        return [sn.Conv2D(filters, k, stride, padding, use_bias=bias), *(kinds[word]() for word in after.split())]

    return layers, (h, w, c), draw(st.integers(1, 5)), draw(st.integers(0, 99))


def fits(layers, input_shape, n) -> bool:
    """Whether the layers can be built, and a BatchNorm has enough numbers to be normalised at all.

    Nor does one fit a filter of one weight, which it undoes: the gradient is 0, and what is computed is rounding.
    """
    try:
        model = sn.Sequential(layers(), input_shape, engine="numpy")
    except ValueError:
        return False
    norms = [shape for layer, shape in zip(model.layers, model.shapes, strict=False) if isinstance(layer, sn.BatchNorm)]
    one_weight = model.layers[0].W[..., 0].size == 1
    return all(n * shape[0] * shape[1] >= 8 and not one_weight for shape in norms)


@settings(max_examples=500)
@given(convolutions())
def test_convolutions_equal_the_textbook(case):
    layers, input_shape, n, seed = case
    note(f"{layers()} on {n} x {input_shape}")
    if fits(layers, input_shape, n):
        assert_equal_to_textbook(layers, input_shape, n, seed)


@pytest.mark.long
@settings(max_examples=1000)
@given(convolutions(ALL_KERNELS))
def test_convolutions_of_any_size_equal_the_textbook(case):
    layers, input_shape, n, seed = case
    if fits(layers, input_shape, n):
        assert_equal_to_textbook(layers, input_shape, n, seed)


def run_in_chunks(model, x, dy, size):
    """The outputs and all gradients as a captured training step computes them, from given dL/dy."""
    engine, parts = model.backend, split_ranges(len(x), size)
    captured = Captured(Buffers(), parts, {})
    passes = []
    for i, part in enumerate(parts):
        ctx = CapturingContext(True, None, captured, i, memory=i)
        y, caches = engine.forward(x[part], ctx)
        passes.append((y, engine.backward(dy[part], caches)[1], ctx.phases))
    packing = [[calls_of(layer.pack, packed, backward)] for (layer, backward), packed in captured.packs.items()]
    chunks = [Phase("", [[phases[k]] for _, _, phases in passes]) for k in range(len(passes[0][2]))]
    after = Phase("", [[[call]] for call in captured.after_step])
    Program("", [Phase("", packing), *chunks, after], 2, np.zeros(1), captured.names).run(Team(2))
    outputs, grads, _ = zip(*passes, strict=True)
    return {"y": np.concatenate(outputs)} | {name: sum(g[name].astype(np.float64) for g in grads) for name in grads[0]}


@st.composite
def first_blocks(draw):
    """Layers whose convolution is recomputed, and images."""
    k_h, k_w, c = draw(st.sampled_from([(3, 3, 1), (1, 4, 2), (2, 1, 3), (1, 1, 1)]))
    after = draw(st.sampled_from(["norm", "norm relu", "relu norm"]))
    filters, bias = draw(st.sampled_from([1, 5, 8, 9, 16, 21, 32])), draw(st.booleans())
    padding = draw(st.sampled_from([0, 0, 1]))
    h, w = (2 * draw(st.integers(1, 6)) + k - 1 - 2 * padding for k in (k_h, k_w))

    def layers():
        kinds = {"relu": sn.ReLU, "norm": sn.BatchNorm}
        return [
            sn.Conv2D(filters, (k_h, k_w), padding=padding, use_bias=bias),
            *(kinds[word]() for word in after.split()),
            sn.MaxPool2D(2),
        ]

    return layers, (h, w, c), draw(st.integers(2, 9)), draw(st.integers(1, 9)), draw(st.integers(0, 99))


@settings(max_examples=100)
@given(first_blocks())
def test_the_first_block_whose_convolution_is_recomputed_equals_the_textbook(case):
    layers, (h, w, c), n, size, seed = case
    if min(h, w) < 1 or not fits(layers, (h, w, c), n):
        return
    rng = np.random.default_rng(seed)
    x = 3 + rng.normal(size=(n, h, w, c)).astype(np.float32)
    compiled, *textbooks = three_editions(layers, (h, w, c), seed)
    assert isinstance(compiled.backend.stages[0].op, CompiledConvBatchNormRecompute)
    dy = rng.normal(size=(n, *compiled.shapes[-1])).astype(np.float32)
    got = {name: array.astype(np.float32) for name, array in run_in_chunks(compiled, x, dy, size).items()}
    rounded, exact = (run(model, x, lambda _: dy, True, 0) for model in textbooks)
    terms = magnitudes(textbooks[1], x, lambda _: dy, True, 0)  # their sums cancel: x has mean 3, dz mean 0
    for name in got:
        assert_same(name, got[name], rounded[name], exact[name], TOLERANCE, terms.get(name, 0.0))
    for name, array in compiled.state().items():
        assert_same(name, array, *(textbook.state()[name] for textbook in textbooks), TOLERANCE)


@settings(max_examples=100)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.booleans(), st.booleans())
def test_dense_layers_equal_the_textbook(features, units, n, relu, bias):
    assert_equal_to_textbook(
        lambda: [sn.Dense(units, use_bias=bias), *([sn.ReLU()] if relu else []), sn.Dense(3)], (features,), n
    )


@settings(max_examples=40)
@given(st.integers(1, 9), st.sampled_from([(7,), (4, 4, 3), (5, 6, 17)]), st.booleans(), st.booleans())
def test_batchnorm_layers_equal_the_textbook(n, shape, relu, training):
    def layers():
        return [sn.BatchNorm(), *([sn.ReLU()] if relu else []), sn.Flatten(), sn.Dense(4)]

    if n * int(np.prod(shape[:-1])) > 2:  # of two numbers the normalised values are ±1 whatever they are
        assert_equal_to_textbook(layers, shape, n, training=training)


@settings(max_examples=150)
@given(convolutions())
def test_training_steps_that_need_no_input_gradient_give_the_same_parameters(case):
    layers, input_shape, n, seed = case
    if not fits(layers, input_shape, n):
        return
    editions = three_editions(lambda: [*layers(), sn.Flatten(), sn.Dense(3)], input_shape, seed)
    rng = np.random.default_rng(seed + 1)
    x, y = rng.normal(size=(n, *input_shape)).astype(np.float32), rng.integers(0, 3, n)
    changes = []
    for model in editions:
        before = {name: p.copy() for name, p in model.parameters().items()}
        train_step(model, sn.SoftmaxCrossEntropy(), sn.SGD(1.0), x, y)
        changes.append({name: p - before[name] for name, p in model.parameters().items()})
    for name in changes[0]:
        assert_same(name, *(change[name] for change in changes), tolerance_for(editions[0]))


def test_the_argmax_is_the_first_of_equal_maxima():
    layers = lambda: [sn.Conv2D(4, 1), sn.MaxPool2D(2)]  # noqa: E731
    compiled, _, textbook = three_editions(layers, (8, 8, 3))
    for model in (compiled, textbook):
        model.layers[0].W[...] = np.round(model.layers[0].W * 4) / 4  # numbers of few bits: sums are exact in float32
        model.layers[0].b[...] = 0.25
    x = separated((6, 8, 8, 3), 0)
    results = []
    for model in (compiled, textbook):
        y, cache = model.forward_cached(x, model.context(True))
        results.append((y, *model.backward(np.ones_like(y) * np.arange(4, dtype=y.dtype), cache)))
    (y, dx, grads), (y64, dx64, grads64) = results
    np.testing.assert_allclose(y, y64, atol=1e-6)
    np.testing.assert_allclose(dx, dx64, atol=1e-6)
    np.testing.assert_allclose(grads["0.conv2d.W"], grads64["0.conv2d.W"], atol=1e-4)


@pytest.mark.parametrize("layers", [
    lambda: [sn.Conv2D(20, 3), sn.ReLU(), sn.MaxPool2D(2)],  # Winograd
    lambda: [sn.Conv2D(20, 5), sn.MaxPool2D(2)],  # direct
    lambda: [sn.Conv2D(20, 3), sn.ReLU()],
    lambda: [sn.BatchNorm(), sn.ReLU(), sn.MaxPool2D(2)],
])  # fmt: skip
@pytest.mark.parametrize("channels", [1, 16])
@pytest.mark.parametrize("where", [(2, 2), (2, 3), (3, 2), (3, 3), (0, 0), (0, 9), (9, 0), (9, 9), (4, 9), (9, 4)])
def test_a_nan_in_the_image_reaches_every_output_that_it_reaches_in_the_textbook(layers, channels, where):
    """Also from the outermost rows and columns, which meet only the last positions of a window.

    Winograd's transforms spread it over a whole tile: it may reach more.
    """
    x = np.ones((1, 10, 10, channels), np.float32)
    x[0, where[0], where[1]] = np.nan
    found = []
    for engine in ("numba", "numpy"):
        model = sn.Sequential(layers(), (10, 10, channels), engine=engine)
        trained, _ = model.forward_cached(x, model.context(training=True))
        found.append((np.isnan(model.forward(x)), np.isnan(trained)))
    assert found[1][0].any()
    if isinstance(model.layers[0], sn.Conv2D):  # else the statistics of the batch are NaN too, and all outputs
        assert all(got[exact].all() for got, exact in zip(*found, strict=True))


def test_rows_and_columns_that_a_pool_drops_get_no_gradient():
    compiled, *_ = three_editions(lambda: [sn.Conv2D(3, 1), sn.ReLU(), sn.MaxPool2D(2)], (5, 7, 2))
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 2)).astype(np.float32)
    y, cache = compiled.forward_cached(x, compiled.context(True))
    dx, _ = compiled.backward(np.ones_like(y), cache)
    assert not dx[:, 4].any() and not dx[:, :, 6].any()
    assert dx[:, :4, :6].any()


def test_dropout_draws_the_textbooks_mask():
    layers = lambda: [sn.Dropout(0.4), sn.Flatten(), sn.Dropout(0.2), sn.Dense(5)]  # noqa: E731
    assert_equal_to_textbook(layers, (6, 5, 4), 7)


def test_a_users_own_layer_runs_between_compiled_ones():
    class Scale(sn.Layer):
        params = ("s",)

        def build(self, input_shape, rng):
            self.s = np.full(input_shape[-1], 0.5, self.dtype)
            return input_shape

        def forward(self, x, ctx):
            return x * self.s, x

        def backward(self, dy, x):
            return dy * self.s, {"s": (dy * x).sum(axis=tuple(range(x.ndim - 1)))}

    compiled = assert_equal_to_textbook(
        lambda: [sn.Conv2D(4, 3), sn.ReLU(), Scale(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(3)], (9, 9, 2), 4
    )
    assert any(isinstance(stage.op, UncompiledLayer) for stage in compiled.backend.stages)


@pytest.mark.parametrize("loss", [sn.SoftmaxCrossEntropy(), sn.SoftmaxCrossEntropy(label_smoothing=0.1)])
def test_training_steps_of_both_engines_coincide(loss):
    def layers():
        return [
            sn.Rescale(),
            sn.Conv2D(8, 3),
            sn.ReLU(),
            sn.MaxPool2D(2),
            sn.Conv2D(8, 3, padding="same"),
            sn.ReLU(),
            sn.BatchNorm(),
            sn.MaxPool2D(2),
            sn.Flatten(),
            sn.Dropout(0.3),
            sn.Dense(16),
            sn.ReLU(),
            sn.Dense(5),
        ]

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (600, 12, 12, 1), np.uint8), rng.integers(0, 5, 600)
    losses = []
    for engine, dtype in (("numba", "float32"), ("numpy", "float64")):
        model, optimizer = sn.Sequential(layers(), (12, 12, 1), 1, engine, dtype), sn.Adam(1e-3)
        steps = [slice(i, i + 100) for i in range(0, 600, 100)]
        losses.append([train_step(model, loss, optimizer, x[rows], y[rows]) for rows in steps])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [
    sn.SGD(0.1), sn.SGD(0.1, momentum=0.9), sn.SGD(0.1, momentum=0.9, nesterov=True), sn.RMSprop(0.01),
    sn.Adam(0.01), sn.AdamW(0.01, weight_decay=0.1),
    sn.SGD(0.1, 0.9, clip_norm=30.0), sn.Adam(0.01, clip_norm=1.0), sn.AdamW(0.01, clip_norm=1e9),
], ids=repr)  # fmt: skip
def test_compiled_optimizers_equal_the_textbook(optimizer):
    layers, rng = [sn.Dense(70), sn.Dense(5)], np.random.default_rng(0)
    models = [sn.Sequential(copy.deepcopy(layers), (300,), engine=engine, dtype=dtype)
              for engine, dtype in (("numba", "float32"), ("numpy", "float64"))]  # fmt: skip
    optimizers = [optimizer, copy.deepcopy(optimizer)]
    models[1].parameters()["0.dense.W"][...] = models[0].layers[0].W
    models[1].parameters()["1.dense.W"][...] = models[0].layers[1].W
    for _ in range(5):
        x, y = rng.normal(size=(48, 300)).astype(np.float32), rng.integers(0, 5, 48)
        for model, own in zip(models, optimizers, strict=True):
            train_step(model, sn.SoftmaxCrossEntropy(), own, x, y)
    for got, exact in zip(*(model.parameters().values() for model in models), strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-3, atol=2e-5)


BLOCKS = {
    "identity": lambda: [sn.Residual([conv(8), sn.BatchNorm(), sn.ReLU(), conv(8), sn.BatchNorm()]), sn.ReLU()],
    "projection": lambda: [
        sn.Residual([conv(17, 2), sn.BatchNorm(), sn.ReLU(), conv(17)], shortcut=sn.Conv2D(17, 1, stride=2))
    ],
    "nested": lambda: [sn.Residual([sn.Residual([conv(8), sn.LeakyReLU(0.2)]), sn.ReLU()])],
    "with a layer that has no kernels": lambda: [sn.Residual([conv(8), sn.Softmax(), conv(8)]), sn.ReLU()],
}


def conv(filters, stride=1):
    return sn.Conv2D(filters, 3, stride=stride, padding="same")


@pytest.mark.parametrize("name", BLOCKS)
def test_residual_blocks_equal_the_textbook(name):
    def layers():
        return [conv(8), *BLOCKS[name](), sn.GlobalAvgPool2D(), sn.Dense(4)]

    assert_equal_to_textbook(layers, (9, 9, 3), 6)


@pytest.mark.parametrize("name", BLOCKS)
def test_training_with_blocks_gives_the_same_bits_on_any_number_of_threads(name, rng):
    x, y = rng.integers(0, 256, (40, 9, 9, 3), np.uint8), rng.integers(0, 4, 40)
    seen = []
    for threads in (1, 2, 3):
        sn.set_threads(threads)
        layers = [sn.Rescale(), conv(8), *BLOCKS[name](), sn.GlobalAvgPool2D(), sn.Dense(4)]
        model = sn.Sequential(layers, (9, 9, 3), seed=1)
        model.fit(x, y, epochs=2, batch_size=40, verbose=False)
        seen.append([array.tobytes() for array in model.get_weights()])
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_relu_that_stands_alone_equals_the_textbook(slope):
    def layers():
        return [sn.LeakyReLU(slope) if slope else sn.ReLU(), sn.Dense(3), sn.Dropout(0.0), sn.ReLU()]

    assert_equal_to_textbook(layers, (7,), 5)
