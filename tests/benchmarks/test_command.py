"""What all benchmarks share: which turns count, and a mistake in a flag is one line and exit code 2."""

import command
import pytest


def turns(*others):
    return [{"seconds": float(i + 1), "others": busy} for i, busy in enumerate(others)]


def test_a_disturbed_turn_does_not_count_if_three_others_remain():
    row = command.row("net", "scratchnet", turns(0.0, 0.9, 0.0, 0.01))
    assert row["runs"] == [1.0, 3.0, 4.0] and row["left_out"] == 1 and row["others"] == 0.01


def test_if_fewer_remain_all_count_and_the_row_says_how_busy_it_was():
    row = command.row("net", "scratchnet", turns(0.0, 0.9, 0.8))
    assert row["runs"] == [1.0, 2.0, 3.0] and row["left_out"] == 0 and row["others"] == 0.9


def test_where_nobody_knows_what_others_did_every_turn_counts():
    row = command.row("net", "scratchnet", turns(None, None, None), per=0.5)
    assert row["runs"] == [2.0, 4.0, 6.0] and row["others"] is None


def test_a_network_may_come_with_its_batch_size():
    (_, title, batch), (_, _, default) = command.recipes(["two-conv:32", "chollet"])
    assert (title, batch, default) == ("two-conv, batch 32", 32, 128)
    assert [batch for _, _, batch in command.recipes(["all"])] == [batch for _, batch in command.RECIPES]


@pytest.mark.parametrize("flags", ["--nets vgg", "--nets chollet:0", "--nets chollet:x", "--rounds 0", "--threads 0",
                                   "--seeds -1", "--width -1.0"])  # fmt: skip
def test_a_mistake_in_a_flag_is_one_line_and_exit_code_2(flags, capsys):
    parser = command.parser_of(None, nets=["all"], rounds=7, seeds=[0], width=0.5)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(flags.split())
    assert stopped.value.code == 2 and flags.split()[0] in capsys.readouterr().err


def test_a_framework_that_is_not_there_is_named():
    missing, left = command.installed(["scratchnet", "torch-nchw"], {"torch": "/no/such/python"})
    assert (missing, left) == (["torch"], ["scratchnet"])


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "openvino-int8"])
def test_a_benchmark_that_trains_refuses_peers_that_only_predict(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["training.py", "--peers", "scratchnet", name])
    with pytest.raises(SystemExit) as stopped:
        command.parse(None)
    assert stopped.value.code == 2 and f"{name} cannot train" in capsys.readouterr().err


def test_no_default_peer_of_a_training_only_predicts():
    assert all(command.VARIANTS[name].trains for name in command.PEERS)


def test_a_variant_needs_all_its_modules(monkeypatch):
    monkeypatch.setattr(command, "can_import", lambda python, module: module != "onnx")
    missing, left = command.installed(["scratchnet", "openvino"], {})
    assert (missing, left) == (["onnx"], ["scratchnet"])


@pytest.mark.parametrize(("avx2", "has", "left", "words"), [
    (False, {"avx512_bf16"}, ["scratchnet", "openvino", "openvino-bf16"], []),
    (False, {"avx2"}, ["scratchnet", "openvino"], ["openvino-bf16", "lacks an instruction"]),
    (True, {"avx512_bf16"}, ["scratchnet"], ["openvino, openvino-bf16", "256-bit"]),
])  # fmt: skip
def test_what_the_machine_or_the_comparison_forbids_is_left_out_with_a_reason(avx2, has, left, words, monkeypatch):
    monkeypatch.setattr(command, "instructions", lambda: has)
    monkeypatch.setattr(command, "can_import", lambda python, module: True)
    able, reasons = command.available(["scratchnet", "openvino", "openvino-bf16"], {}, avx2)
    assert able == left and all(word in " ".join(reasons) for word in words) and bool(words) == bool(reasons)


def test_another_precision_is_a_framework_of_its_own():
    assert command.row("net", "torch-bf16", turns(None))["framework"] == "PyTorch bfloat16"
    assert command.row("net", "torch-bf16", turns(None))["precision"] == "bfloat16"
    assert "precision" not in command.row("net", "torch-nchw", turns(None))
