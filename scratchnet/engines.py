"""Which engine runs a model: compiled kernels where Numba is available, the textbook otherwise.

The compiled engine is imported here, when the first model asks for it, so that `import scratchnet` stays fast.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress

from scratchnet.engine import Engine, Network


def import_meanwhile(name: str) -> None:
    """Import the engine in a thread while the caller reads data: unpacking releases the interpreter lock."""

    def work() -> None:
        with suppress(ImportError):  # `make_engine` will say so
            import scratchnet.compiled.execution.engine  # noqa: F401

    if name == "numba":
        threading.Thread(target=work, daemon=True).start()


def make_engine(network: Network, name: str) -> tuple[str, Engine]:
    """The engine, and its name: where Numba is not available, the textbook's, with a warning."""
    if name == "numba":
        try:
            from scratchnet.compiled.execution.engine import CompiledEngine

            return name, CompiledEngine(network)
        except ImportError as error:
            warnings.warn(f'engine="numba" is not available ({error}); using engine="numpy"', stacklevel=5)
    return "numpy", Engine(network)
