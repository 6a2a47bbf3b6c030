"""Transfer: a model that has learned one set of classes is the start for learning another.

The first layers of a network respond to edges and strokes, which other images have as well; the last ones know the
classes. With few images of the new classes, these first layers are better than what the few images could teach:

    model = load_model("digits.safetensors").with_head(26)     # a new last layer, the others as they are
    model.freeze("conv", "batchnorm")                          # train the dense layers only
    model.fit(...)
    model.unfreeze()                                           # and then, if it helps, all of it, slowly
    model.fit(..., optimizer=Adam(1e-4))

A frozen layer keeps its arrays to the last bit. Its gradient is not computed, and below the lowest layer that is
trained there is no backward pass; without augmentation no forward pass either, from the second epoch on
(`scratchnet.kept_outputs`). A frozen BatchNorm uses its running averages, in training too, and does not move them
(Keras' rule): the layers behind it are trained on the numbers that they will get in a prediction. A Dropout has nothing
to freeze and stays active. Between frozen and trained there is `lr_factor`, a factor on the learning rate of one layer.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from scratchnet.layers import BatchNorm, Dense, Layer, row
from scratchnet.saving.architecture import training_settings


def chosen(layers: Sequence[Layer], what: Iterable[Any]) -> list[str]:
    """The names of the layers that `what` names, in order; all of them if it names nothing.

    Each is a layer's name ("1.conv2d", within a block "3.residual.0.conv2d"), a range of names or numbers, both ends
    included ("0.rescale..5.maxpool2d", "..5"), the beginning of the name of a class ("conv"), a class, a number, or a
    range or slice of numbers. Names and classes are looked for within blocks too; a block is the layers in it.

    >>> layers = [Rescale(), Conv2D(8, 3), ReLU(), Flatten(), Dense(10)]
    >>> chosen(layers, ["conv", Dense]), chosen(layers, ["..1"]), chosen(layers, [-1])
    (['1.conv2d', '4.dense'], ['0.rescale', '1.conv2d'], ['4.dense'])
    """
    parts = row.named_parts(layers)
    leaves = [name for name, part in parts.items() if not part.children()]
    found = {name for one in what for name in named_by(layers, parts, one)}
    return [leaf for leaf in leaves if not what or any(leaf == name or leaf.startswith(f"{name}.") for name in found)]


def named_by(layers: Sequence[Layer], parts: dict[str, Layer], one: Any) -> list[str]:
    """The names of the layers, or blocks, that one of the arguments names: at least one, or a ValueError."""
    top = row.prefixes(layers)
    if isinstance(one, type):
        found = [name for name, part in parts.items() if isinstance(part, one)]
    elif isinstance(one, Layer):
        found = [name for name, part in parts.items() if part is one]
    elif isinstance(one, slice):
        found = top[one]
    elif isinstance(one, str) and ".." in one:
        first, last = one.split("..", 1)
        leaves = chosen(layers, ())
        start, stop = (leaves.index(chosen(layers, [end])[i]) if end else None for end, i in ((first, 0), (last, -1)))
        found = leaves[start : None if stop is None else stop + 1]
    elif isinstance(one, str) and not one.lstrip("-").isdigit():
        kinds = {name: type(part).__name__.lower() for name, part in parts.items()}
        found = [name for name in parts if one == name or (one and kinds[name].startswith(one.lower()))]
    elif isinstance(one, Iterable) and not isinstance(one, str):
        found = [name for number in one for name in named_by(layers, parts, number)]
    else:
        found = top[number : number + 1 or None] if -len(top) <= (number := int(one)) < len(top) else []
    if not found:
        near = difflib.get_close_matches(str(one), parts, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no layer is called {one!r}.{hint} The layers are {', '.join(parts)}.")
    return found


def set_trainable(model: Any, what: Iterable[Any], trainable: bool) -> list[str]:
    """Freeze or unfreeze the layers that `what` names; the names of those that have parameters.

    >>> set_trainable(model, ["dense"], False), model.trainable_parameters(), model.unfreeze()
    (['2.dense'], {}, ['2.dense'])
    """
    parts = row.named_parts(model.layers)
    layers = [parts[name] for name in chosen(model.layers, what)]
    for layer in layers:
        layer.trainable = trainable
    ids = set(map(id, layers))
    return with_parameters(model, row.names_of(model.layers, lambda layer: id(layer) in ids))


def freeze_normalisation(model: Any) -> list[str]:
    """Freeze each BatchNorm whose nearest layer with parameters below it is frozen; the names of these BatchNorms.

    Otherwise it would be the lowest trained layer, and its averages would move although the filters do not.
    """
    found, below = [], False  # below: whether the last layer with parameters is frozen
    for prefix, layer in model.network.leaves():
        if isinstance(layer, BatchNorm) and below and layer.trainable:
            layer.trainable = False
            found.append(prefix.rstrip("."))
        below = not layer.trainable if layer.params else below
    return found


def frozen(model: Any) -> list[str]:
    """The names of the layers that have parameters and are frozen; of a block, if all layers in it are."""
    return with_parameters(model, training_settings(model.layers).get("frozen", []))


def lr_factors(model: Any) -> dict[str, float]:
    """The factors on the learning rate that are not 1, by the names of the layers."""
    factors = training_settings(model.layers).get("lr_factors", {})
    return {name: factors[name] for name in with_parameters(model, factors)}


def with_parameters(model: Any, names: Iterable[str]) -> list[str]:
    """The names of those layers, or blocks, that have parameters."""
    parts = row.named_parts(model.layers)
    return [name for name in names if parts[name].params]


def unbuilt(layers: Sequence[Layer]) -> list[Layer]:
    """Copies of a model's layers, of which a new model can be made. What is frozen stays frozen."""
    copies = list(copy.deepcopy(layers))
    row.set_in_model(copies, False)
    return copies


def with_head(model: Any, classes: int, class_names: Iterable[Any] | None = None, seed: int | None = None) -> Any:
    """A new model with a new last Dense, of `classes` units, and copies of all other arrays. See `Sequential`.

    >>> new = with_head(model, 3, class_names=["cat", "dog", "horse"])
    >>> new.shapes[-1], new.layers[0].scale == model.layers[0].scale
    ((3,), True)
    """
    with_parameters = [i for i, layer in enumerate(model.layers) if layer.params]
    last = with_parameters[-1] if with_parameters else -1
    if last < 0 or type(model.layers[last]) is not Dense:
        what = f"layer {last} ({type(model.layers[last]).__name__})" if last >= 0 else "nothing"
        raise ValueError(
            f"with_head replaces a Dense, the last layer with parameters; here that is {what}. "
            "Make the layers anew: Sequential([...], input_shape), and copy the arrays that are to stay."
        )
    layers = unbuilt(model.layers)
    layers[last] = Dense(**{**layers[last].config(), "units": classes})
    seed = model.seed if seed is None else seed
    other = type(model)(layers, model.input_shape, seed, model.engine, model.dtype, class_names)
    own = {**other.parameters(), **other.state()}
    for name, array in {**model.parameters(), **model.state()}.items():
        if not name.startswith(f"{model.names[last]}."):
            own[name][...] = array
    return other
