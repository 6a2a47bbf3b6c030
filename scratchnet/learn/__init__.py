"""Exercises that check themselves: `scratchnet learn N` writes a file with a hole, `--check` says where it is wrong.

Read in this order:

    exercise    what an exercise is: a stub, the textbook, drawn cases, and the known mistakes
    exercises/  fourteen of them, a file each
    child       the program that runs the learner's file: in a process of its own, without this package
    sandbox     starts it, with a time limit, and says how it ended
    compare     where two results differ, as a table and a map
    verdict     the answer: right, or the smallest case that is wrong, and the hint that fits
    solution    the lines of the library, for an exercise or a lesson
    progress    which exercises are solved, in the user's data folder

The file that runs is the learner's own. It is compared with the library's layers, and its gradients with finite
differences. A wrong result that equals the result of a known mistake is named: a kept wrong solution is a function
here, and its docstring is the hint.
"""

from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises import EXERCISES
from scratchnet.learn.solution import lines
from scratchnet.learn.verdict import Verdict, check

__all__ = ["EXERCISES", "Exercise", "Verdict", "check", "lines"]
