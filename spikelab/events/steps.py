"""Time steps: where each starts, and how many a recording needs. Exact: no rounding adds up."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.events.array import Events
from spikelab.units import Quantity, seconds

__all__ = ["step_edges", "step_us", "steps_needed"]


def step_edges(dt: Quantity, steps: int, start_us: int = 0) -> NDArray[np.int64]:
    """Compute the time at which each step starts, exactly.

    Step k holds the integer times t with edge[k] <= t < edge[k + 1]; edge[k] = start_us + ceil(k * dt).
    `dt` need not be whole microseconds: no rounding adds up.

    Args:
        dt: [s] length of a step, or a string with a unit.
        steps: number of steps T.
        start_us: [us] start of step 0.

    Returns:
        [T + 1] times [us].

    Raises:
        UnitError: dt is not a duration above zero.
        ShapeError: steps is negative, or the last step ends after 2**63 us.

    Example:
        >>> step_edges("2.5 us", 4)
        array([ 0,  3,  5,  8, 10])
    """
    dt_us = step_us(dt)
    if steps < 0 or start_us + steps * dt_us >= 2**63:
        raise ShapeError(
            f"step_edges: found steps={steps} of {float(dt_us):g} us from {start_us} us; expected 0 or more, up to "
            "2**63 us; "
            "take fewer"
        )
    if dt_us.denominator == 1:
        return start_us + np.arange(steps + 1, dtype=np.int64) * int(dt_us)
    n, d = dt_us.numerator, dt_us.denominator
    return start_us + np.array([-(-k * n // d) for k in range(steps + 1)], dtype=np.int64)


def steps_needed(events: Events, dt: Quantity, start_us: int = 0) -> int:
    """Count the steps from `start_us` to the last event, 0 where there are no events.

    Example:
        >>> steps_needed(Events.from_columns(t=[0, 1500], x=[3, 4], shape=(8,)), dt="1 ms")
        2
    """
    return int(Fraction(int(events.t[-1]) - int(start_us)) / step_us(dt)) + 1 if len(events) else 0


def step_us(dt: Quantity, where: str = "dt") -> Fraction:
    """Length of a step [us], as it is written: 0.0011 s is 1100 us, although the float is not; `where` names it.

    Raises:
        UnitError: not a duration above zero.

    Example:
        >>> step_us("0.25 us")
        Fraction(1, 4)
    """
    return Fraction(repr(seconds(dt, where))) * 10**6
