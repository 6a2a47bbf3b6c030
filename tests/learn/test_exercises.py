"""The grader: the stub fails, the library's own lines pass, and every planted mistake is named."""

import ast

import numpy as np
import pytest

from scratchnet.learn import EXERCISES, check, compare
from scratchnet.learn.verdict import difference, hint
from tests.learn.planted import PLANTED, SHORT_READER, SOLUTIONS

every_exercise = pytest.mark.parametrize("number", EXERCISES)
MISTAKES = [(number, name) for number, solution in PLANTED.items() for name in solution.planted]


def judged(tmp_path, number, text, seconds=60.0):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return check(EXERCISES[number], path, seconds)


@every_exercise
def test_the_stub_fails_and_is_told_so(tmp_path, number):
    verdict = judged(tmp_path, number, EXERCISES[number].stub_text())
    assert not verdict.passed and verdict.reason == "NotImplementedError"
    assert f"{EXERCISES[number].function} is still the stub" in str(verdict)


@every_exercise
def test_the_librarys_own_lines_pass(tmp_path, number):
    verdict = judged(tmp_path, number, SOLUTIONS[number].text())
    assert verdict.passed, str(verdict)


def test_another_right_solution_passes(tmp_path):
    assert judged(tmp_path, 1, SHORT_READER.text()).passed


@pytest.mark.parametrize(("number", "name"), MISTAKES)
def test_a_planted_mistake_fails_and_is_named(tmp_path, number, name):
    verdict = judged(tmp_path, number, PLANTED[number].wrong(name))
    assert not verdict.passed and verdict.reason == name, str(verdict)
    if name != "law":
        (mistake,) = (mistake for mistake in EXERCISES[number].mistakes if mistake.__name__ == name)
        assert str(verdict).endswith(f"hint: {hint(mistake)}")


@every_exercise
def test_an_exercise_has_at_least_four_planted_mistakes_and_every_known_one_differs_from_the_textbook(number):
    exercise = EXERCISES[number]
    assert len(PLANTED[number].planted) >= 4
    known = {mistake.__name__ for mistake in exercise.mistakes}
    assert set(PLANTED[number].planted) - {"law"} <= known and len(known) == len(exercise.mistakes) >= 4


@every_exercise
def test_the_cases_are_the_same_at_every_call_and_the_textbook_leaves_them_as_they_are(number):
    exercise = EXERCISES[number]
    once, twice = exercise.drawn(), exercise.drawn()
    assert len(once) >= 20
    for case, again in zip(once, twice, strict=True):
        exercise.textbook(*case)
        for one, other in zip(case, again, strict=True):
            assert type(one) is type(other) and (not isinstance(one, np.ndarray) or np.array_equal(one, other))


@every_exercise
def test_the_textbooks_gradients_agree_with_finite_differences(number):
    exercise = EXERCISES[number]
    for case in exercise.drawn()[:12]:
        found = dict(zip(exercise.outputs, compare.as_arrays(exercise.textbook(*case)), strict=True))
        for name, argument in exercise.gradients.items():
            for index in list(np.ndindex(found[name].shape))[:8]:
                slope = difference(exercise, case, argument, index)
                assert slope is None or slope == pytest.approx(found[name][index], abs=1e-6 * (1 + abs(slope)))


@every_exercise
def test_the_first_number_in_the_name_of_a_stub_is_its_exercise_and_it_is_a_program(number):
    exercise = EXERCISES[number]
    digits = "".join(c if c.isdigit() else " " for c in exercise.file_name).split()
    assert int(digits[0]) == number
    (function,) = (node for node in ast.parse(exercise.stub_text()).body if isinstance(node, ast.FunctionDef))
    assert function.name == exercise.function and ast.get_docstring(function)


# What a learner's file may do


def dense(body):
    return f"import numpy as np\n\ndef dense_backward(dy, x, W):\n    {body}\n"


