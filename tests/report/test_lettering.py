"""Numbers and names as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.report.lettering import common_prefix, count_text, share_text, shortened, with_prefix

SCALE = {
    "a": 1e-18,
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "µ": 1e-6,
    "m": 1e-3,
    "": 1,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}


@given(st.floats(1e-21, 1e15))
def test_a_quantity_reads_back_to_three_digits(value: float) -> None:
    number, unit = with_prefix(value, "J").split(" ")
    assert float(number) * SCALE[unit.removesuffix("J")] == pytest.approx(value, rel=0.00501)


@given(st.floats(1e-18, 9.99e14))
def test_a_quantity_has_one_to_three_digits_before_the_point(value: float) -> None:
    assert 1 <= float(with_prefix(value, "J").split(" ")[0]) < 1000


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_share_is_none_or_all_only_if_it_is(whole: int, part: int) -> None:
    text = share_text(min(part, whole), whole)
    assert (text == "0.0 %") == (part == 0)
    assert (text == "100.0 %") == (part >= whole)


@given(st.text(max_size=60), st.integers(5, 30))
def test_a_shortened_name_fits_and_keeps_its_ends(name: str, most: int) -> None:
    text = shortened(name, most)
    assert len(text) <= most
    assert "\n" not in text


def test_names_that_differ_at_the_end_stay_different() -> None:
    assert shortened("a_long_layer_name_1", 12) != shortened("a_long_layer_name_2", 12)


def test_counts_are_whole_where_they_are() -> None:
    assert [count_text(v) for v in (0, 3.0, 2.5, 1234.5, 1e7)] == ["0", "3", "2.50", "1,234", "10,000,000"]


def test_the_largest_value_decides_the_prefix() -> None:
    assert common_prefix([]) == (1.0, "")
    assert common_prefix([0.0, 2e-7, 3e-6]) == (1e-6, "µ")
