import contextlib
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import UnitError
from spikelab.units import DIMENSIONLESS, Dimensioned, dimension, seconds, si

GOOD: list[tuple[Any, str, float]] = [
    ("10 ms", "s", 0.01),
    ("10ms", "s", 0.01),
    ("  10   ms ", "s", 0.01),
    ("+1.5e1 ms", "s", 0.015),
    ("-65 mV", "V", -0.065),
    (".5 V", "V", 0.5),
    ("5. V", "V", 5.0),
    ("0.1 us", "s", 1e-7),
    ("3 µs", "s", 3e-6),  # micro sign
    ("3 μs", "s", 3e-6),  # Greek mu
    ("7 fS", "S", 7e-15),
    ("2 pA", "A", 2e-12),
    ("3 GHz", "Hz", 3e9),
    ("4 MΩ", "ohm", 4e6),
    ("4 kohm", "ohm", 4e3),
    ("23.6 pJ", "J", 23.6e-12),
    ("1 mm", "m", 1e-3),
    ("5 m", "m", 5.0),
    ("20 mV/ms", "V/s", 20.0),
    ("1 V/ns", "V/s", 1e9),
    ("3 A*s", "C", 3.0),
    ("2 nF", "s/ohm", 2e-9),
    ("8 s/ms", "1", 8000.0),
    ("100 1/s", "Hz", 100.0),
    ("0.5", "1", 0.5),
    ("1e3", "1", 1000.0),
    ("2 1", "1", 2.0),
    (0.25, "V", 0.25),
    (3, "V", 3.0),
    (np.float32(0.5), "V", 0.5),
    (np.int64(-2), "V", -2.0),
    (np.array(0.5), "V", 0.5),
    (Decimal("0.25"), "V", 0.25),
]


@pytest.mark.parametrize(("value", "unit", "expected"), GOOD)
def test_a_quantity_becomes_the_nearest_float_in_si(value: Any, unit: str, expected: float) -> None:
    result = si(value, unit)
    assert type(result) is float and result == expected


@given(
    st.decimals(-1000, 1000, places=4),
    st.sampled_from([("fs", -15), ("ps", -12), ("us", -6), ("ms", -3), ("s", 0), ("Ms", 6)]),
)
def test_a_text_is_rounded_once(number: Decimal, unit: tuple[str, int]) -> None:
    assert si(f"{number} {unit[0]}", "s") == float(number.scaleb(unit[1]))


BAD: list[tuple[Any, str, str]] = [
    ("10", "s", r"tau: found '10' without a unit; expected a float in s or a string such as '10 ms'"),
    (
        "10 mV",
        "s",
        r"tau: found '10 mV', which is in V; expected a quantity in s: a float in s or a string such as '10 ms'",
    ),
    ("10 s/V", "s", r"found '10 s/V', which is in s\^4 m\^-2 kg\^-1 A; expected a quantity in s"),
    ("10 S", "s", r"found '10 S', which is in S; expected a quantity in s"),
    ("10 xs", "s", r"tau '10 xs': found the unit 'xs', .*expected one of s, Hz, .* with an SI prefix"),
    ("10 ms ms", "s", r"found '10 ms ms'; expected a float in s or a string such as '10 ms'"),
    ("10 ms/", "s", r"tau '10 ms/': found the unit ''"),
    ("10 percent", "1", r"tau '10 percent': found the unit 'percent'"),
    ("ten ms", "s", r"tau: found 'ten ms'; expected a float in s or a string such as '10 ms'"),
    ("", "s", r"tau: found ''; expected"),
    ("ms", "s", r"tau: found 'ms'; expected"),
    ("1,5 ms", "s", r"tau: found '1,5 ms'; expected"),
    ("1_000 ms", "s", r"tau: found '1_000 ms'; expected"),
    ("- 1 s", "s", r"tau: found '- 1 s'; expected"),
    ("nan s", "s", r"tau: found 'nan s'; expected"),
    ("inf", "1", r"tau: found 'inf'; expected a plain number, as in 0\.5"),
    ("1e400 s", "s", r"tau: found '1e400 s'; expected a finite number: a float in s"),
    ("1e99999 s", "s", r"tau: found '1e99999 s'; expected"),
    ("٣ s", "s", r"tau: found '٣ s'; expected"),
    (math.nan, "s", r"tau: found nan; expected a finite number"),
    (math.inf, "1", r"tau: found inf; expected a finite number: a plain number"),
    (10**400, "s", r"of type int; expected a float in s"),
    (True, "s", r"tau: found True of type bool; expected a float in s"),
    (np.True_, "s", r"of type bool; expected a float in s"),
    (None, "s", r"tau: found None of type NoneType; expected a float in s"),
    (b"1", "1", r"tau: found b'1' of type bytes; expected a plain number, as in 0\.5"),
    (1 + 2j, "s", r"of type complex; expected"),
    (np.complex64(1), "s", r"of type complex64; expected"),
    ([1.0], "s", r"tau: found \[1\.0\] of type list; expected"),
    (np.array([1.0, 2.0]), "s", r"of type ndarray; expected a float in s"),
]


