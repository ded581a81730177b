"""Quantities: SI floats inside, strings with a unit at the border, and dimensions that check a `step`.

A quantity is a float in SI or a string such as `"10 ms"`. `si` turns it into a float and refuses a
wrong unit. `Dimension` is a product of powers of the base units; `Dimensioned` is a number that
carries only its dimension: running a neuron's `step` on it shows whether the units close.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from spikelab.errors import UnitError

__all__ = ["DIMENSIONLESS", "Dimension", "Dimensioned", "Quantity", "dimension", "seconds", "si"]

Quantity = float | str
"""A float in SI, or a string with a unit."""

_PREFIX = {
    "": 1.0,
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "µ": 1e-6,  # noqa: RUF001  micro sign
    "μ": 1e-6,  # noqa: RUF001  Greek mu
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
}
# Powers of (second, metre, kilogram, ampere).
_BASE: dict[str, tuple[int, int, int, int]] = {
    "1": (0, 0, 0, 0),
    "s": (1, 0, 0, 0),
    "Hz": (-1, 0, 0, 0),
    "m": (0, 1, 0, 0),
    "A": (0, 0, 0, 1),
    "V": (-3, 2, 1, -1),
    "J": (-2, 2, 1, 0),
    "W": (-3, 2, 1, 0),
    "C": (1, 0, 0, 1),
    "ohm": (-3, 2, 1, -2),
    "Ω": (-3, 2, 1, -2),
    "S": (3, -2, -1, 2),
    "F": (4, -2, -1, 2),
}
_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*$")


@dataclass(frozen=True)
class Dimension:
    """Powers of second, metre, kilogram and ampere."""

    powers: tuple[Fraction, Fraction, Fraction, Fraction]

    def __mul__(self, other: Dimension) -> Dimension:
        a, b = self.powers, other.powers
        return Dimension((a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]))

    def __pow__(self, n: int) -> Dimension:
        a = self.powers
        return Dimension((a[0] * n, a[1] * n, a[2] * n, a[3] * n))

    def __str__(self) -> str:
        for name, powers in _BASE.items():
            if tuple(self.powers) == powers:
                return name
        parts = zip(("s", "m", "kg", "A"), self.powers, strict=True)
        return " ".join(name if p == 1 else f"{name}^{p}" for name, p in parts if p)


DIMENSIONLESS = Dimension((Fraction(0),) * 4)


def _unit(text: str, whole: str) -> tuple[float, Dimension]:
    """Split a unit such as `ms`, `V/s` or `1` into its factor and dimension."""
    factor, result = 1.0, DIMENSIONLESS
    for k, part in enumerate(text.split("/")):
        sign = 1 if k == 0 else -1
        for name in part.split("*"):
            scale, powers = _simple(name, whole)
            factor *= scale**sign
            result = result * (Dimension(tuple(Fraction(p) for p in powers)) ** sign)  # type: ignore[arg-type]
    return factor, result


def _simple(name: str, whole: str) -> tuple[float, tuple[int, int, int, int]]:
    if name in _BASE:
        return 1.0, _BASE[name]
    if name[:1] in _PREFIX and name[1:] in _BASE and name[1:] != "1":
        return _PREFIX[name[:1]], _BASE[name[1:]]
    known = ", ".join(u for u in _BASE if u not in ("1", "Ω"))
    raise UnitError(
        f"unit {name!r} in {whole!r}: unknown; expected one of {known} with an SI prefix (f p n u m k M G), as in '10 ms'"
    )


def dimension(unit: str) -> Dimension:
    """Dimension of a unit.

    Example:
        >>> str(dimension("mV/s")), str(dimension("mV")), str(dimension("1"))
        ('s^-4 m^2 kg A^-1', 'V', '1')
    """
    return _unit(unit, unit)[1]


def si(value: Quantity, unit: str, where: str = "quantity") -> float:
    """Turn a quantity into a float in SI.

    Args:
        value: a float in SI, or a string with a unit.
        unit: SI unit that is expected, e.g. `"s"`; `"1"` for a plain number.
        where: name of the argument, for the error.

    Returns:
        The value in `unit`.

    Raises:
        UnitError: no unit, another dimension, not a number, or not finite.

    Example:
        >>> si("10 ms", "s")
        0.01
    """
    if isinstance(value, str):
        match = _QUANTITY.match(value)
        if not match:
            raise UnitError(f"{where}: found {value!r}; expected a number and a unit, as in '10 m{unit}'")
        number, text = match.groups()
        if not text and unit != "1":
            raise UnitError(f"{where}: found {value!r} without a unit; write '{number} m{unit}', or the float in {unit}")
        factor, found = _unit(text or "1", value)
        if found != dimension(unit):
            raise UnitError(f"{where}: found {value!r}, which is in {found}; expected a quantity in {unit}")
        # Dividing by a whole power of ten rounds once: 10 / 1000 is the float nearest to 0.01.
        result = float(number) / round(1 / factor) if factor < 1 else float(number) * factor
    elif isinstance(value, bool) or not hasattr(value, "__float__"):
        raise UnitError(f"{where}: found {value!r} of type {type(value).__name__}; expected a float in {unit} or '10 m{unit}'")
    else:
        result = float(value)
    if not math.isfinite(result):
        raise UnitError(f"{where}: found {value!r}; expected a finite number in {unit}")
    return result


def seconds(value: Quantity, where: str = "dt") -> float:
    """Turn a positive duration into seconds.

    Raises:
        UnitError: as `si`, or not above zero.

    Example:
        >>> seconds("1 ms")
        0.001
    """
    result = si(value, "s", where)
    if result <= 0:
        raise UnitError(f"{where}: found {value!r}; expected a duration above zero, as in '1 ms'")
    return result


@dataclass(frozen=True)
class Dimensioned:
    """A number of which only the dimension is known; sums demand equal ones."""

    unit: Dimension

    def _same(self, other: Any, sign: str) -> Dimensioned:
        if not isinstance(other, Dimensioned):
            raise UnitError(f"step: a literal {other!r} beside a quantity in {self.unit}; make it a coefficient")
        if other.unit != self.unit:
            raise UnitError(f"step: {self.unit} {sign} {other.unit}; both sides must have one unit")
        return self

    def __add__(self, other: Any) -> Dimensioned:
        return self._same(other, "+")

    def __sub__(self, other: Any) -> Dimensioned:
        return self._same(other, "-")

    def __mul__(self, other: Any) -> Dimensioned:
        if not isinstance(other, Dimensioned):
            raise UnitError(f"step: a literal {other!r} beside a quantity in {self.unit}; make it a coefficient")
        return Dimensioned(self.unit * other.unit)
