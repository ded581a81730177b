"""Filters by what a pixel and those beside it did before: background activity, refractory period."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from spikelab.errors import UnitError
from spikelab.events.array import Events, must_be_events
from spikelab.events.steps import step_us
from spikelab.events.transform.records import kept, must_be_moderate, must_have_memory, records, strides
from spikelab.units import Quantity

__all__ = ["denoise", "refractory"]

_NEVER = -(2**62)
_MOST_US = 2**60


def denoise(events: Events, window: Quantity, *, warm_up: bool = True) -> Events:
    """Drop background activity: events that no event of a neighbouring pixel preceded by less than `window`.

    Neighbours are the four pixels that share a side (two channels). Polarity does not matter. Number of dropped
    events: that of the events before less that after.

    Args:
        events: E events.
        window: [s] or a string with a unit.
        warm_up: whether every pixel counts as active at time 0 of the recording's time line, as in tonic: a recording
            that starts there keeps the events of its first `window`, of which nobody can know. False drops them
            unless a neighbour is seen.

    Raises:
        UnitError: the window is not a duration above zero.
        ShapeError: times beyond 2**61 us, or more than 2**28 pixels.

    Source:
        Delbruck, Frame-free dynamic digital vision, Intl. Symp. on Secure-Life Electronics, 2008.

    Example:
        >>> three = Events.from_columns(t=[100, 150, 150], x=[3, 4, 7], shape=(9,))
        >>> denoise(three, "1 ms", warm_up=False).x
        array([4], dtype=uint16)
    """
    from spikelab.events.transform.activity_kernel import supported

    must_be_events(events, "denoise")
    must_be_moderate(events, "denoise")
    must_have_memory(events, "denoise")
    width, height = (*events.shape, 1)[:2]
    last = np.full((height + 2, width + 2), _NEVER, np.int64)
    if warm_up:
        last[1:-1, 1:-1] = 0
    mask = np.zeros(len(events), np.bool_)
    # t > since, with t whole: the time since need not be.
    supported(records(events), _ceil_us(window, "denoise: window"), width + 2, last.reshape(-1), mask)
    return kept(events, mask)


def refractory(events: Events, period: Quantity, *, extend: bool = True) -> Events:
    """Drop events that follow an event of the same pixel by `period` or less, whatever their polarity.

    The first event of each pixel is kept.

    Args:
        events: E events.
        period: [s] or a string with a unit.
        extend: whether a dropped event starts the period anew, as in tonic; False measures from the last event that was
            kept, as a pixel with a dead time does.

    Raises:
        UnitError: the period is not a duration above zero.
        ShapeError: times beyond 2**61 us, or more than 2**28 pixels.

    Example:
        >>> four = Events.from_columns(t=[0, 8, 16, 40], x=[0, 0, 0, 0], shape=(1,))
        >>> refractory(four, "10 us").t, refractory(four, "10 us", extend=False).t
        (array([ 0, 40]), array([ 0, 16, 40]))
    """
    from spikelab.events.transform.activity_kernel import rested

    must_be_events(events, "refractory")
    must_be_moderate(events, "refractory")
    must_have_memory(events, "refractory")
    last = np.full(int(np.prod(events.shape)), _NEVER, np.int64)
    mask = np.zeros(len(events), np.bool_)
    row = strides(events.shape)[0]
    rested(records(events), _floor_us(period, "refractory: period"), row, bool(extend), last, mask)
    return kept(events, mask)


def _moderate_us(value: Quantity, where: str) -> Fraction:
    us = step_us(value, where)
    if us > _MOST_US:
        raise UnitError(f"{where}: found {value!r}; expected at most 2**60 us; pass '10 ms', say")
    return us


def _ceil_us(value: Quantity, where: str) -> int:
    us = _moderate_us(value, where)
    return -(-us.numerator // us.denominator)


def _floor_us(value: Quantity, where: str) -> int:
    us = _moderate_us(value, where)
    return us.numerator // us.denominator
