"""On every instruction set the kernels pass the tests whose names end in on_this_instruction_set."""


def test_all_kernels_are_right(on_instruction_set):
    code, output = on_instruction_set
    assert code == 0 and "10 passed" in output, output[-3000:]
