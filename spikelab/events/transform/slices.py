"""Slices of a recording: by number of events, by time, or between given times. Nothing falls between two."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError, brief
from spikelab.events.array import Events, must_be_events, trusted, whole_us
from spikelab.events.steps import step_us
from spikelab.units import Quantity

__all__ = ["Outside", "Rest", "cut", "must_be_slices", "slices_at", "slices_by_count", "slices_by_time"]

Outside = Literal["error", "drop"]
"""What to do with events before the first edge and after the last."""
Rest = Literal["keep", "drop"]
"""What to do with the last slice when it has fewer events."""

_MOST_SLICES = 1_000_000


def slices_by_count(events: Events, count: int, *, stride: int | None = None, rest: Rest = "keep") -> NDArray[np.int64]:
    """Slice into equal numbers of events.

    Args:
        events: E events.
        count: events of a slice.
        stride: events from the start of a slice to that of the next, at most `count`; None takes `count`, so that no
            event is in two slices.
        rest: `"keep"` makes the last slice shorter where need be; `"drop"` leaves the events after the last whole slice
            out: `len(events) - slices[-1, 1]` of them.

    Returns:
        [T, 2] first event and event after the last of each slice. No events give no slice.

    Raises:
        ShapeError: count or stride is no integer above zero, or the stride is above the count.

    Example:
        >>> five = Events.from_columns(t=range(5), x=[0] * 5, shape=(1,))
        >>> slices_by_count(five, 2).tolist(), slices_by_count(five, 3, stride=1, rest="drop").tolist()
        ([[0, 2], [2, 4], [4, 5]], [[0, 3], [1, 4], [2, 5]])
    """
    must_be_events(events, "slices_by_count")
    stride = count if stride is None else stride
    if not is_whole(count) or not is_whole(stride) or not 1 <= stride <= count:
        raise ShapeError(
            f"slices_by_count: found count={count!r} and stride={stride!r}; expected integers, 1 <= stride <= count; "
            "a larger stride would lose events"
        )
    if rest not in ("keep", "drop"):
        raise ShapeError(f"slices_by_count: found rest={rest!r}; expected 'keep' or 'drop'; choose one")
    count, stride = min(count, len(events) + 1), min(stride, len(events) + 1)  # more is the same
    beyond = len(events) - int(count)  # negative where the first slice is not whole
    slices = max(-(-beyond // int(stride)), 0) + 1 if rest == "keep" else max(beyond // int(stride), -1) + 1
    first = np.arange(slices if len(events) else 0, dtype=np.int64) * int(stride)
    return np.stack([first, np.minimum(first + int(count), len(events))], axis=1)


def slices_by_time(
    events: Events, length: Quantity, *, stride: Quantity | None = None, start_us: int = 0
) -> NDArray[np.int64]:
    """Slice into equal times.

    Slice k holds the events with k * stride <= t - start_us < k * stride + length; the last one holds the last event,
    and may reach beyond it. As in `bin_events`, slice 0 starts at `start_us` and never at the first event.

    Args:
        events: E events.
        length: [s] of a slice, or a string with a unit.
        stride: [s] from the start of a slice to that of the next, at most `length`; None takes `length`, so that no
            event is in two slices.
        start_us: [us] start of slice 0.

    Returns:
        [T, 2] first event and event after the last of each slice. No events give no slice.

    Raises:
        ShapeError: an event before `start_us`, a stride above the length, or more than a million slices.
        UnitError: no duration above zero.

    Example:
        >>> three = Events.from_columns(t=[1, 1500, 1600], x=[0] * 3, shape=(1,))
        >>> slices_by_time(three, "1 ms").tolist(), slices_by_time(three, "1 ms", stride="0.5 ms").tolist()
        ([[0, 1], [1, 3]], [[0, 1], [1, 1], [1, 3]])
    """
    must_be_events(events, "slices_by_time")
    start_us, wide = whole_us(start_us, "slices_by_time: start_us"), step_us(length, "slices_by_time: length")
    step = wide if stride is None else step_us(stride, "slices_by_time: stride")
    if step > wide:
        raise ShapeError(
            f"slices_by_time: found stride={stride!r} and length={length!r}; expected a stride of at most the length; "
            "a larger one would lose events"
        )
    if not len(events):
        return np.zeros((0, 2), np.int64)
    first, last = int(events.t[0]), int(events.t[-1])
    if first < start_us:
        raise ShapeError(
            f"slices_by_time: found an event at {first} us, before start_us={start_us}; expected none; "
            f"use start_us={first}, or cut with events.between"
        )
    # Smallest number of slices of which the last one ends after the last event.
    slices = max(0, (last - start_us - wide) // step + 1) + 1
    if slices > _MOST_SLICES:
        raise ShapeError(
            f"slices_by_time: found {slices} slices from start_us={start_us} to the last event at {last} us; expected "
            f"at most {_MOST_SLICES}; take longer ones, or start_us={first}"
        )
    first_us = np.array(_times(start_us, step, slices), np.int64)
    # Last microseconds inside: the last slices may end where no int64 is.
    last_us = np.array([min(time - 1, last) for time in _times(start_us + wide, step, slices)], np.int64)
    return np.stack([np.searchsorted(events.t, first_us), np.searchsorted(events.t, last_us, side="right")], axis=1)


def slices_at(events: Events, edges_us: ArrayLike, *, outside: Outside = "error") -> NDArray[np.int64]:
    """Slice between given times.

    Args:
        events: E events.
        edges_us: [T + 1] times [us], sorted; slice k holds the events with edges[k] <= t < edges[k + 1].
        outside: `"error"` refuses events before the first edge or from the last edge on; `"drop"` leaves them out:
            `len(events) - (slices[-1, 1] - slices[0, 0])` of them.

    Returns:
        [T, 2] first event and event after the last of each slice.

    Raises:
        ShapeError: edges that are not integers, fewer than two or not sorted, or an event outside.

    Example:
        >>> three = Events.from_columns(t=[1, 1500, 1600], x=[0] * 3, shape=(1,))
        >>> slices_at(three, [0, 1500, 1550, 2000]).tolist()
        [[0, 1], [1, 2], [2, 3]]
    """
    must_be_events(events, "slices_at")
    edges = np.asarray(edges_us)
    if edges.ndim != 1 or len(edges) < 2 or edges.dtype.kind not in "iu" or (edges[1:] < edges[:-1]).any():
        raise ShapeError(
            f"slices_at: found edges {brief(edges_us)}; expected at least two sorted integers [us]; pass [0, 1000], say"
        )
    if outside not in ("error", "drop"):
        raise ShapeError(f"slices_at: found outside={outside!r}; expected 'error' or 'drop'; choose one")
    first = np.searchsorted(events.t, edges.astype(np.int64))
    lost = len(events) - int(first[-1] - first[0])
    if lost and outside == "error":
        raise ShapeError(
            f"slices_at: found {lost} of {len(events)} events outside {edges[0]} to {edges[-1]} us; expected none; "
            'use wider edges, or outside="drop"'
        )
    return np.stack([first[:-1], first[1:]], axis=1)


def cut(events: Events, slices: ArrayLike) -> list[Events]:
    """Take slices of a recording; times stay as they are, nothing is copied.

    Args:
        events: E events.
        slices: [T, 2] first event and event after the last of each slice.

    Raises:
        ShapeError: a slice that is not within the events.

    Example:
        >>> three = Events.from_columns(t=[1, 1500, 1600], x=[0] * 3, shape=(1,))
        >>> cut(three, slices_by_count(three, 2))
        [Events(2 events, 1 channels, t 1 to 1500 us), Events(1 events, 1 channels, t 1600 to 1600 us)]
    """
    must_be_events(events, "cut")
    pairs = must_be_slices(slices, events, "cut").tolist()
    return [trusted(events.array[first:stop], events.shape) for first, stop in pairs]


def must_be_slices(slices: Any, events: Events, where: str) -> NDArray[np.int64]:
    """Check slices [T, 2] against the events that they are of.

    Raises:
        ShapeError: something else, or a slice that is not within the events.
    """
    array = np.asarray(slices)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ShapeError(
            f"{where}: found slices {brief(slices)}; expected integers [T, 2]; make them with slices_by_count, "
            "slices_by_time or slices_at"
        )
    bad = (array[:, 0] < 0) | (array[:, 1] < array[:, 0]) | (array[:, 1] > len(events))
    if bad.any():
        k = int(np.argmax(bad))
        raise ShapeError(
            f"{where}: found slice {k} from {array[k, 0]} to {array[k, 1]}; expected it within the {len(events)} "
            "events; make the slices from the same recording"
        )
    return array.astype(np.int64, copy=False)


def _times(start: Fraction | int, step: Fraction, count: int) -> list[int]:
    """[count] start + k * step, rounded up, exactly and without a `Fraction` for each."""
    unit = math.lcm(start.denominator, step.denominator)
    first, length = int(start * unit), int(step * unit)
    return [-(-(first + k * length) // unit) for k in range(count)]
