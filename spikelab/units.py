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

import numpy as np

from spikelab.errors import UnitError, brief

__all__ = ["DIMENSIONLESS", "Dimension", "Dimensioned", "Quantity", "dimension", "must_be_si", "seconds", "si"]

Quantity = float | str
"""A float in SI, or a string with a unit."""

# Powers of ten, so that a quantity is rounded once: "0.1 us" is the float nearest to 1e-7.
_PREFIX = {
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "µ": -6,  # micro sign
    "μ": -6,  # Greek mu
    "m": -3,
    "k": 3,
    "M": 6,
    "G": 9,
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
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+))(?:[eE]([-+]?\d{1,4}))?\s*(\S*)\s*", re.ASCII)


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
            if all(a == b for a, b in zip(self.powers, powers, strict=True)):
                return name
        parts = zip(("s", "m", "kg", "A"), self.powers, strict=True)
        return " ".join(name if p == 1 else f"{name}^{p}" for name, p in parts if p)


DIMENSIONLESS = Dimension((Fraction(0),) * 4)
"""Dimension of a plain number."""


def _unit(text: str, where: str) -> tuple[int, Dimension]:
    """Split a unit such as `ms`, `V/s` or `1` into its power of ten and its dimension."""
    ten, result = 0, DIMENSIONLESS
    for k, part in enumerate(text.split("/")):
        sign = 1 if k == 0 else -1
        for name in part.split("*"):
            power, powers = _simple(name, where)
            ten += power * sign
            result = result * (Dimension(tuple(Fraction(p) for p in powers)) ** sign)  # type: ignore[arg-type]
    return ten, result


def _simple(name: str, where: str) -> tuple[int, tuple[int, int, int, int]]:
    if name in _BASE:
        return 0, _BASE[name]
    if name[:1] in _PREFIX and name[1:] in _BASE and name[1:] != "1":
        return _PREFIX[name[:1]], _BASE[name[1:]]
    known = ", ".join(u for u in _BASE if u not in ("1", "Ω"))
    raise UnitError(
        f"{where}: found the unit {name!r}, which is unknown; expected one of {known}, "
        "with an SI prefix (f p n u m k M G) if you like, as in '10 ms'"
    )


def dimension(unit: str) -> Dimension:
    """Dimension of a unit.

    Example:
        >>> str(dimension("mV/s")), str(dimension("mV")), str(dimension("1"))
        ('s^-4 m^2 kg A^-1', 'V', '1')
    """
    return _unit(unit, repr(unit))[1]


def must_be_si(unit: Any, where: str) -> None:
    """Refuse a unit that is unknown or has a prefix: numbers are stored in SI.

    Raises:
        UnitError: the unit is another.

    Example:
        >>> must_be_si("ms", "parameter")
        Traceback (most recent call last):
        ...
        spikelab.errors.UnitError: parameter: found the unit 'ms'; expected one without prefix, as in 's'; values are \
kept in SI, and a string such as '10 ms' is turned into it
    """
    if not isinstance(unit, str):
        raise UnitError(f"{where}: found {unit!r}; expected a unit as text, as in 's', or '1' for a plain number")
    ten, found = _unit(unit, where)
    if ten:
        raise UnitError(
            f"{where}: found the unit {unit!r}; expected one without prefix, as in {str(found)!r}; "
            "values are kept in SI, and a string such as '10 ms' is turned into it"
        )


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
    example = "a plain number, as in 0.5" if unit == "1" else f"a float in {unit} or a string such as '10 m{unit}'"
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if not match:
            raise UnitError(f"{where}: found {value!r}; expected {example}")
        number, exponent, text = match.groups()
        if not text and unit != "1":
            raise UnitError(f"{where}: found {value!r} without a unit; expected {example}")
        ten, found = _unit(text or "1", f"{where} {value!r}")
        if found != dimension(unit):
            raise UnitError(f"{where}: found {value!r}, which is in {found}; expected a quantity in {unit}: {example}")
        result = float(f"{number}e{int(exponent or 0) + ten}")
    else:
        try:
            if isinstance(value, bool | np.bool_ | np.complexfloating) or not hasattr(value, "__float__"):
                raise TypeError
            result = float(value)
        except (TypeError, ValueError, OverflowError):
            raise UnitError(
                f"{where}: found {brief(value)} of type {type(value).__name__}; expected {example}"
            ) from None
    if not math.isfinite(result):
        raise UnitError(f"{where}: found {value!r}; expected a finite number: {example}")
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
