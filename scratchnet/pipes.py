"""A program whose reader has gone ends quietly.

`python scripts/evaluate.py RUN | head -3` closes the pipe after three lines. Whoever prints a fourth gets a
BrokenPipeError, which is no error of the program: nobody wants to know any more. What is still in Python's buffer
would raise it once again at the very end; so the output is turned to where everything may be written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

CLOSED_PIPE = 141  # what a shell reports of a program that was ended by SIGPIPE, 128 + 13


def run_script(main: Callable[[], int]) -> int:
    """main()'s exit code; 141, without a word, if whoever reads the output has closed it.

    >>> run_script(lambda: 2)
    2
    """
    try:
        code = main()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
