"""Frames: events counted per pixel in steps of time, or in any slices of a recording."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, whole_us
from spikelab.events.steps import step_edges, step_us, steps_needed
from spikelab.events.transform.records import records, strides
from spikelab.events.transform.results import blank
from spikelab.events.transform.slices import must_be_slices
from spikelab.units import Quantity

__all__ = [
    "Late",
    "bin_events",
    "bin_slices",
    "cell_shape",
    "count_late",
    "locate",
    "must_fit",
    "number_type",
    "step_bounds",
    "steps_from",
]

Late = Literal["error", "drop"]
"""What to do with events after the last step."""

_MOST_BYTES = 2**34
_MOST_EMPTY_STEPS = 1_000_000


def bin_events(
    events: Events,
    dt: Quantity,
    steps: int | None = None,
    *,
    start_us: int = 0,
    late: Late = "error",
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Count events per pixel and time step.

    Step k holds the events with k * dt <= t - start_us < (k + 1) * dt. Every event is counted once.
    Step 0 starts at `start_us`, by default 0 of the recording's time line and never its first event, so
    that the frames of several recordings and sensors are aligned. Recordings with absolute times
    (AEDAT 4) need `start_us=int(events.t[0])`.

    Args:
        events: E events.
        dt: [s] length of a step, or a string with a unit.
        steps: number of steps T; None takes as many as the recording needs.
        start_us: [us] start of step 0.
        late: `"error"` refuses events after the last step, `"drop"` leaves them out; `count_late` says how many.
        dtype: type of the counts; one that cannot hold them is refused.

    Returns:
        [T, 2, H, W] counts, polarity 0 (OFF) first; [T, N] for a sensor with one axis, whose polarities are added.

    Raises:
        ShapeError: an event before `start_us` or after the last step; no events and no `steps`; the result
            would be absurdly large; or a count does not fit `dtype`.
        UnitError: dt is not a duration above zero.

    Example:
        >>> two = Events.from_columns(t=[0, 1500], x=[3, 4], y=[1, 1], p=[1, 0], shape=(8, 6))
        >>> frames = bin_events(two, dt="1 ms")
        >>> frames.shape, frames.sum()
        ((2, 2, 6, 8), np.float32(2.0))
        >>> bin_events(two, dt="1 ms", steps=1)
        Traceback (most recent call last):
        ...
        spikelab.errors.ShapeError: bin_events: found 1 of 2 events after the last step (steps=1); expected all \
events inside; use steps=2, or late="drop"
    """
    must_be_events(events, "bin_events")
    start_us = whole_us(start_us, "bin_events: start_us")
    if steps is None:
        steps = steps_from(events, dt, start_us, "bin_events")
        if not steps:
            raise ShapeError("bin_events: found no events and steps=None; expected a length; pass steps")
    first = step_bounds(
        events, dt, steps, start_us, late, "bin_events", max(4, number_type(dtype, "bin_events").itemsize)
    )
    return _count(events, first[:-1], first[1:], dtype, "bin_events")


