"""The terms of a parameter after one step of an optimizer: the parameter, and what the step adds to it.

g is dW, with l2 of the layer dW + 2 λ W, with clip_norm a shorter one in the same direction. The optimizer's memory
counts: of a new one it is zero, an optimizer that has trained this model continues where it is.
"""

from __future__ import annotations

import copy

import numpy as np

from scratchnet.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, clip_factor, squares
from scratchnet.page.addresses import Index, format_address
from scratchnet.page.parts import Factor, Parts, Term, parts, product
from scratchnet.page.passes import Pass, Record


class Step:
    """One step of `optimizer` on one number of a parameter; the optimizer itself is left as it is."""

    def __init__(self, run: Pass, record: Record, name: str, index: Index, optimizer: Optimizer):
        self.optimizer = after = copy.deepcopy(optimizer)
        full, layer = f"{record.key}.{name}", record.layer
        self.weight = record.array(name, index)
        self.dW = Factor(format_address(f"d{name}", record.key, index), float(record.gradients[name][index]))
        self.l2 = 2 * layer.l2 if name == "W" and hasattr(layer, "l2") else 0.0
        self.clip = clipping(run, optimizer)
        self.g = self.clip * (self.dW.value + self.l2 * self.weight.value)
        self.frozen = not layer.trainable
        self.lr = optimizer.learning_rate() * layer.lr_factor
        slots = optimizer.memory.get(full)
        if slots is None:
            after.began[full] = optimizer.steps
        self.slots = [float(slot[index]) for slot in slots] if slots else [0.0] * len(after.slots)
        self.full = full
        self.value = self.weight.value if self.frozen else self.updated(after)

    def updated(self, after: Optimizer) -> float:
        """The new value, as the optimizer's own code has it."""
        after.steps += 1
        p, g, *slots = (np.array([value]) for value in (self.weight.value, self.g, *self.slots))
        after.update(self.full, p, g, self.lr, *slots)
        return float(p[0])

    @property
    def steps(self) -> int:
        """t: the steps on this parameter, this one included."""
        return self.optimizer.steps - self.optimizer.began.get(self.full, 0)


def clipping(run: Pass, optimizer: Optimizer) -> float:
    """By what clip_norm multiplies the gradients."""
    if optimizer.clip_norm is None:
        return 1.0
    total = 0.0
    for record in run.by_key.values():
        for name, g in record.gradients.items():
            l2 = 2 * getattr(record.layer, "l2", 0.0) if name == "W" else 0.0
            total += squares(g + l2 * getattr(record.layer, name)) if record.layer.trainable else 0.0
    return clip_factor(total, optimizer.clip_norm)


def new_value(step: Step) -> Parts:
    """W' = W + ...: by the formula of the optimizer."""
    first = product(step.weight, label="before")
    if step.frozen:
        return parts("W' = W: the layer is frozen", [first])
    formula, more = change(step)
    return parts(formula, [first, *more])


def change(step: Step) -> tuple[str, list[Term]]:
    """The formula, and the terms that are added to W."""
    optimizer = step.optimizer
    if type(optimizer) is SGD:
        return sgd(step, optimizer)
    if type(optimizer) is RMSprop:
        return rmsprop(step, optimizer)
    if type(optimizer) in (Adam, AdamW):
        return adam(step, optimizer)  # type: ignore[arg-type]
    name = type(optimizer).__name__
    return f"W' = W + what {name}.update adds", [Term(step.value - step.weight.value, (step.dW,), name)]


def linear_in_g(step: Step, times: float) -> list[Term]:
    """times · g, as a term of dW and, with l2, one of W."""
    terms = [product(step.dW, times=times * step.clip, label=f"{times * step.clip:.4g} · dW")]
    if step.l2:
        terms.append(product(step.weight, times=times * step.clip * step.l2, label="l2"))
    return terms


def sgd(step: Step, optimizer: SGD) -> tuple[str, list[Term]]:
    """v' = μ v - lr g; W' = W + v', or with Nesterov W + μ v' - lr g."""
    mu, (v,) = optimizer.momentum, step.slots
    ahead = (1 + mu, mu * mu) if optimizer.nesterov else (1, mu)
    terms = linear_in_g(step, -step.lr * ahead[0])
    if mu:
        terms.append(Term(ahead[1] * v, (), f"momentum, v = {v:.4g}"))
    formula = "W' = W - lr · g" if not mu else "v' = μ v - lr · g,  W' = W + v'"
    return ("v' = μ v - lr · g,  W' = W + μ v' - lr · g" if optimizer.nesterov else formula), terms


def rmsprop(step: Step, optimizer: RMSprop) -> tuple[str, list[Term]]:
    """s' = ρ s + (1-ρ) g²; W' = W - lr g / (√s' + ε)."""
    s = optimizer.rho * step.slots[0] + (1 - optimizer.rho) * step.g**2
    value = -step.lr * step.g / (float(np.sqrt(s)) + optimizer.eps)
    return "s' = ρ s + (1-ρ) g²,  W' = W - lr · g / (√s' + ε)", [Term(value, (step.dW,), f"s' = {s:.4g}")]


def adam(step: Step, optimizer: Adam) -> tuple[str, list[Term]]:
    """m̂ and ŝ, the corrected means of g and g²; W' = W - lr m̂ / (√ŝ + ε), and of AdamW - lr λ W."""
    (m, s), t = step.slots, step.steps
    m_hat = (optimizer.beta1 * m + (1 - optimizer.beta1) * step.g) / (1 - optimizer.beta1**t)
    s_hat = (optimizer.beta2 * s + (1 - optimizer.beta2) * step.g**2) / (1 - optimizer.beta2**t)
    value = -step.lr * m_hat / (float(np.sqrt(s_hat)) + optimizer.eps)
    terms = [Term(value, (step.dW,), f"m̂ = {m_hat:.4g}, ŝ = {s_hat:.4g}")]
    formula = "W' = W - lr · m̂ / (√ŝ + ε)"
    if isinstance(optimizer, AdamW) and optimizer.decays(step.full):
        terms.append(product(step.weight, times=-step.lr * optimizer.weight_decay, label="weight decay"))
        formula += " - lr · λ · W"
    return formula, terms