@pytest.mark.parametrize(("value", "unit", "message"), BAD)
def test_what_is_no_quantity_is_refused_with_its_place(value: Any, unit: str, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        si(value, unit, "tau")


@given(st.text(max_size=12), st.sampled_from(["s", "V", "1", "V/s"]))
def test_any_text_gives_a_finite_float_or_a_unit_error(text: str, unit: str) -> None:
    with contextlib.suppress(UnitError):
        assert math.isfinite(si(text, unit))


def test_a_duration_is_above_zero() -> None:
    assert seconds("5 ms") == 0.005 and seconds(1) == 1.0
    for value in ("0 s", "-1 ms", 0.0):
        with pytest.raises(UnitError, match=r"dt: found .*; expected a duration above zero, as in '1 ms'"):
            seconds(value)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("V/A", "ohm"),
        ("J/s", "W"),
        ("A*s", "C"),
        ("1/ohm", "S"),
        ("C/V", "F"),
        ("V*A*s", "J"),
        ("1/s", "Hz"),
        ("mV", "V"),
        ("1", "s/s"),
    ],
)
def test_units_that_are_equal_by_physics_are_equal(left: str, right: str) -> None:
    assert dimension(left) == dimension(right)


@pytest.mark.parametrize(
    ("unit", "text"),
    [("V/A", "ohm"), ("J/s", "W"), ("s/s", "1"), ("1/s", "Hz"), ("V/s", "s^-4 m^2 kg A^-1"), ("m*m", "m^2")],
)
def test_a_dimension_is_written_as_the_unit_it_is_or_in_base_units(unit: str, text: str) -> None:
    assert str(dimension(unit)) == text


UNITS = st.sampled_from(["s", "m", "A", "V", "J", "ohm", "F", "1"]).map(dimension)


@given(UNITS, UNITS, UNITS, st.integers(-4, 4))
def test_dimensions_multiply_as_a_group(a: Any, b: Any, c: Any, n: int) -> None:
    assert a * b == b * a and (a * b) * c == a * (b * c) and a * DIMENSIONLESS == a
    assert a * a**-1 == DIMENSIONLESS and (a * b) ** n == a**n * b**n


V, A = Dimensioned(dimension("V")), Dimensioned(dimension("A"))


def test_sums_demand_one_unit_and_products_join_them() -> None:
    assert (V + V).unit == (V - V).unit == dimension("V") and (V * A).unit == dimension("W")
    with pytest.raises(UnitError, match=r"step: V \+ A; both sides must have one unit"):
        V + A
    with pytest.raises(UnitError, match=r"step: A - V; both sides"):
        A - V


@pytest.mark.parametrize("make", [lambda: V + 1.0, lambda: V - 1.0, lambda: V * 1.0])
def test_a_literal_has_no_unit(make: Any) -> None:
    with pytest.raises(UnitError, match=r"step: a literal 1\.0 beside a quantity in V; make it a coefficient"):
        make()
