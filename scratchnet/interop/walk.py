"""What all exports ask of a model before they begin: is every layer one that they can write?"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from scratchnet.layers import LAYERS, Layer, Residual


def every_layer(layers: Iterable[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """(place, layer) of all layers, those within residual blocks included.

    >>> [place for place, layer in every_layer(model.layers)]
    ['0 (Rescale)', '1 (Flatten)', '2 (Dense)']
    """
    for i, layer in enumerate(layers):
        yield f"{prefix}{i} ({type(layer).__name__})", layer
        if isinstance(layer, Residual):
            yield from every_layer(layer.layers, f"{prefix}{i}.")
            yield from every_layer(layer.way, f"{prefix}{i}.shortcut.")


def check_exportable(layers: Iterable[Layer], known: Container[str], target: str) -> None:
    """Raise ValueError with the place of each layer that the target has nothing for: users' own layers.

    >>> check_exportable(model.layers, ("Rescale", "Flatten"), "ONNX")
    Traceback (most recent call last):
    ValueError: no export to ONNX for layer 2 (Dense). Layers of your own have no counterpart there
    """
    places = [
        place for place, layer in every_layer(layers)
        if type(layer) is not LAYERS.get(type(layer).__name__) or type(layer).__name__ not in known
    ]  # fmt: skip
    if places:
        raise ValueError(
            f"no export to {target} for layer {', '.join(places)}. Layers of your own have no counterpart there"
        )
