"""The table of a model: counted by hand."""

import numpy as np

import scratchnet as sn
from scratchnet.summary import kibibytes, rows


def network():
    layers = [sn.Conv2D(4, 3), sn.BatchNorm(), sn.MaxPool2D(2), sn.Flatten(), sn.Dense(10, use_bias=False)]
    return sn.Sequential(layers, (8, 8, 2), engine="numpy")


def test_every_layer_has_its_row():
    table = {row.name: tuple(row)[1:6] for row in rows(network())}
    assert table == {  # output shape, trained, not trained, multiply-adds, bytes of the output in float32
        "0.conv2d": ((6, 6, 4), 3 * 3 * 2 * 4 + 4, 0, 6 * 6 * 4 * 3 * 3 * 2, 6 * 6 * 4 * 4),
        "1.batchnorm": ((6, 6, 4), 8, 8, 0, 6 * 6 * 4 * 4),
        "2.maxpool2d": ((3, 3, 4), 0, 0, 0, 3 * 3 * 4 * 4),
        "3.flatten": ((36,), 0, 0, 0, 36 * 4),
        "4.dense": ((10,), 360, 0, 360, 40),
    }


def test_the_table_adds_up_to_the_arrays():
    model = network()
    table = rows(model)
    assert sum(row.parameters for row in table) == sum(array.size for array in model.parameters().values())
    assert sum(row.untrained for row in table) == sum(array.size for array in model.state().values())


def test_the_printed_table_shows_every_layer_and_the_totals(capsys):
    network().summary()
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line.split()}
    assert lines["0.conv2d"] == ["0.conv2d", "6×6×4", "76", "2,592", "0.6", "KiB"]
    assert lines["total"][1:3] == ["452", "2,952"]
    assert "452 parameters, 444 of them trained" in shown


def test_a_model_of_which_everything_is_trained_does_not_say_so(capsys):
    sn.Sequential([sn.Dense(3)], (4,), engine="numpy").summary()
    assert "15 parameters; multiply-adds and memory per example, forward" in capsys.readouterr().out


def test_a_layer_of_ones_own_has_a_row_too(capsys):
    class Twice(sn.Layer):
        def forward(self, x, ctx):
            return 2 * x, None

    sn.Sequential([Twice()], (4,), engine="numpy").summary()
    assert "0.twice" in capsys.readouterr().out


def test_float64_takes_twice_the_memory():
    single = sn.Sequential([sn.Dense(3)], (4,), engine="numpy")
    double = sn.Sequential([sn.Dense(3)], (4,), dtype=np.float64)
    assert (rows(single)[0].bytes, rows(double)[0].bytes) == (12, 24)


def test_kibibytes_are_1024_bytes():
    assert kibibytes(1536) == "1.5 KiB" and kibibytes(1024 * 1234) == "1,234.0 KiB"


def test_a_compiled_model_says_which_kernels_do_what():
    layers = [
        sn.Conv2D(16, 3),
        sn.ReLU(),
        sn.Conv2D(16, 3),
        sn.ReLU(),
        sn.MaxPool2D(2),
        sn.AvgPool2D(2, 1),
        sn.Flatten(),
    ]
    table = {row.name: row.runs_as for row in rows(sn.Sequential(layers, (14, 14, 1)))}
    assert table["2.conv2d"] == "winograd/sparse"  # 16 channels, 3×3, and a max-pool behind it
    assert table["3.relu"] == table["4.maxpool2d"] == "″"  # done together with the layer above
    assert table["5.avgpool2d"] == "textbook"  # windows that overlap have no compiled edition
