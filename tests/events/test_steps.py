from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import ShapeError, UnitError
from spikelab.events import Events, step_edges, steps_needed


@given(st.integers(1, 10**7), st.integers(0, 300), st.integers(-(10**15), 10**15))
def test_edges_are_exact_for_any_tenth_of_a_microsecond(tenths: int, steps: int, start: int) -> None:
    edges = step_edges(f"{tenths / 10} us", steps, start)
    assert edges.tolist() == [start - (-k * Fraction(tenths, 10)).__floor__() for k in range(steps + 1)]


def test_a_float_is_the_decimal_it_shows() -> None:
    # 0.0011 * 1e6 is 1100.0000000000002: an edge built from it would take one event too many.
    assert step_edges(0.0011, 3).tolist() == [0, 1100, 2200, 3300]


@given(st.integers(0, 10**6), st.integers(1, 5000))
def test_steps_needed_is_the_least_that_holds_the_last_event(last: int, dt_us: int) -> None:
    events = Events.from_columns([0, last], [0, 0], shape=(1,))
    steps = steps_needed(events, f"{dt_us} us")
    assert step_edges(f"{dt_us} us", steps)[-1] > last
    assert step_edges(f"{dt_us} us", steps - 1)[-1] <= last


def test_no_events_need_no_steps() -> None:
    assert steps_needed(Events.from_columns([], [], shape=(1,)), "1 ms") == 0


@pytest.mark.parametrize("dt", [0, -1.0, "5", "5 mV", np.nan, None])
def test_a_bad_step_is_refused(dt: object) -> None:
    with pytest.raises(UnitError):
        step_edges(dt, 3)  # type: ignore[arg-type]


def test_steps_beyond_int64_are_refused() -> None:
    with pytest.raises(ShapeError, match="step_edges"):
        step_edges("1 s", 10**14)
    with pytest.raises(ShapeError, match="step_edges"):
        step_edges("1 s", -1)
