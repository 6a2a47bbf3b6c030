"""Optimizers: from a gradient to a change of the parameters, in order of increasing complexity.

Each one is its formula, one line of code per line of mathematics, for one parameter array p with
gradient g. Parameters are changed in place. What an optimizer remembers between steps (a velocity, the
Adam moments) it keeps per parameter *name*, so that it can be saved and restored. This memory belongs to one model's
arrays: the same optimizer resumes with the same model and raises an error for another one.

    SGD        v = μ v - lr g                     p += v            Polyak 1964; Nesterov 1983
    RMSprop    s = ρ s + (1-ρ) g²                 p -= lr g / (√s + ε)       Hinton 2012, lecture 6e
    Adam       m, s = running means of g and g²   p -= lr m̂ / (√ŝ + ε)       arXiv 1412.6980
    AdamW      Adam, and p -= lr λ p              weight decay apart from the gradient, arXiv 1711.05101

lr is a number, or a schedule: a function from the step number (0, 1, ...) to the learning rate. `lr_scale`
is a factor in front of it, initially 1; callbacks lower it when the rate proves too large.
`clip_norm` limits the length of a gradient: see `clipping`.
"""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from scratchnet.clipping import clip_factor, squares
from scratchnet.keywords import explained

Schedule = Callable[[int], float]


