"""How a program ends: its exit code, and its last message.

0 success                       130 after Ctrl-C (128 + SIGINT)
1 it ran with a bad result      143 after SIGTERM (128 + SIGTERM)
2 a wrong input                 141 the output pipe was closed (128 + SIGPIPE; see `pipes`)
"""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Sequence

from scratchnet.divergence import TrainingDivergedError
from scratchnet.world import shared_world

CALLS = ("scratchnet", "python -m scratchnet")


def exit_code(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap main: an input error becomes one line on stderr and exit code 2, divergence one line and exit code 1.

    >>> @exit_code
    ... def main(argv: Sequence[str] | None = None):
    ...     raise ValueError("epochs: expected at least 1, got 0")  # prints "error: epochs: ..."
    >>> main()
    2
    """

    @functools.wraps(main)
    def called(argv: Sequence[str] | None = None) -> int:
        try:
            code, said = main(argv), ""
        except BrokenPipeError:
            raise
        except (TrainingDivergedError, ValueError, OSError, ImportError) as error:
            code, said = 1 if isinstance(error, TrainingDivergedError) else 2, str(error)
        return shared_world().leave(code, said)

    return called


def stoppable(program: Callable[[], int], say: Callable[[], None]) -> int:
    """The exit code of program(). After Ctrl-C (130) and SIGTERM (143), say() prints how to resume.

    >>> def program():
    ...     raise KeyboardInterrupt
    >>> stoppable(program, lambda: print("stopped; the same command resumes"))
    stopped; the same command resumes
    130
    """
    former = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return program()
    except (KeyboardInterrupt, SystemExit) as stop:
        if shared_world().rank == 0:
            say()
        return 130 if isinstance(stop, KeyboardInterrupt) else 143
    finally:
        signal.signal(signal.SIGTERM, former)


def as_typed(program: str) -> list[str]:
    """The words that call a program, in the same form as the current call.

    >>> as_typed("lr_find")
    ['python', 'scripts/lr_find.py']
    """
    for call in CALLS:
        if sys.argv[0].startswith(f"{call} "):  # set by `commands.main`
            return [*call.split(), program.replace("_", "-")]
    return ["python", f"scripts/{program}.py"]
