"""save_c: a model as one file of C99, for machines without Python.

    int digit(const unsigned char pixels[784]);                              the class
    void probabilities(const unsigned char pixels[784], float p[10]);        of every class

Nothing is allocated: the values between the layers live in a few static arrays, as large as the largest value that is
ever in them. A layer that only changes numbers changes them in place; another one writes into an array that is free,
and its input's array is free from then on. A residual block keeps the array of its input until the sum.

The static arrays are shared by all calls, so only one thread may call at a time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.interop.c_functions import FUNCTIONS
from scratchnet.interop.walk import check_classifier, check_exportable, class_names
from scratchnet.keywords import explained
from scratchnet.layers import Layer
from scratchnet.layers.base import Shape
from scratchnet.layers.row import prefixes
from scratchnet.model import Sequential

PROGRAM = """/* A network of {parameters} parameters in C99. Written by scratchnet.

   int digit(const unsigned char pixels[{pixels}]);                         the class, 0 to {last}
   void probabilities(const unsigned char pixels[{pixels}], float p[{classes}]);   of every class

   pixels: {sizes}, row by row, channels last, 0 to 255. One thread at a time: the buffers are static.

   cc -std=c99 -O2 -c {name}                                                for another program
   cc -std=c99 -O2 -DDIGIT_MAIN {name} -lm -o digit && ./digit < pixels     a class and its probabilities a line */

#include <math.h>
#ifdef DIGIT_MAIN
#include <stdio.h>
#endif

int digit(const unsigned char pixels[{pixels}]);
void probabilities(const unsigned char pixels[{pixels}], float p[{classes}]);

const char *const class_names[{classes}] = {{{names}}};

{functions}
/* The weights, at the end of the file. */
{declared}
void probabilities(const unsigned char pixels[{pixels}], float p[{classes}])
{{
{buffers}
    for (int i = 0; i < {pixels}; i++)
        {first}[i] = (float)pixels[i];
{lines}
    softmax({output}, {classes}, {classes});
    for (int k = 0; k < {classes}; k++)
        p[k] = {output}[k];
}}

int digit(const unsigned char pixels[{pixels}])
{{
    float p[{classes}];
    int best = 0;
    probabilities(pixels, p);
    for (int k = 1; k < {classes}; k++)
        best = p[k] > p[best] ? k : best;
    return best;
}}

#ifdef DIGIT_MAIN
int main(void)
{{
    static unsigned char pixels[{pixels}];
    float p[{classes}];
    while (fread(pixels, sizeof pixels, 1, stdin) == 1) {{
        probabilities(pixels, p);
        printf("%d", digit(pixels));
        for (int k = 0; k < {classes}; k++)
            printf(" %.9g", p[k]);
        printf("\\n");
    }}
    return 0;
}}
#endif

{weights}"""


@explained
def save_c(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write the file `path`, which compiles with any C99 compiler and the mathematical library (-lm).

    >>> save_c(model, "digits.c")
    >>> "int digit(const unsigned char pixels[784])" in Path("digits.c").read_text()
    True
    """
    path = Path(path).expanduser()
    if path.suffix != ".c":
        raise ValueError(f"{path}: the name of a C file is needed, for instance {path.with_suffix('.c')}")
    check_exportable(model.layers, [*WRITERS, "Residual"], "C")
    check_classifier(model, "C")
    for name, array in model.network.arrays("params", "state").items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers that are not finite, which C constants cannot be")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(program(model, path.name).encode())


def program(model: Sequential, name: str) -> str:
    """The text of the file."""
    made = Statements(math.prod(model.input_shape))
    first = made.current
    made.layers(model.layers, model.names, model.shapes)
    arrays = {constant(name): array for name, array in model.network.arrays("params", "state").items()}
    constants = [f"static const float {name}[{a.size}] = {{\n{numbers(a)}\n}};\n" for name, a in arrays.items()]
    lines = "".join(f"    {line}\n" for line in made.lines)
    used = {name for name in FUNCTIONS if f"    {name}(" in lines} | {"softmax"}
    return PROGRAM.format(
        parameters=f"{model.count_params():,}", pixels=math.prod(model.input_shape), classes=model.shapes[-1][0],
        last=model.shapes[-1][0] - 1, sizes="×".join(map(str, model.input_shape)), name=name,
        names=", ".join(map(c_text, class_names(model))), first=f"v{first}", output=f"v{made.current}",
        functions="\n".join(code for name, code in FUNCTIONS.items() if name in used), lines=lines.rstrip("\n"),
        declared="".join(f"static const float {name}[{array.size}];\n" for name, array in arrays.items()),
        buffers="".join(f"    static float v{i}[{size}];\n" for i, size in enumerate(made.sizes)).rstrip("\n"),
        weights="\n".join(constants),
    )  # fmt: skip


def constant(name: str) -> str:
    """The name of an array in C.

    >>> constant("3.residual.shortcut.0.conv2d.b")
    'w_3_residual_shortcut_0_conv2d_b'
    """
    return f"w_{name.replace('.', '_')}"


