"""Events to arrays: binning in time, pooling in space. Pure functions; nothing changes its input."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, whole_us
from spikelab.events.steps import step_edges, step_us, steps_needed
from spikelab.units import Quantity

__all__ = ["Late", "bin_events", "cell_shape", "count_late", "locate", "pool_events", "steps_from"]

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
    if late not in ("error", "drop"):
        raise ShapeError(f"bin_events: found late={late!r}; expected 'error' or 'drop'; choose one")
    must_be_events(events, "bin_events")
    start_us = whole_us(start_us, "bin_events: start_us")
    counts = np.zeros(0, dtype)
    if steps is None:
        steps = steps_from(events, dt, start_us, "bin_events")
        if not steps:
            raise ShapeError("bin_events: found no events and steps=None; expected a length; pass steps")
    step, cell, dropped = locate(events, dt, steps, start_us, "bin_events", counts.itemsize)
    if dropped and late == "error":
        enough = steps_needed(events, dt, start_us)
        advice = f"use steps={enough}" if dropped < len(events) else f"use start_us={int(events.t[0])}"
        raise ShapeError(
            f"bin_events: found {dropped} of {len(events)} events after the last step (steps={steps}); "
            f'expected all events inside; {advice}, or late="drop"'
        )
    shape = cell_shape(events.shape)
    cells = int(np.prod(shape))
    counts = np.zeros(steps * cells, dtype)
    np.add.at(counts, step * cells + cell, counts.dtype.type(1))
    # A count that wrapped or saturated is missing from the sum.
    if int(counts.sum(dtype=np.float64 if counts.dtype.kind == "f" else np.int64)) != len(step):
        raise ShapeError(
            f"bin_events: found more events in one pixel and step than dtype {counts.dtype} can count; "
            "expected a wider type; use dtype=np.float32, or a shorter dt"
        )
    return counts.reshape(steps, *shape)


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


def pool_events(events: Events, factor: int) -> Events:
    """Join squares of `factor` x `factor` pixels (or `factor` channels) into one; no event is lost.

    Args:
        events: E events.
        factor: pixels per side, at least 1. A rest at the border becomes a smaller last pixel.

    Returns:
        E events of a sensor with ceil(size / factor) pixels per side.

    Raises:
        ShapeError: factor is not an integer from 1 to 65535.

    Example:
        >>> one = Events.from_columns(t=[7], x=[33], y=[2], shape=(34, 34))
        >>> pool_events(one, 4).x, pool_events(one, 4).shape
        (array([8], dtype=uint16), (9, 9))
    """
    must_be_events(events, "pool_events")
    if not is_whole(factor) or not 1 <= factor <= 65535:
        raise ShapeError(f"pool_events: found factor={factor!r}; expected an integer from 1 to 65535; pass 2, say")
    array = events.array.copy()
    array["x"] //= factor
    array["y"] //= factor
    return Events(array, tuple(-(-size // int(factor)) for size in events.shape))


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
        bytes_each: size of one cell of the dense array to come.

    Returns:
        [E] steps, [E] cells, late events. The late ones are not in the arrays.

    Raises:
        ShapeError: an event before `start_us`, steps below 1, or a dense array that would be absurdly large.
    """
    if len(events) and events.t[0] < start_us:
        early = int(np.searchsorted(events.t, start_us))
        raise ShapeError(
            f"{where}: found {early} of {len(events)} events before start_us={start_us}; expected none; "
            f"use start_us={int(events.t[0])}, or cut with events.between"
        )
    _must_be_steps(steps, where)
    cells = int(np.prod(cell_shape(events.shape)))
    if int(steps) * max(cells * bytes_each, 8) > _MOST_BYTES:  # 8: the edges below are int64
        raise ShapeError(
            f"{where}: found {steps} steps of {cells} cells, above {_MOST_BYTES >> 30} GiB; expected less; "
            "take a longer dt, a part with events.between, or pool_events first"
        )
    first = np.searchsorted(events.t, step_edges(dt, int(steps), start_us))
    step = np.repeat(np.arange(steps), np.diff(first))
    inside = events.array[: first[-1]]
    cell = inside["x"].astype(np.int64)
    if len(events.shape) == 2:
        width, height = events.shape
        cell += width * (inside["y"] + height * inside["p"].astype(np.int64))
    return step, cell, len(events) - int(first[-1])


def _must_be_steps(steps: Any, where: str) -> None:
    if not is_whole(steps) or steps < 1:
        raise ShapeError(f"{where}: found steps={steps!r}; expected an integer of at least 1; pass 100, say")
