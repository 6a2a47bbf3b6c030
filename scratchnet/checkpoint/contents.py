"""What a checkpoint holds: arrays, and plain data.

arrays      parameters, BatchNorm statistics, optimizer state, arrays of callbacks, the losses of the
            epoch so far, and the history
data        the setup; the position: epoch, batch, step; the state of callbacks; which layers are frozen by now
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.checkpoint.setup import stateful
from scratchnet.saving import as_model_file_error, compare, fill
from scratchnet.saving.architecture import apply_training_settings, training_settings
from scratchnet.saving.container import ModelFileError, parse_json

Arrays = dict[str, np.ndarray]


@dataclass
class Saved:
    """A checkpoint in memory."""

    arrays: Arrays
    data: dict[str, Any]
    path: Any = None  # the file it was read from

    @classmethod
    def of(cls, run: Any) -> Saved:
        """Everything that a run needs to resume. The arrays are not copies: write them before the next step."""
        epoch, batch = run.position
        arrays, remembered = arrays_of(run), []
        arrays["run.history"] = as_bytes(run.history.epochs, "history")
        if batch:
            arrays["run.losses"] = np.array(run.losses, np.float64)
        for number, callback in enumerate(stateful(run.callbacks)):
            values: dict[str, Any] = {}
            for name in callback.memory:
                value = getattr(callback, name)
                if isinstance(value, dict) and value and all(isinstance(a, np.ndarray) for a in value.values()):
                    arrays |= {f"callback{number}.{name}.{key}": array for key, array in value.items()}
                else:
                    values[name] = plain(value, f"{type(callback).__name__}.{name}")
            remembered.append(values)
        data = {
            "setup": run.setup, "epoch": epoch, "batch": batch, "steps": run.optimizer.steps,
            "lr_scale": run.optimizer.lr_scale, "stop": bool(run.stop), "seconds": run.seconds if batch else 0.0,
            "compile_seconds": run.history.compile_seconds, "callbacks": remembered, "began": run.optimizer.began,
            "layers": training_settings(run.model.layers),
        }  # fmt: skip
        return cls(arrays, data)

    def restore(self, run: Any) -> None:
        """Bring a run to the saved position. `restore_callbacks` restores its callbacks."""
        with as_model_file_error(self.path):
            apply_training_settings(run.model.layers, self.data.get("layers", {}))
            own = {name: a for name, a in self.arrays.items() if not name.startswith(("run.", "callback"))}
            fill(arrays_of(run), own)
            data = self.data
            run.epoch, run.batch, run.seconds, run.stop = (data[n] for n in ("epoch", "batch", "seconds", "stop"))
            run.losses = self.arrays["run.losses"].tolist() if run.batch else []
            run.optimizer.steps, run.optimizer.lr_scale = data["steps"], data["lr_scale"]
            run.optimizer.began = {name: int(steps) for name, steps in data.get("began", {}).items()}
            run.history.epochs[:] = from_bytes(self.arrays["run.history"])
            run.history.compile_seconds = data["compile_seconds"]

    def restore_callbacks(self, run: Any) -> None:
        """Restore the state of the callbacks."""
        live = {**run.model.parameters(), **run.model.state()}
        with as_model_file_error(self.path):
            for number, callback in enumerate(stateful(run.callbacks)):
                values = self.data["callbacks"][number]
                for name in callback.memory:
                    begin = f"callback{number}.{name}."
                    arrays = {n.removeprefix(begin): a.copy() for n, a in self.arrays.items() if n.startswith(begin)}
                    if arrays.keys() & live.keys():  # copies of the model's arrays, which the callback will write back
                        compare({n: (a.dtype, a.shape) for n, a in live.items()}, arrays)
                    setattr(callback, name, arrays or values[name])


def arrays_of(run: Any) -> Arrays:
    """The arrays that a step changes, not copied: parameters, statistics, optimizer state."""
    params, optimizer = run.model.parameters(), run.optimizer
    optimizer.attach(params)
    memory = {
        f"optimizer.{slot}.{name}": array
        for name, p in run.model.trainable_parameters().items()
        for slot, array in zip(optimizer.slots, optimizer.remembered(name, p), strict=True)
    }
    return {**params, **run.model.state(), **memory}


def plain(value: Any, name: str) -> Any:
    """A value converted for JSON: numbers, text, and lists and dicts of them."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [plain(item, name) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    raise ModelFileError(
        f"{name} cannot be kept in a checkpoint: expected numbers, text, lists and dicts of them, or a dict of "
        f"arrays, got {type(value).__name__}"
    )


def as_bytes(value: Any, name: str) -> np.ndarray:
    """A value as JSON, in an array: the size of a file's header is limited, that of a history is not."""
    return np.frombuffer(json.dumps(plain(value, name)).encode(), np.uint8)


def from_bytes(array: np.ndarray) -> Any:
    """The inverse of `as_bytes`."""
    return parse_json(array.tobytes(), constants=float)
