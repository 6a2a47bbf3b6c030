"""Networks of drawn layers compute what PyTorch computes: outputs, dx and every gradient, in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scratchnet as sn

torch = pytest.importorskip("torch")
F = torch.nn.functional


@st.composite
def networks(draw):
    """Layers that keep images images, then a classifier; with blocks, also within blocks."""
    seed = draw(st.integers(0, 10_000))
    body = draw(st.lists(image_layers(), min_size=1, max_size=4))
    pool = draw(st.sampled_from(["flatten", "global"]))
    tail = draw(st.lists(st.sampled_from(sorted(FLAT)), max_size=2))
    return seed, body, pool, tail


BENT = ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softmax", None]
FLAT = {
    "dense": lambda: sn.Dense(5, activation="gelu"), "norm": sn.BatchNorm, "silu": sn.SiLU, "softmax": sn.Softmax,
    "block": lambda: sn.Residual([sn.Dense(6), sn.Tanh()], shortcut=sn.Dense(6, use_bias=False)),
}  # fmt: skip


@st.composite
def image_layers(draw, deep=0):
    """A function that makes a layer for images of at least 3×3."""
    integers, bent = st.integers, draw(st.sampled_from(BENT))
    filters, k, stride, bias = draw(integers(1, 4)), draw(integers(1, 3)), draw(integers(1, 2)), draw(st.booleans())
    same = draw(st.sampled_from(["same", 1, 2]))
    kind = draw(
        st.sampled_from(["conv", "depthwise", "max", "average", "pad", "norm", "bent", "leaky", "block", "block"])
    )
    if kind == "block" and deep < 2:
        inner = draw(st.lists(image_layers(deep + 1), min_size=1, max_size=2))
        return lambda: sn.Residual([*(make() for make in inner), Match(4)], shortcut=[Match(4)])
    return {
        "conv": lambda: sn.Conv2D(filters, k, stride, same, use_bias=bias, activation=bent),
        "depthwise": lambda: sn.DepthwiseConv2D(k, stride, same, filters, use_bias=bias, activation=bent),
        "max": lambda: sn.MaxPool2D(2, stride, padding="same"),
        "average": lambda: sn.AvgPool2D(3, stride, padding="same"),
        "pad": lambda: sn.ZeroPadding2D(((1, 0), (2, 1))), "norm": lambda: sn.BatchNorm(epsilon=1e-2), "bent": sn.ELU,
        "leaky": lambda: sn.LeakyReLU(0.2),
    }.get(kind, sn.GELU)  # fmt: skip


class Match(sn.Layer):
    """The average of each channel, of the first few: what makes two ways alike, whatever they did."""

    def __init__(self, channels):
        self.channels = channels

    def build(self, input_shape, rng):
        return (1, 1, self.channels)

    def forward(self, x, ctx):
        means = x.mean(axis=(1, 2), keepdims=True)
        return np.concatenate([means] * self.channels, axis=3)[..., : self.channels], x.shape

    def backward(self, dy, shape):
        wide = np.zeros((*dy.shape[:3], shape[3] * self.channels))
        wide[..., : self.channels] = dy
        means = wide.reshape(*dy.shape[:3], self.channels, shape[3]).sum(axis=3) / (shape[1] * shape[2])
        return np.broadcast_to(means, shape).copy(), {}


def through(layer, x, params, prefix):
    """The layer in PyTorch, on NHWC tensors. params: all tensors by name."""
    own = {name.removeprefix(prefix): tensor for name, tensor in params.items() if name.startswith(prefix)}
    nchw, nhwc = (lambda t: t.permute(0, 3, 1, 2)), (lambda t: t.permute(0, 2, 3, 1))
    if isinstance(layer, sn.Conv2D | sn.DepthwiseConv2D):
        W = own["W"].permute(3, 2, 0, 1).contiguous()
        groups = 1
        if isinstance(layer, sn.DepthwiseConv2D):
            groups = x.shape[3]
            W = own["W"].permute(2, 3, 0, 1).reshape(-1, 1, *layer.kernel_size)
        return nhwc(F.conv2d(padded(nchw(x), layer.windows), W, own.get("b"), stride=layer.stride, groups=groups))
    if isinstance(layer, sn.MaxPool2D):
        return nhwc(F.max_pool2d(padded(nchw(x), layer.windows, -torch.inf), layer.pool_size, layer.stride))
    if isinstance(layer, sn.AvgPool2D):
        images, size = padded(nchw(x), layer.windows), layer.pool_size
        ones = padded(torch.ones_like(nchw(x)), layer.windows)
        return nhwc(F.avg_pool2d(images, size, layer.stride) / F.avg_pool2d(ones, size, layer.stride))
    if isinstance(layer, sn.BatchNorm):
        axes = tuple(range(x.ndim - 1))
        var, mean = torch.var_mean(x, axes, correction=0)
        return own["gamma"] * (x - mean) / torch.sqrt(var + layer.epsilon) + own["beta"]
    if isinstance(layer, sn.ZeroPadding2D):
        (top, bottom), (left, right) = layer.padding
        return nhwc(F.pad(nchw(x), (left, right, top, bottom)))
    if isinstance(layer, sn.Dense):
        return x @ own["W"] + (own["b"] if layer.use_bias else 0)
    if isinstance(layer, sn.Residual):
        return run(layer.layers, x, params, prefix) + run(layer.way, x, params, f"{prefix}shortcut.")
    if isinstance(layer, Match):
        return torch.cat([x.mean((1, 2), keepdim=True)] * layer.channels, 3)[..., : layer.channels]
    return {
        "Flatten": lambda: x.reshape(len(x), -1), "GlobalAvgPool2D": lambda: x.mean((1, 2)), "ReLU": lambda: F.relu(x),
        "LeakyReLU": lambda: F.leaky_relu(x, layer.slope), "ELU": lambda: F.elu(x, layer.alpha),
        "GELU": lambda: F.gelu(x), "SiLU": lambda: F.silu(x), "Sigmoid": lambda: torch.sigmoid(x),
        "Tanh": lambda: torch.tanh(x), "Softmax": lambda: torch.softmax(x, -1),
    }[type(layer).__name__]()  # fmt: skip


def padded(images, windows, value=0.0):
    return F.pad(images, (windows.left, windows.right, windows.top, windows.bottom), value=value).contiguous()


def run(layers, x, params, prefix=""):
    for i, layer in enumerate(layers):
        x = through(layer, x, params, f"{prefix}{i}.{type(layer).__name__.lower()}.")
    return x


@settings(max_examples=150)
@given(networks())
def test_outputs_and_gradients_are_pytorchs(network):
    seed, body, pool, tail = network
    flat = sn.Flatten() if pool == "flatten" else sn.GlobalAvgPool2D()
    layers = [*(make() for make in body), flat, *(FLAT[name]() for name in tail), sn.Dense(3, use_bias=False)]
    model, rng = sn.Sequential(layers, (6, 5, 2), seed=seed, dtype="float64"), np.random.default_rng(seed)
    for array in model.parameters().values():
        array += 0.1 * rng.standard_normal(array.shape)
    x, dy = rng.standard_normal((4, 6, 5, 2)), rng.standard_normal((4, 3))
    y, caches = model.forward_cached(x, sn.Context(training=True))
    dx, grads = model.backward(dy, caches)
    tx, params = torch.tensor(x, requires_grad=True), {}
    for name, array in model.parameters().items():
        params[name] = torch.tensor(array, requires_grad=True)
    ty = run(model.layers, tx, params)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-8, atol=1e-9)
    expected = {"x": tx.grad, **{name: tensor.grad for name, tensor in params.items()}}
    for name, gradient in {"x": dx, **grads}.items():
        theirs = np.zeros_like(gradient) if expected[name] is None else expected[name].numpy()
        scale = max(1.0, float(np.abs(theirs).max(initial=0)))
        np.testing.assert_allclose(gradient / scale, theirs / scale, rtol=0, atol=1e-7, err_msg=name)
