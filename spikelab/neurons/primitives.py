"""The closed table of primitives that a `step` may use beside `+ - *`.

One row per primitive holds all that any reader needs: the NumPy function (clocked reference), the
Numba and the Triton expression (kernels), the adjoint (gradients), the rule for units and the operations it costs.
A reader that lacks a row refuses the model by name; no reader adds one of its own.

`exp` in float32 is one polynomial with a bit-built power of two, the same operations in the same
order for NumPy, torch, Numba and Triton, so that all give the same bits.

A NaN does the same in every reader: `maximum(a, b)` is `a if a > b else b` (`minimum` likewise), which is
one machine instruction, so that a NaN or a tie gives b; `count`, `exp` and what is made of them pass a NaN
on; `spike`, `reach` and `gate` of a NaN are 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from spikelab.errors import UnitError
from spikelab.units import DIMENSIONLESS, Dimension, Dimensioned

__all__ = ["NUMPY", "PRIMITIVES", "UNITS", "Primitive", "exp_numba_source", "exp_polynomial", "triton_functions"]

# Cephes `expf` (S. Moshier, Methods and Programs for Mathematical Functions, 1989): degree-5
# polynomial on [-ln 2 / 2, ln 2 / 2], ln 2 split in two so that the reduction is exact.
LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
EXP_COEFFICIENTS = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
EXP_LOW, EXP_HIGH = -87.0, 88.0
# (e^x - 1) / x = sum of x^k / (k + 1)!, highest power first: below the bound it is exact to 1e-12, above it
# the difference e^x - 1 loses two bits at most.
EXPREL_SERIES_BELOW = 0.35
EXPREL_SERIES = tuple(1 / math.factorial(k + 1) for k in range(9, -1, -1))


def exp_polynomial(x: Any) -> Any:
    """Exponential of float32 values by the polynomial; of float64 values by NumPy.

    Args:
        x: [...] float32 or float64; float32 is clamped to [-87, 88].

    Returns:
        [...] of the same dtype.

    Source:
        Cephes mathematical library, `expf`.
    """
    x = np.asarray(x)
    if x.dtype != np.float32:
        with np.errstate(over="ignore"):  # as in a kernel: infinity, of which sigmoid and tanh make 0
            return np.exp(x)
    f = np.float32
    x = np.minimum(np.maximum(x, f(EXP_LOW)), f(EXP_HIGH))
    n = np.floor(x * f(LOG2_E) + f(0.5))
    r = (x - n * f(LN2_HIGH)) - n * f(LN2_LOW)
    y = np.full_like(r, f(EXP_COEFFICIENTS[0]))
    for c in EXP_COEFFICIENTS[1:]:
        y = y * r + f(c)
    y = (y * (r * r) + r) + f(1.0)
    with np.errstate(invalid="ignore"):  # NaN has no whole part; y is NaN already
        whole = n.astype(np.int32)
    return y * ((whole + np.int32(127)) << np.int32(23)).view(np.float32)


def exp_numba_source(dtype: str) -> str:
    """Source of `_exp(x)` for a generated kernel; the same operations as `exp_polynomial`."""
    if dtype == "float64":
        return "@njit(inline='always', error_model='numpy')\ndef _exp(x):\n    return np.exp(x)\n"
    lines = [
        "@njit(inline='always', error_model='numpy')",
        "def _exp(x):",
        f"    x = min(max(x, F({EXP_LOW!r})), F({EXP_HIGH!r}))",
        f"    n = np.floor(x * F({LOG2_E!r}) + F(0.5))",
        f"    r = (x - n * F({LN2_HIGH!r})) - n * F({LN2_LOW!r})",
        f"    y = F({EXP_COEFFICIENTS[0]!r})",
    ]
    lines += [f"    y = y * r + F({c!r})" for c in EXP_COEFFICIENTS[1:]]
    lines += [
        "    y = (y * (r * r) + r) + F(1.0)",
        "    return y * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)",
    ]
    return "\n".join(lines) + "\n"


def triton_functions() -> str:
    """Source of `_exp(x)` and `_count(v, threshold, most)` for a generated Triton kernel.

    NaN and ties go as in Numba: `min` and `max` there keep the first operand unless the second is beyond it.
    """
    lines = [
        "@triton.jit",
        "def _exp(x):",
        f"    x = tl.where(x < {EXP_LOW!r}, {EXP_LOW!r}, x)",
        f"    x = tl.where(x > {EXP_HIGH!r}, {EXP_HIGH!r}, x)",
        f"    n = tl.floor(x * {LOG2_E!r} + 0.5)",
        f"    r = (x - n * {LN2_HIGH!r}) - n * {LN2_LOW!r}",
        f"    y = r * {EXP_COEFFICIENTS[0]!r} + {EXP_COEFFICIENTS[1]!r}",
    ]
    lines += [f"    y = y * r + {c!r}" for c in EXP_COEFFICIENTS[2:]]
    lines += [
        "    y = (y * (r * r) + r) + 1.0",
        "    return y * ((n.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)",
        "",
        "",
        "@triton.jit",
        "def _count(v, threshold, most):",
        "    n = tl.floor(tl.div_rn(v, threshold))",
        "    n = tl.where(n < 0.0, 0.0, n)",
        "    return tl.where(most < n, most, n)",
    ]
    return "\n".join(lines) + "\n"


def _same(*units: Dimension) -> Dimension:
    if any(u != units[0] for u in units):
        raise UnitError(f"step: operands in {', '.join(map(str, units))}; they must have one unit")
    return units[0]


def _plain(*units: Dimension) -> Dimension:
    if any(u != DIMENSIONLESS for u in units):
        raise UnitError(f"step: operand in {', '.join(map(str, units))}; expected a plain number")
    return DIMENSIONLESS


def _select_unit(z: Dimension, a: Dimension, b: Dimension) -> Dimension:
    _plain(z)
    return _same(a, b)


def _count_unit(v: Dimension, threshold: Dimension, most: Dimension) -> Dimension:
    _same(v, threshold)
    return _plain(most)


Adjoint = Callable[[Any, tuple[Any, ...], Any, Any], tuple[Any, ...]]


@dataclass(frozen=True)
class Primitive:
    """One row of the table.

    Args:
        arity: number of operands.
        numpy: the function on arrays.
        source: Numba expression of the operands `{0}`, `{1}`, ...; `F` is the float type.
        triton: Triton expression of the operands, float32.
        adjoint: `(f, operands, result, g) -> gradients`, None where none flows; `f.constant`
            and the primitives are at hand. `spike`, `reach` and `count` get theirs from the surrogate.
        unit: dimension of the result from those of the operands.
        cost: operations it stands for.
    """

    arity: int
    numpy: Callable[..., Any]
    source: str
    triton: str
    adjoint: Adjoint | None
    unit: Callable[..., Dimension]
    cost: Mapping[str, int] = field(default_factory=dict)


def _spike(d: Any) -> Any:
    d = np.asarray(d)
    return (d > 0).astype(d.dtype)


def _reach(d: Any) -> Any:
    d = np.asarray(d)
    return (d >= 0).astype(d.dtype)


def _select(z: Any, a: Any, b: Any) -> Any:
    return np.where(np.asarray(z) != 0, a, b).astype(np.result_type(a, b), copy=False)


def _count(v: Any, threshold: Any, most: Any) -> Any:
    return np.minimum(np.maximum(np.floor(np.divide(v, threshold)), 0), most).astype(np.asarray(v).dtype, copy=False)


def _maximum(a: Any, b: Any) -> Any:
    return np.where(np.greater(a, b), a, b).astype(np.result_type(a, b), copy=False)


def _minimum(a: Any, b: Any) -> Any:
    return np.where(np.less(a, b), a, b).astype(np.result_type(a, b), copy=False)


def _sigmoid(x: Any) -> Any:
    one = np.asarray(x).dtype.type(1)
    return one / (one + exp_polynomial(-x))


def _tanh(x: Any) -> Any:
    f = np.asarray(x).dtype.type
    return f(2) / (f(1) + exp_polynomial(f(-2) * x)) - f(1)


def _exprel(x: Any) -> Any:
    x = np.asarray(x)
    f = x.dtype.type
    small = np.abs(x) < f(EXPREL_SERIES_BELOW)
    series = np.full_like(x, f(EXPREL_SERIES[0]))
    for c in EXPREL_SERIES[1:]:
        series = series * x + f(c)
    return np.where(small, series, (exp_polynomial(x) - f(1)) / np.where(small, f(1), x))


def _exprel_source() -> str:
    series = f"F({EXPREL_SERIES[0]!r})"
    for c in EXPREL_SERIES[1:]:
        series = f"({series} * {{0}} + F({c!r}))"
    return f"({series} if abs({{0}}) < F({EXPREL_SERIES_BELOW!r}) else (_exp({{0}}) - F(1.0)) / {{0}})"


def _exprel_triton() -> str:
    series = f"({{0}} * {EXPREL_SERIES[0]!r} + {EXPREL_SERIES[1]!r})"
    for c in EXPREL_SERIES[2:]:
        series = f"({series} * {{0}} + {c!r})"
    return f"tl.where(tl.abs({{0}}) < {EXPREL_SERIES_BELOW!r}, {series}, tl.div_rn(_exp({{0}}) - 1.0, {{0}}))"


def _select_adjoint(f: Any, operands: tuple[Any, ...], y: Any, g: Any) -> tuple[Any, ...]:
    z, a, b = operands
    zero = f.constant(0.0)
    return g * (a - b), f.select(z, g, zero), f.select(z, zero, g)


def _maximum_adjoint(f: Any, operands: tuple[Any, ...], y: Any, g: Any) -> tuple[Any, ...]:
    first = f.gate(operands[0] - operands[1])
    zero = f.constant(0.0)
    return f.select(first, g, zero), f.select(first, zero, g)


def _minimum_adjoint(f: Any, operands: tuple[Any, ...], y: Any, g: Any) -> tuple[Any, ...]:
    first = f.gate(operands[1] - operands[0])
    zero = f.constant(0.0)
    return f.select(first, g, zero), f.select(first, zero, g)


def _divide_adjoint(f: Any, operands: tuple[Any, ...], y: Any, g: Any) -> tuple[Any, ...]:
    a, b = operands
    return f.divide(g, b), (f.constant(0.0) - g) * f.divide(f.divide(a, b), b)


def _exprel_adjoint(f: Any, operands: tuple[Any, ...], y: Any, g: Any) -> tuple[Any, ...]:
    # d/dx (e^x - 1) / x = (e^x - y) / x, which cancels near 0: there the derivative of the series.
    (x,) = operands
    near = f.gate(f.constant(EXPREL_SERIES_BELOW**2) - x * x)
    powers = range(len(EXPREL_SERIES) - 1, 0, -1)
    first, *rest = (k * c for k, c in zip(powers, EXPREL_SERIES, strict=False))
    series = f.constant(first)
    for c in rest:
        series = series * x + f.constant(c)
    slope = f.divide(f.exp(x) - y, f.select(near, f.constant(1.0), x))
    return (g * f.select(near, series, slope),)


PRIMITIVES: dict[str, Primitive] = {
    "spike": Primitive(
        1,
        _spike,
        "(F(1.0) if {0} > F(0.0) else F(0.0))",
        "({0} > 0.0).to(tl.float32)",
        None,
        lambda d: DIMENSIONLESS,
        {"compare": 1},
    ),
    "reach": Primitive(
        1,
        _reach,
        "(F(1.0) if {0} >= F(0.0) else F(0.0))",
        "({0} >= 0.0).to(tl.float32)",
        None,
        lambda d: DIMENSIONLESS,
        {"compare": 1},
    ),
    "gate": Primitive(
        1,
        _spike,
        "(F(1.0) if {0} > F(0.0) else F(0.0))",
        "({0} > 0.0).to(tl.float32)",
        lambda f, a, y, g: (None,),
        lambda d: DIMENSIONLESS,
        {"compare": 1},
    ),
    "select": Primitive(
        3, _select, "({1} if {0} != F(0.0) else {2})", "tl.where({0} != 0.0, {1}, {2})", _select_adjoint, _select_unit
    ),
    "detach": Primitive(1, lambda x: x, "{0}", "{0}", lambda f, a, y, g: (None,), lambda u: u),
    "exp": Primitive(1, exp_polynomial, "_exp({0})", "_exp({0})", lambda f, a, y, g: (g * y,), _plain, {"exp": 1}),
    "exprel": Primitive(
        1,
        _exprel,
        _exprel_source(),
        _exprel_triton(),
        _exprel_adjoint,
        _plain,
        {"exp": 1, "add": 1, "divide": 1},
    ),
    "sigmoid": Primitive(
        1,
        _sigmoid,
        "(F(1.0) / (F(1.0) + _exp(-{0})))",
        "tl.div_rn(1.0, _exp(-{0}) + 1.0)",
        lambda f, a, y, g: (g * (y * (f.constant(1.0) - y)),),
        _plain,
        {"exp": 1, "add": 1, "divide": 1},
    ),
    "tanh": Primitive(
        1,
        _tanh,
        "(F(2.0) / (F(1.0) + _exp(F(-2.0) * {0})) - F(1.0))",
        "(tl.div_rn(2.0, _exp({0} * -2.0) + 1.0) - 1.0)",
        lambda f, a, y, g: (g * (f.constant(1.0) - y * y),),
        _plain,
        {"exp": 1, "add": 2, "divide": 1},
    ),
    "divide": Primitive(
        2, np.divide, "({0} / {1})", "tl.div_rn({0}, {1})", _divide_adjoint, lambda a, b: a * b**-1, {"divide": 1}
    ),
    "maximum": Primitive(
        2,
        _maximum,
        "({0} if {0} > {1} else {1})",
        "tl.where({0} > {1}, {0}, {1})",
        _maximum_adjoint,
        _same,
        {"compare": 1},
    ),
    "minimum": Primitive(
        2,
        _minimum,
        "({0} if {0} < {1} else {1})",
        "tl.where({0} < {1}, {0}, {1})",
        _minimum_adjoint,
        _same,
        {"compare": 1},
    ),
    # Backward the identity (straight-through): for states and weights that a chip keeps as integers.
    "truncate": Primitive(
        1,
        np.trunc,
        "np.trunc({0})",
        "tl.where({0} < 0.0, tl.ceil({0}), tl.floor({0}))",
        lambda f, a, y, g: (g,),
        lambda u: u,
    ),
    "count": Primitive(
        3,
        _count,
        "min(max(np.floor({0} / {1}), F(0.0)), {2})",
        "_count({0}, {1}, {2})",
        None,
        _count_unit,
        {"divide": 1, "compare": 2},
    ),
}
"""The table, by name."""

NUMPY = SimpleNamespace(**{name: p.numpy for name, p in PRIMITIVES.items()})
"""The primitives on NumPy arrays: the `f` of the clocked reference."""


def _on_units(p: Primitive) -> Callable[..., Dimensioned]:
    return lambda *args: Dimensioned(p.unit(*(a.unit for a in args)))


UNITS = SimpleNamespace(**{name: _on_units(p) for name, p in PRIMITIVES.items()})
"""The primitives on `Dimensioned` numbers: the `f` of the unit checker."""