def bin_slices(events: Events, slices: ArrayLike, *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Count events per pixel and slice: frames of equal numbers of events, between given times, or with overlap.

    Args:
        events: E events.
        slices: [T, 2] first event and event after the last of each slice, as `slices_by_count`, `slices_by_time`
            and `slices_at` make them.
        dtype: type of the counts; one that cannot hold them is refused.

    Returns:
        [T, 2, H, W] counts, polarity 0 (OFF) first; [T, N] for a sensor with one axis, whose polarities are added.

    Raises:
        ShapeError: a slice that is not within the events, an absurdly large result, or a count that does not fit.

    Example:
        >>> from spikelab.events.transform import slices_by_count
        >>> three = Events.from_columns(t=[0, 1500, 1500], x=[3, 4, 4], shape=(6,))
        >>> bin_slices(three, slices_by_count(three, 2), dtype=int)
        array([[0, 0, 0, 1, 1, 0],
               [0, 0, 0, 0, 1, 0]])
    """
    must_be_events(events, "bin_slices")
    slices = must_be_slices(slices, events, "bin_slices")
    must_fit(events, len(slices), max(4, number_type(dtype, "bin_slices").itemsize), "bin_slices")
    return _count(events, slices[:, 0], slices[:, 1], dtype, "bin_slices")


def count_late(events: Events, dt: Quantity, steps: int, *, start_us: int = 0) -> int:
    """Count the events that lie after the last step: those that `bin_events(..., late="drop")` leaves out.

    Raises:
        ShapeError: these are no events, or steps is no integer of at least 1.
        UnitError: dt is not a duration above zero.

    Example:
        >>> two = Events.from_columns(t=[0, 1500], x=[3, 4], shape=(8,))
        >>> count_late(two, dt="1 ms", steps=1)
        1
    """
    must_be_events(events, "count_late")
    start_us = whole_us(start_us, "count_late: start_us")
    _must_be_steps(steps, "count_late")
    end = start_us + math.ceil(steps * step_us(dt))
    return len(events) - int(np.searchsorted(events.t, end))


def cell_shape(sensor: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one frame: (2, H, W) of a camera (W, H), (N,) of N channels."""
    return (2, sensor[1], sensor[0]) if len(sensor) == 2 else sensor


def steps_from(events: Events, dt: Quantity, start_us: int, where: str) -> int:
    """Count the steps that a recording needs, as `steps_needed`, and refuse one that starts far behind `start_us`.

    Raises:
        ShapeError: the first event comes a million steps after `start_us`: times are absolute, or not in us.
    """
    steps = steps_needed(events, dt, start_us)
    ahead = int(Fraction(int(events.t[0]) - start_us) / step_us(dt)) if steps else 0
    if ahead > _MOST_EMPTY_STEPS:
        raise ShapeError(
            f"{where}: found the first event at {int(events.t[0])} us, {ahead} steps after start_us={start_us}; "
            f"expected a start near it; use start_us={int(events.t[0])}, or subtract it from the times of the recording"
        )
    return steps


def step_bounds(
    events: Events, dt: Quantity, steps: int, start_us: int, late: Late, where: str, bytes_each: int
) -> NDArray[np.int64]:
    """Find the first event of each step, and the one after the last step.

    Args:
        events: E events.
        dt: [s] length of a step.
        steps: number of steps T.
        start_us: [us] start of step 0.
        late: whether events after the last step are refused.
        where: what to name in an error.
        bytes_each: size of one cell of the dense array to come.

    Returns:
        [T + 1] places.

    Raises:
        ShapeError: an event before `start_us` or after the last step, steps below 1, or a dense array that would be
            absurdly large.
    """
    if late not in ("error", "drop"):
        raise ShapeError(f"{where}: found late={late!r}; expected 'error' or 'drop'; choose one")
    if len(events) and events.t[0] < start_us:
        early = int(np.searchsorted(events.t, start_us))
        raise ShapeError(
            f"{where}: found {early} of {len(events)} events before start_us={start_us}; expected none; "
            f"use start_us={int(events.t[0])}, or cut with events.between"
        )
    _must_be_steps(steps, where)
    must_fit(events, steps, bytes_each, where)
    first = np.searchsorted(events.t, step_edges(dt, int(steps), start_us)).astype(np.int64)
    lost = len(events) - int(first[-1])
    if lost and late == "error":
        enough = steps_needed(events, dt, start_us)
        advice = f"use steps={enough}" if lost < len(events) else f"use start_us={int(events.t[0])}"
        raise ShapeError(
            f"{where}: found {lost} of {len(events)} events after the last step (steps={steps}); "
            f'expected all events inside; {advice}, or late="drop"'
        )
    return first


def locate(
    events: Events, dt: Quantity, steps: int, start_us: int, where: str, bytes_each: int = 4
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Find step and flat cell of each event; the last value is the number of events after the last step.

    Args:
        events: E events.
        dt: [s] length of a step.
        steps: number of steps T.
        start_us: [us] start of step 0.
        where: what to name in an error.
        bytes_each: size of one cell of the dense array to come, 0 where none is made.

    Returns:
        [E] steps, [E] cells, late events. The late ones are not in the arrays.

    Raises:
        ShapeError: as `step_bounds`.
    """
    first = step_bounds(events, dt, steps, start_us, "drop", where, bytes_each)
    step = np.repeat(np.arange(steps), np.diff(first))
    inside = events.array[: first[-1]]
    cell = inside["x"].astype(np.int64)
    if len(events.shape) == 2:
        width, height = events.shape
        cell += width * (inside["y"] + height * inside["p"].astype(np.int64))
    return step, cell, len(events) - int(first[-1])


def must_fit(events: Events, steps: int, bytes_each: int, where: str) -> None:
    """Refuse a dense array of absurd size before it is laid out.

    Raises:
        ShapeError: [steps, *cells] would take more than 16 GiB.
    """
    cells = int(np.prod(cell_shape(events.shape)))
    if int(steps) * max(cells * bytes_each, 8) > _MOST_BYTES:  # 8: the edges are int64
        raise ShapeError(
            f"{where}: found {steps} steps of {cells} cells, above {_MOST_BYTES >> 30} GiB; expected less; "
            "take a longer dt, a part with events.between, or pool_events first"
        )


def _count(
    events: Events, first: NDArray[np.int64], stop: NDArray[np.int64], dtype: DTypeLike, where: str
) -> NDArray[Any]:
    """Count the events of each slice into cells."""
    from spikelab.events.transform.bins_kernel import count

    wanted, shape = number_type(dtype, where), cell_shape(events.shape)
    # Numba knows no half floats and no foreign order of bytes, and a bool cannot be seen to wrap.
    compiled = wanted.isnative and wanted.itemsize <= 8 and wanted.kind != "b" and wanted != np.float16
    counted = wanted if compiled else np.dtype(np.int64)
    one, most = counted.type(1), counted.type(_most(counted))
    counts, clear = blank((len(first), math.prod(shape)), counted, int((stop - first).sum()))
    exact = count(records(events), first, stop, *strides(events.shape), counts, one, most, clear)
    if not exact or (not compiled and int(counts.max(initial=0)) > _most(wanted)):
        raise ShapeError(
            f"{where}: found more events in one pixel and step than dtype {wanted} can count; "
            "expected a wider type; use dtype=np.float32, or a shorter dt"
        )
    return counts.astype(wanted, copy=False).reshape(-1, *shape)


def number_type(dtype: DTypeLike, where: str) -> np.dtype[Any]:
    """The type of a result.

    Raises:
        ShapeError: it is none, or not of numbers.
    """
    try:
        wanted = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        raise ShapeError(f"{where}: found dtype {dtype!r}; expected a type of numbers; pass np.float32, say") from None
    if wanted.kind not in "biuf":
        raise ShapeError(f"{where}: found dtype {wanted}; expected a number; pass np.float32, say")
    return wanted


def _most(dtype: np.dtype[Any]) -> int:
    """Largest number up to which a type counts exactly."""
    if dtype.kind == "b":
        return 1
    return int(2 ** (np.finfo(dtype).nmant + 1) if dtype.kind == "f" else np.iinfo(dtype).max)


def _must_be_steps(steps: Any, where: str) -> None:
    if not is_whole(steps) or steps < 1:
        raise ShapeError(f"{where}: found steps={steps!r}; expected an integer of at least 1; pass 100, say")
