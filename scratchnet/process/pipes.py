"""Output to any terminal, file or pipe: characters that cannot be encoded, and pipes that are closed.

An output may support few characters. `PYTHONIOENCODING=cp1252`, a pipe on Windows or an old terminal have no ✓, and
Python would end the program with a UnicodeEncodeError during training. Such characters are replaced by others: ✓ by ok,
× by x, é by e, and characters without a similar one by their number, as \\u732b. A script does this for its standard
streams once, in `run_script`. The library's own prints, in a program whose streams must not be changed, go through
`say`, `console` and `printable`.

A reader may also close the pipe. `python scripts/evaluate.py RUN | head -3` closes it after three lines; the fourth one
is a BrokenPipeError, which is no error of the program. The rest of Python's buffer would raise it again at exit, so the
output is redirected to the null device.
"""

from __future__ import annotations

import codecs
import os
import shlex
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import Any

CLOSED_PIPE = 141  # what a shell reports of a program that was ended by SIGPIPE, 128 + 13
SPELLED = "scratchnet.spelled"  # the name of `spell_out` among Python's error handlers
SUBSTITUTES = {
    "✓": "ok", "✗": "not ok", "·": "-", "″": '"', "×": "x", "→": "->", "≈": "~", "≤": "<=", "≥": ">=", "−": "-",
    "–": "-", "—": "-", "±": "+-", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'",
}  # fmt: skip


def run_script(main: Callable[[], int]) -> int:
    """main()'s exit code; 141, without a message, if the reader of the output has closed it; 130 after Ctrl-C.

    A warning is one line, as an error is.

    >>> run_script(lambda: 2)
    2
    """
    shown, warnings.showwarning = warnings.showwarning, in_one_line
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and (may_fail(stream) or stream.errors == "backslashreplace"):
            stream.reconfigure(errors=SPELLED)
    try:
        code = main()
        if sys.stdout is not None:  # pythonw has none
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        warnings.showwarning = shown


def in_one_line(message: Any, *where: Any, **more: Any) -> None:
    """A warning as the user of a program wants it."""
    print(f"warning: {message}", file=sys.stderr)


def say(text: str) -> None:
    """print(text), at once, and in characters that the standard output can write."""
    print(printable(text), flush=True)


def printable(text: str, stream: Any = None) -> str:
    """The text, with what a stream (the standard output) cannot encode spelled out.

    >>> import io
    >>> printable("✓ 28×28 Äpfel, 猫", io.TextIOWrapper(io.BytesIO(), "cp1252"))
    'ok 28×28 Äpfel, \\\\u732b'
    >>> printable("✓ 28×28 Äpfel, 猫", io.TextIOWrapper(io.BytesIO(), "ascii"))
    'ok 28x28 Apfel, \\\\u732b'
    """
    stream = sys.stdout if stream is None else stream
    if not may_fail(stream) and getattr(stream, "errors", None) != SPELLED:
        return text
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, SPELLED).decode(encoding)


def console(**options: Any) -> Any:
    """A rich console on the standard output. It writes all that it can, and takes names as they are: no markup."""
    from rich.console import Console

    file: Any = None if sys.stdout is None else PrintableStream(sys.stdout)
    return Console(file=file, markup=False, emoji=False, **options)


class PrintableStream:
    """A text stream to which anything may be written: as much of a file as rich asks for."""

    def __init__(self, stream: Any):
        self.stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write the text, what cannot be encoded spelled out."""
        return self.stream.write(printable(text, self.stream))

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()


def may_fail(stream: Any) -> bool:
    """Whether there are characters that end in an error. In Python's C locale even the lenient handler has some."""
    errors = getattr(stream, "errors", None) or "strict"
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return errors == "strict" or (errors == "surrogateescape" and not codecs.lookup(encoding).name.startswith("utf"))


def spell_out(error: UnicodeError) -> tuple[str, int]:
    """Python's question what to write in place of characters that have no code; the answer is plain ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(spelled, error.object[error.start : error.end])), error.end


codecs.register_error(SPELLED, spell_out)


def spelled(character: str) -> str:
    """A character in ASCII: a substitute, its letter without the accent, or its number.

    >>> [spelled(character) for character in "✓é…猫"]
    ['ok', 'e', '...', '\\\\u732b']
    """
    if character in SUBSTITUTES or unicodedata.combining(character):
        return SUBSTITUTES.get(character, "")
    plain = unicodedata.normalize("NFKD", character)
    plain = "".join(part for part in plain if not unicodedata.combining(part))
    return plain if plain.isascii() else character.encode("ascii", "backslashreplace").decode()


def command_line(words: Sequence[object]) -> str:
    """Words as they are typed into this system's shell, quoted where that is needed.

    >>> command_line(["python", "train.py", "--resume", "my run"]).replace('"', "'")
    "python train.py --resume 'my run'"
    """
    typed = [str(word) for word in words]
    return subprocess.list2cmdline(typed) if os.name == "nt" else shlex.join(typed)
