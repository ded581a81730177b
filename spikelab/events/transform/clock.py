"""Events on another time line: moved, or stretched. None is dropped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spikelab.errors import ShapeError, brief
from spikelab.events.array import Events, must_be_events, whole_us
from spikelab.events.transform.records import altered

__all__ = ["shift_time", "skew_time"]

_MOST_US = 2**62


def shift_time(events: Events, by_us: int | None = None) -> Events:
    """Add to all times.

    Args:
        events: E events.
        by_us: [us]; None moves the first event to 0.

    Raises:
        ShapeError: no whole microseconds, or times that come to lie beyond 2**62 us.

    Example:
        >>> shift_time(Events.from_columns(t=[7, 18], x=[0, 0], shape=(1,))).t
        array([ 0, 11])
    """
    must_be_events(events, "shift_time")
    if not len(events):
        return events
    by = -int(events.t[0]) if by_us is None else whole_us(by_us, "shift_time: by_us")
    _must_be_on_line([int(events.t[0]) + by, int(events.t[-1]) + by], "shift_time")
    # In two parts: a shift may be wider than 64 bits.
    return altered(events, t=events.t + by // 2 + (by - by // 2))


def skew_time(events: Events, factor: float, offset_us: int = 0) -> Events:
    """Stretch or shrink the time from 0 of the time line on, and add an offset.

    Args:
        events: E events.
        factor: above zero; 2 makes it twice as slow.
        offset_us: [us].

    Returns:
        E events at round(t * factor) + offset_us, in the same order; exact for times up to 2**53 us.

    Raises:
        ShapeError: no factor above zero, or times that come to lie beyond 2**62 us.

    Example:
        >>> skew_time(Events.from_columns(t=[7, 18], x=[0, 0], shape=(1,)), 1.5, offset_us=100).t
        array([110, 127])
    """
    must_be_events(events, "skew_time")
    offset_us = whole_us(offset_us, "skew_time: offset_us")
    number = isinstance(factor, int | float | np.integer | np.floating) and not isinstance(factor, bool)
    if not number or not 0 < factor < math.inf:
        raise ShapeError(f"skew_time: found factor={brief(factor)}; expected a number above zero; pass 0.5, say")
    if not len(events):
        return events
    _must_be_on_line([t * float(factor) + offset_us for t in (int(events.t[0]), int(events.t[-1]), 0)], "skew_time")
    return altered(events, t=np.rint(events.t * float(factor)).astype(np.int64) + offset_us)


def _must_be_on_line(times: list[Any], where: str) -> None:
    if any(abs(t) > _MOST_US for t in times):
        raise ShapeError(
            f"{where}: found times from {times[0]:.17g} to {times[1]:.17g} us; expected them within 2**62 us of 0; "
            "shift or shrink by less"
        )
