"""What a run leaves behind: its numbers, its settings and its pictures, in one folder.

    metrics.json   what came out          config.json   what went in          figures/*.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.data.atomic import replacing
from scratchnet.team import shared_team


def write_run(out, model, history, test, settings: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the model on the test set; write metrics.json, config.json and figures; return the metrics."""
    out = Path(out)
    result = model.evaluate(*test)
    seconds = sum(history["seconds"])
    best = int(np.argmax(history["val_accuracy"]))
    metrics = {
        **{name: settings[name] for name in ("preset", "dataset", "engine", "seed")},
        "threads": shared_team().threads,
        "epochs": len(history.epochs),
        "best_epoch": best + 1,
        "test_accuracy": result["accuracy"],
        "test_loss": result["loss"],
        "val_accuracy": history["val_accuracy"][best],
        "train_seconds": seconds,
        "compile_seconds": history.compile_seconds,
        "images_per_second": sum(history["images"]) / seconds,
        "parameters": sum(p.size for p in model.parameters().values()),
    }
    write_json(out / "metrics.json", metrics)
    write_json(out / "config.json", settings)
    (out / "figures").mkdir(exist_ok=True)
    plot_curves(history, out / "figures" / "curves.png")
    plot_predictions(model, test, out / "figures" / "predictions.png")
    return metrics


def write_json(path, data: Any) -> None:
    """Indented JSON, written whole or not at all."""
    with replacing(path) as file:
        file.write(json.dumps(data, indent=2, default=str).encode() + b"\n")


def plot_curves(history, path) -> None:
    """Loss and accuracy over the epochs, training and validation, the best epoch marked."""
    from matplotlib.figure import Figure

    epochs = history["epoch"]
    best = epochs[int(np.argmax(history["val_accuracy"]))]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, history[name], marker=".", label="training")
        axes.plot(epochs, history[f"val_{name}"], marker=".", label="validation")
        axes.axvline(best, color="0.6", linestyle=":", label=f"best epoch ({best})")
        axes.set(title=name, xlabel="epoch", xticks=epochs[:: -(-len(epochs) // 12)])
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def plot_predictions(model, test, path, rows: int = 4, columns: int = 8) -> None:
    """The first test images with the model's answer and its confidence; wrong answers in red."""
    from matplotlib.figure import Figure

    x, y = (array[: rows * columns] for array in test)
    probabilities = model.predict(x)
    names = model.class_names or [str(k) for k in range(probabilities.shape[1])]
    figure = Figure(figsize=(1.25 * columns, 1.5 * rows), layout="constrained")
    for axes, image, label, p in zip(figure.subplots(rows, columns).flat, x, y, probabilities, strict=False):
        guess = int(p.argmax())
        axes.imshow(image.squeeze(), cmap="gray")
        says = f"{names[guess]}  {p[guess]:.0%}" + ("" if guess == label else f"\nis {names[label]}")
        axes.set_title(says, fontsize=9, color="green" if guess == label else "red")
        axes.set_axis_off()
    figure.savefig(path, dpi=110)
