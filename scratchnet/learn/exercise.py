"""What an exercise is made of, and the file that a learner gets.

The stub is a function of the exercise's own module: its signature and its docstring are the task, its body raises
NotImplementedError. The source of that function is what is written into the learner's file. The textbook is the
library's own implementation behind the same signature. A mistake is a wrong implementation; its docstring is the hint.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing

Arguments = tuple[Any, ...]

STUB = '''"""Exercise {number} of scratchnet, for lesson {lesson}: {title}.

Replace the last line of the function. Then have it checked:

    scratchnet learn {number} --check {name}

Use NumPy and what you write yourself; scratchnet cannot be imported here.
"""

import numpy as np


{function}'''


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    number: of the exercise; lesson: the one that it belongs to; title: what is to be written.
    stub: the function to complete. outputs: a name for each array that it returns.
    textbook: the library's implementation, with the same arguments and results.
    cases: a random generator -> arguments for the function, at least 20 of them.
    mistakes: wrong implementations; the docstring of each is its hint.
    library: where the library has it, "layers/pool.py: MaxPool2D.backward".
    loss: for gradients, the function whose derivative they are: the same arguments -> a number.
    gradients: name of an output -> the argument that it is the gradient of.
    law: (cases, results) -> a sentence if the results together break a rule, else "".
    tolerance: relative to the largest number of an array; exercises in float32 need more of it.
    """

    number: int
    lesson: int
    title: str
    stub: Callable[..., Any]
    outputs: tuple[str, ...]
    textbook: Callable[..., Any]
    cases: Callable[[np.random.Generator], Iterable[Arguments]]
    mistakes: tuple[Callable[..., Any], ...]
    library: str
    loss: Callable[..., float] | None = None
    gradients: dict[str, str] = field(default_factory=dict)
    law: Callable[[list[Arguments], list[Any]], str] | None = None
    tolerance: float = 1e-9

    @property
    def function(self) -> str:
        """The name of the function to write."""
        return self.stub.__name__

    @property
    def arguments(self) -> list[str]:
        """The names of its arguments."""
        return list(inspect.signature(self.stub).parameters)

    @property
    def file_name(self) -> str:
        """The name of the learner's file: the number of the exercise is the first number in it."""
        return f"exercise_{self.number}_{self.function}.py"

    def stub_text(self) -> str:
        """The learner's file as it is at first."""
        return STUB.format(
            number=self.number, lesson=self.lesson, title=self.title, name=self.file_name,
            function=inspect.getsource(self.stub),
        )  # fmt: skip

    def drawn(self) -> list[Arguments]:
        """The cases, the same ones at every call, the smallest first."""
        return sorted(self.cases(np.random.default_rng(self.number)), key=size)


def size(value: Any) -> int:
    """How many numbers there are in the arguments of a case.

    >>> size((np.zeros((2, 3)), 4, b"ab"))
    9
    """
    if isinstance(value, tuple | list):
        return sum(map(size, value))
    if isinstance(value, bytes):
        return len(value)
    return int(np.size(value))


def write_stub(exercise: Exercise, folder: Path, overwrite: bool = False) -> Path:
    """Write the stub into a folder; its path. Raises FileExistsError if there is such a file."""
    path = Path(folder) / exercise.file_name
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists already. Check it with: scratchnet learn {exercise.number} --check {path}; "
            "--overwrite begins again, and what is in the file is lost"
        )
    with replacing(path) as file:
        file.write(exercise.stub_text().encode())
    return path