@pytest.mark.parametrize(
    ("text", "reason", "says"),
    [
        (dense("while True: pass"), "time", "it did not end within 3 seconds: is there an endless loop?"),
        ("while True: pass", "time", "while it was loaded"),
        ("def dense_backward(dy, x, W)\n    return dy", "SyntaxError", "mine.py, line 1: SyntaxError: expected ':'"),
        ("from scratchnet.layers import Dense\n", "ImportError", "import of scratchnet: an exercise is solved"),
        (dense("import scratchnet as sn; return sn"), "ImportError", "Write dense_backward with NumPy alone"),
        (dense("return None"), "TypeError", "the function returned None: a return is missing"),
        (dense("return 'dx', 'dW', 'db'"), "TypeError", "expected arrays of numbers"),
        (dense("dy *= 2; return dy @ W.T, x.T @ dy, dy.sum(0)"), "ValueError", "changed one of its arguments in place"),
        (dense("return dy @ W.T, x.T @ dy"), "", "expected 3 arrays (dx, dW, db), the function returned 2"),
        (dense("return dy @ W.T, x.T @ dy, dy.sum()"), "", "db has the shape (), expected ("),
        (dense("return dy / 0"), "", "the function returned 1"),
        (dense("return undefined"), "NameError", "mine.py, line 4: NameError: name 'undefined' is not defined"),
        ("import numpy\n", "NameError", "there is no function dense_backward in the file"),
        (dense("import os; os._exit(3)"), "crash", "its process ended with code 3"),
        (dense("raise SystemExit(1)"), "SystemExit", "line 4: SystemExit: 1"),
        (dense("return dy @ W.T, 3 * x.T @ dy, dy.sum(axis=0)"), "", "finite differences give"),
        (dense("print('shape', dy.shape); raise ValueError('mine')"), "ValueError", "its output: shape (1, "),
        (dense("return [0] * 10**12"), "MemoryError", "MemoryError"),
    ],
)  # fmt: skip
def test_what_happens_to_a_file_is_told(tmp_path, text, reason, says):
    verdict = judged(tmp_path, 5, text, seconds=3.0 if reason == "time" else 60.0)
    assert not verdict.passed and verdict.reason == reason and says in str(verdict), str(verdict)


def test_the_smallest_case_that_fails_is_shown_with_a_map_and_a_table(tmp_path):
    text = SOLUTIONS[11].text().replace("+= cols[:, :, :, i, j]", "= cols[:, :, :, i, j]")
    said = str(judged(tmp_path, 11, text))
    assert "cases differ from the textbook. The smallest:\n    cols (" in said
    assert "(✗ differs)\n" in said and "entry" in said and "yours" in said and "textbook" in said


def test_a_mistake_in_one_of_several_outputs_is_named(tmp_path):
    text = (
        SOLUTIONS[12].text().replace('return dx, grads["W"], grads["b"]', 'return dx, grads["W"] / len(x), grads["b"]')
    )
    verdict = judged(tmp_path, 12, text)
    assert verdict.reason == "mean_over_examples" and "dx: right" in verdict.lines and "db: right" in verdict.lines


def test_small_arguments_are_shown_in_full(tmp_path):
    said = str(judged(tmp_path, 6, "def maxpool_backward(dy, x, size):\n    return x * 0\n"))
    assert "\n    x = [[1. 2.]\n         [2. 1.]]\n" in said, said


def test_a_right_file_may_import_an_earlier_exercise_beside_it(tmp_path):
    (tmp_path / "earlier.py").write_text("def times(a, b):\n    return a @ b\n")
    text = "from earlier import times\n\n" + dense("return times(dy, W.T), times(x.T, dy), dy.sum(axis=0)")
    assert judged(tmp_path, 5, text).passed


def test_a_result_with_nan_differs_from_a_number():
    assert compare.differs(np.array([np.nan, 1.0]), np.array([1.0, 1.0])).tolist() == [True, False]
    assert compare.differs(np.array([np.inf]), np.array([1.0])).all()