class Optimizer:
    """The common part: count the steps, look up the learning rate, find each parameter's memory.
    Parameters, gradients: name -> array, of equal shapes. Raises KeyError for a gradient without a parameter.

    >>> params = {"W": np.array([1.0])}
    >>> SGD(lr=0.1).step(params, {"W": np.array([2.0])})
    >>> params["W"]
    array([0.8])
    """

    slots: ClassVar[tuple[str, ...]] = ()  # names of the arrays remembered per parameter

    def __init__(self, lr: float | Schedule, clip_norm: float | None = None):
        self.owners: dict[str, weakref.ref] = {}  # of the memory: the parameters that it belongs to
        if isinstance(lr, str) or (not callable(lr) and not lr > 0):
            raise ValueError(f"lr must be a positive number or a schedule, got {lr!r}")
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm must be positive, or None for gradients of any length, got {clip_norm!r}")
        self.lr, self.lr_scale, self.clip_norm = lr, 1.0, clip_norm
        self.steps = 0
        self.memory: dict[str, tuple[np.ndarray, ...]] = {}
        self.began: dict[str, int] = {}  # name -> steps made before the parameter's first: it was frozen

    def learning_rate(self, step: int | None = None) -> float:
        """The learning rate of the next step, or of step number `step`."""
        step = self.steps if step is None else step
        return self.lr_scale * float(self.lr(step) if callable(self.lr) else self.lr)

    def step(
        self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray], lr_factors: dict[str, float] | None = None
    ) -> None:  # fmt: skip
        """Change in place every parameter that has a gradient. lr_factors: name -> factor on its rate, if not 1."""
        self.attach(params)
        if unknown := [name for name in grads if name not in params]:
            raise KeyError(f"gradients of {', '.join(unknown)}, which are not among the parameters {', '.join(params)}")
        lr, factors = self.learning_rate(), lr_factors or {}
        params = {name: p for name, p in params.items() if name in grads}
        if self.clip_norm is not None:
            factor = clip_factor(sum(squares(grads[name]) for name in params), self.clip_norm)
            grads = {name: grads[name] * factor for name in params}
        slots = {name: self.remembered(name, p) for name, p in params.items()}
        self.steps += 1
        for name, p in params.items():
            self.update(name, p, grads[name], lr * factors.get(name, 1.0), *slots[name])

    def check_owner(self, params: dict[str, np.ndarray]) -> None:
        """Raise ValueError if the memory belongs to another model's arrays.

        Before its first step an optimizer has no owner. A copied or unpickled one accepts the first arrays whose names
        and shapes match its memory.
        """
        known = [name for name in params if name in self.memory] if self.steps else []
        for name in known:
            p, owner = params[name], self.owners.get(name)
            like = all((slot.shape, slot.dtype) == (p.shape, p.dtype) for slot in self.memory[name])
            if not like or (owner is not None and owner() is not p):
                raise ValueError(self.foreign(f"{name} {p.shape}"))
        if self.steps and self.memory and params and not known:
            raise ValueError(self.foreign(", ".join(params)))

    def foreign(self, given: str) -> str:
        """The error message for parameters that the memory does not belong to."""
        return (
            f"this {type(self).__name__} holds the moments of another model ({self.steps} steps on "
            f"{', '.join(self.memory)}); it cannot update this model's {given}. "
            f"Make a new optimizer for each model: {self!r}"
        )

    def attach(self, params: dict[str, np.ndarray]) -> None:
        """Bind the memory to these arrays; called before every step."""
        self.check_owner(params)
        if not self.steps and any(self.owners.get(name, lambda: None)() is not p for name, p in params.items()):
            self.memory, self.began = {}, {}  # of a model that it has made no step on
        for name, p in params.items():
            self.owners[name] = weakref.ref(p)

    def remembered(self, name: str, p: np.ndarray) -> tuple[np.ndarray, ...]:
        """The slots of this parameter; zeros at the first step."""
        if name not in self.memory:
            self.memory[name], self.began[name] = tuple(np.zeros_like(p) for _ in self.slots), self.steps
        return self.memory[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "owners": {}}

    def __copy__(self) -> Optimizer:
        """A deep copy: two optimizers must not share moments."""
        return copy.deepcopy(self)

    def update(self, name: str, p: np.ndarray, g: np.ndarray, lr: float, *slots: np.ndarray) -> None:
        """Change p and the slots in place: the formula."""
        raise NotImplementedError

    def __repr__(self) -> str:
        arguments = inspect.signature(type(self)).parameters.values()
        values = [(a.name, getattr(self, a.name, a.default), a.default) for a in arguments]
        shown = [f"{name}={value!r}" for name, value, default in values if value != default or name == "lr"]
        return f"{type(self).__name__}({', '.join(shown)})"


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum μ if given: v = μ v - lr g, p += v.

    nesterov: look ahead, and take the gradient's step from where the momentum will have carried p:
    p += μ v - lr g.
    Raises ValueError for a momentum outside of [0, 1).

    >>> SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9)
    """

    slots = ("v",)

    @explained
    def __init__(
        self,
        lr: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        clip_norm: float | None = None,
    ):
        super().__init__(lr, clip_norm)
        self.momentum = fraction("SGD momentum", momentum)
        self.nesterov = bool(nesterov)

    def update(  # type: ignore[override]
        self, name: str, p: np.ndarray, g: np.ndarray, lr: float, v: np.ndarray
    ) -> None:
        v[...] = self.momentum * v - lr * g
        p += self.momentum * v - lr * g if self.nesterov else v


class RMSprop(Optimizer):
    """Divide each step by the root of a running mean of g²: parameters with small gradients move too.
    Raises ValueError for a rho outside of [0, 1).

    >>> params = {"W": np.array([0.0, 0.0])}
    >>> RMSprop(lr=0.1, rho=0.9).step(params, {"W": np.array([1e-3, 1e3])})
    >>> params["W"].round(3)  # the first step: lr / √(1 - rho), whatever the gradient
    array([-0.316, -0.316])
    """

    slots = ("s",)

    @explained
    def __init__(
        self, lr: float | Schedule = 1e-3, rho: float = 0.9, eps: float = 1e-7, clip_norm: float | None = None
    ):
        super().__init__(lr, clip_norm)
        self.rho, self.eps = fraction("RMSprop rho", rho), float(eps)

    def update(  # type: ignore[override]
        self, name: str, p: np.ndarray, g: np.ndarray, lr: float, s: np.ndarray
    ) -> None:
        s[...] = self.rho * s + (1 - self.rho) * g * g
        p -= lr * g / (np.sqrt(s) + self.eps)


class Adam(Optimizer):
    """Momentum and RMSprop in one. m and s start at 0 and are too small at first; m̂ and ŝ correct that.

    m = β₁ m + (1-β₁) g          m̂ = m / (1 - β₁ᵗ)
    s = β₂ s + (1-β₂) g²         ŝ = s / (1 - β₂ᵗ)        p -= lr m̂ / (√ŝ + ε)
    Raises ValueError for a beta outside of [0, 1).

    >>> params = {"W": np.array([0.0, 0.0])}
    >>> Adam(lr=0.1).step(params, {"W": np.array([1e-3, 1e3])})
    >>> params["W"].round(3)  # the first step: lr, whatever the gradient
    array([-0.1, -0.1])
    """

    slots = ("m", "s")

    @explained
    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        clip_norm: float | None = None,
    ):
        super().__init__(lr, clip_norm)
        self.beta1, self.beta2 = fraction("Adam beta1", beta1), fraction("Adam beta2", beta2)
        self.eps = float(eps)

    def update(  # type: ignore[override]
        self, name: str, p: np.ndarray, g: np.ndarray, lr: float, m: np.ndarray, s: np.ndarray
    ) -> None:
        t = self.steps - self.began.get(name, 0)
        m[...] = self.beta1 * m + (1 - self.beta1) * g
        s[...] = self.beta2 * s + (1 - self.beta2) * g * g
        m_hat = m / (1 - self.beta1**t)
        s_hat = s / (1 - self.beta2**t)
        p -= lr * m_hat / (np.sqrt(s_hat) + self.eps)


class AdamW(Adam):
    """Adam, and every weight shrinks by lr · weight_decay at each step, whatever its gradient.

    Biases and BatchNorm's gamma and beta are not decayed: they hardly contribute to overfitting.
    Raises ValueError for a negative weight_decay.

    >>> params = {"W": np.array([1.0]), "b": np.array([1.0])}
    >>> AdamW(lr=0.1, weight_decay=0.5).step(params, {"W": np.array([0.0]), "b": np.array([0.0])})
    >>> params["W"].round(3), params["b"]
    (array([0.95]), array([1.]))
    """

    @explained
    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
    ):
        super().__init__(lr, beta1, beta2, eps, clip_norm)
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay must be 0 or more, got {weight_decay!r}")
        self.weight_decay = float(weight_decay)

    def update(  # type: ignore[override]
        self, name: str, p: np.ndarray, g: np.ndarray, lr: float, m: np.ndarray, s: np.ndarray
    ) -> None:
        if self.decays(name):
            p -= lr * self.weight_decay * p
        super().update(name, p, g, lr, m, s)

    def decays(self, name: str) -> bool:
        """Whether the parameter of this name ("3.dense.W") is one that decays."""
        return name.rpartition(".")[2] not in ("b", "gamma", "beta")


def fraction(name: str, value: float) -> float:
    """`value` if it is in [0, 1), or an error that names the argument."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")
    return float(value)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def as_optimizer(value: Any) -> Optimizer:
    """An Optimizer as it is; the one of a name ("adam"), with its default learning rate; Adam for None.

    >>> as_optimizer("sgd")
    SGD(lr=0.01)
    >>> as_optimizer(Adam)
    Traceback (most recent call last):
    TypeError: optimizer is the class Adam. Make one of it: optimizer=Adam()
    """
    if value is None:
        return Adam()
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str) and value.lower() in OPTIMIZERS:
        return OPTIMIZERS[value.lower()]()  # type: ignore[call-arg]
    if isinstance(value, type) and issubclass(value, Optimizer):
        raise TypeError(f"optimizer is the class {value.__name__}. Make one of it: optimizer={value.__name__}()")
    raise TypeError(
        f"optimizer must be one of {', '.join(map(repr, OPTIMIZERS))}, or an Optimizer such as Adam(lr=1e-3); "
        f"got {value!r}"
    )