def c_text(text: str) -> str:
    """A string literal; what is not plain ASCII as the octal numbers of its bytes in UTF-8."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'


def numbers(array: np.ndarray) -> str:
    """The numbers of an array, so that C reads the same float32: nine digits are enough."""
    texts = [f"{float(value):.9g}" for value in array.astype(np.float32).reshape(-1)]
    texts = [f"{text}f" if "." in text or "e" in text else f"{text}.0f" for text in texts]
    rows = (texts[i : i + 8] for i in range(0, len(texts), 8))
    return ",\n".join("    " + ", ".join(row) for row in rows)


class Statements:
    """The lines of C for layers in a row, and the arrays in which their values are.

    current: the number of the array with the value that the next layer reads. held: those that are needed later.
    """

    def __init__(self, size: int):
        self.sizes, self.current, self.lines = [size], 0, list[str]()
        self.held: list[int] = []

    def call(self, function: str, *arguments: Any) -> None:
        """A line that calls a function."""
        self.lines.append(f"{function}({', '.join(map(str, arguments))});")

    def in_place(self, function: str, *arguments: Any) -> None:
        """A function that changes the current value."""
        self.call(function, f"v{self.current}", *arguments)

    def moved(self, size: int) -> tuple[str, str]:
        """The array of the current value, and another one, from now on the current one, of at least this size."""
        free = next((i for i in range(len(self.sizes)) if i != self.current and i not in self.held), len(self.sizes))
        if free == len(self.sizes):
            self.sizes.append(0)
        self.sizes[free] = max(self.sizes[free], size)
        source, self.current = self.current, free
        return f"v{source}", f"v{free}"

    def layers(self, layers: Sequence[Layer], names: Sequence[str], shapes: Any) -> None:
        """The lines of these layers, each fed by the one before."""
        for layer, name, before, after in zip(layers, names, shapes[:-1], shapes[1:], strict=True):
            if type(layer).__name__ == "Residual":
                self.residual(layer, name, before, after)
            else:
                WRITERS[type(layer).__name__](self, layer, name, before, after)

    def residual(self, layer: Any, name: str, before: Shape, after: Shape) -> None:
        """The branch on a copy of x, the way around on x itself, and their sum."""
        start = self.current
        self.held.append(start)
        size = math.prod(before)
        x, y = self.moved(size)
        self.call("copy", x, y, size)
        self.layers(layer.layers, [f"{name}.{prefix}" for prefix in prefixes(layer.layers)], layer.shapes)
        branch = self.current
        self.held[-1], self.current = branch, start
        self.layers(layer.way, [f"{name}.shortcut.{prefix}" for prefix in prefixes(layer.way)], layer.way_shapes)
        self.held.pop()
        self.in_place("add", f"v{branch}", math.prod(after))


# a function for each class of layer: (statements, layer, name, input shape, output shape)


def window(layer: Any) -> tuple[int, ...]:
    """k_h, k_w, stride_h, stride_w, top, left."""
    win = layer.windows
    return win.k_h, win.k_w, win.stride_h, win.stride_w, win.top, win.left


def weights(layer: Any, name: str) -> tuple[str, str]:
    """The names of W and b; 0 where there is no bias."""
    return constant(f"{name}.W"), constant(f"{name}.b") if layer.use_bias else "0"


def conv(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
    """A convolution, into another array."""
    x, y = c.moved(math.prod(after))
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    last = layer.depth_multiplier if depthwise else after[2]
    function = "depthwise_conv2d" if depthwise else "conv2d"
    c.call(function, x, *before, y, *after[:2], last, *window(layer), *weights(layer, name))


def pool(function: str) -> Any:
    """A pooling function, into another array."""

    def write(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
        x, y = c.moved(math.prod(after))
        c.call(function, x, *before, y, *after[:2], *window(layer))

    return write


def border(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
    """Padding, or with negative numbers cropping."""
    crop = type(layer).__name__ == "Cropping2D"
    top, left = (-b for b in layer.border) if crop else (side[0] for side in layer.padding)
    x, y = c.moved(math.prod(after))
    c.call("pad2d", x, *before, y, *after[:2], top, left)


def global_average(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
    """The mean of each channel."""
    x, y = c.moved(after[0])
    c.call("global_avg_pool2d", x, before[0] * before[1], before[2], y)


def dense(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
    """A matrix product."""
    x, y = c.moved(after[0])
    c.call("dense", x, *before, y, *after, *weights(layer, name))


def batch_norm(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
    """In place, by the running statistics."""
    arrays = [constant(f"{name}.{array}") for array in ("gamma", "beta", "running_mean", "running_var")]
    c.in_place("batch_norm", math.prod(before), before[-1], *arrays, number(layer.epsilon))


def number(value: float) -> str:
    """A float constant."""
    return numbers(np.array([value])).strip()


def simple(function: str, *names: str) -> Any:
    """A function of each number, with the layer's arguments of these names."""

    def write(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
        c.in_place(function, math.prod(before), *(number(getattr(layer, argument)) for argument in names))

    return write


def nothing(c: Statements, layer: Any, name: str, before: Shape, after: Shape) -> None:
    """Flatten and Dropout: the numbers stay where they are."""


WRITERS: dict[str, Any] = {
    "Rescale": simple("rescale", "scale", "offset"), "Cropping2D": border, "ZeroPadding2D": border, "Conv2D": conv,
    "DepthwiseConv2D": conv, "MaxPool2D": pool("max_pool2d"), "AvgPool2D": pool("avg_pool2d"),
    "GlobalAvgPool2D": global_average, "Dense": dense, "BatchNorm": batch_norm, "ReLU": simple("relu"),
    "LeakyReLU": simple("leaky_relu", "slope"), "ELU": simple("elu", "alpha"), "GELU": simple("gelu"),
    "SiLU": simple("silu"), "Sigmoid": simple("sigmoid"), "Tanh": simple("tanh_layer"), "Flatten": nothing,
    "Softmax": lambda c, layer, name, before, after: c.in_place("softmax", math.prod(before), before[-1]),
    "Dropout": nothing,
}  # fmt: skip
