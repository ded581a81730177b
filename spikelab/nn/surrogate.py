"""Surrogate derivatives of the spike: what training uses in place of the derivative of a step.

Each is a frozen dataclass with a pure `slope(d, f)`, written with `+ - *`, the primitives of `f` and
`f.constant`. The same function is traced into the kernels and runs on tensors, so the slope that is
written here is the slope that is used. d = v - v_threshold [V].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from spikelab.errors import UnitError, unknown_name

__all__ = ["SURROGATES", "ATan", "Sigmoid", "SuperSpike", "Surrogate", "Triangle", "surrogate"]


@dataclass(frozen=True)
class Surrogate:
    """Base of the surrogates.

    Args:
        steepness: k [1/V]; larger is narrower.
    """

    steepness: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise UnitError(f"{type(self).__name__}.{field.name}: found {value!r}; expected a number above zero")

    def slope(self, d: Any, f: Any) -> Any:
        """Derivative at distance d [V] from the threshold."""
        raise NotImplementedError


def _magnitude(d: Any, f: Any) -> Any:
    return f.maximum(d, f.constant(0.0) - d)


@dataclass(frozen=True)
class SuperSpike(Surrogate):
    """1 / (k |d| + 1)^2: peak 1, heavy tails.

    Source:
        Zenke and Ganguli, Neural Computation 30, 2018.

    Example:
        >>> SuperSpike(10.0)
        SuperSpike(steepness=10.0)
    """

    steepness: float = 10.0

    def slope(self, d: Any, f: Any) -> Any:
        """1 / (k |d| + 1)^2."""
        e = f.constant(self.steepness) * _magnitude(d, f) + f.constant(1.0)
        return f.divide(f.constant(1.0), e * e)


@dataclass(frozen=True)
class ATan(Surrogate):
    """(k / 2) / (1 + (pi k d / 2)^2): the derivative of an arc tangent, peak k / 2, area 1.

    Source:
        Fang et al., ICCV 2021 (PLIF), equation 10 with alpha = k.
    """

    steepness: float = 2.0

    def slope(self, d: Any, f: Any) -> Any:
        """(k / 2) / (1 + (pi k d / 2)^2)."""
        e = f.constant(math.pi / 2 * self.steepness) * d
        return f.divide(f.constant(self.steepness / 2), f.constant(1.0) + e * e)


@dataclass(frozen=True)
class Triangle(Surrogate):
    """k max(0, 1 - k |d|): peak k, zero beyond 1 / k, area 1.

    Source:
        Esser et al., PNAS 113, 2016 (with dampening 1).
    """

    steepness: float = 1.0

    def slope(self, d: Any, f: Any) -> Any:
        """k max(0, 1 - k |d|)."""
        k = f.constant(self.steepness)
        return k * f.maximum(f.constant(0.0), f.constant(1.0) - k * _magnitude(d, f))


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """k s (1 - s) with s = 1 / (1 + exp(-k d)): peak k / 4, area 1.

    Source:
        Zenke and Vogels, Neural Computation 33, 2021 (sigmoid').
    """

    steepness: float = 4.0

    def slope(self, d: Any, f: Any) -> Any:
        """k s (1 - s)."""
        k = f.constant(self.steepness)
        s = f.sigmoid(k * d)
        return k * (s * (f.constant(1.0) - s))


SURROGATES: dict[str, type[Surrogate]] = {
    "atan": ATan,
    "sigmoid": Sigmoid,
    "superspike": SuperSpike,
    "triangle": Triangle,
}
"""The surrogates, by name."""


def surrogate(value: str | Surrogate) -> Surrogate:
    """A surrogate by name, or itself.

    Raises:
        UnsupportedError: unknown name.

    Example:
        >>> surrogate("atan")
        ATan(steepness=2.0)
    """
    if isinstance(value, Surrogate):
        return value
    if not isinstance(value, str) or value not in SURROGATES:
        raise unknown_name("surrogate", value, SURROGATES)
    return SURROGATES[value]()
