"""What the recurrences share: a walk through the steps, and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Array", "F", "States", "Step", "on", "sigmoid", "walk"]

Array = Any
States = dict[str, Any]
Step = Callable[[Array, States], Array]
F = np.float32


def walk(step: Step, x: Array, **start: Any) -> Array:
    """Outputs of `step(x, s)`, which changes the states in the dictionary `s`."""
    s = {name: np.full_like(x[0], value) for name, value in start.items()}
    return np.stack([step(u, s) for u in x])


def on(condition: Array) -> Array:
    """1 where it holds, else 0."""
    return condition.astype(np.float32)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return F(1) / (F(1) + np.exp(-x))
