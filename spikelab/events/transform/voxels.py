"""Voxel grids: events shared linearly between the two nearest points of time."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, whole_us
from spikelab.events.transform.bins import must_fit, number_type
from spikelab.events.transform.records import must_be_moderate, records, strides
from spikelab.events.transform.results import blank
from spikelab.events.transform.slices import Outside

__all__ = ["Ends", "voxel_grid"]

Ends = Literal["open", "closed"]
"""Whether the last bin lies before the end, or at it."""


def voxel_grid(
    events: Events,
    bins: int,
    *,
    start_us: int | None = None,
    stop_us: int | None = None,
    ends: Ends = "open",
    outside: Outside = "error",
    dtype: DTypeLike = np.float64,
) -> NDArray[Any]:
    """Sum polarities (+1 for ON, -1 for OFF) per pixel and bin, linearly interpolated in time.

    Bin k stands at the time start + k * length: an event between two bins is shared, the nearer one takes more.

    Args:
        events: E events.
        bins: number of bins B.
        start_us: [us] time of bin 0; None takes the first event. To align recordings, give start and stop.
        stop_us: [us] end, also of the last event inside; None takes the last event.
        ends: `"open"`, length = (stop - start) / B as in tonic and in most code: what lies behind the last bin fades
            out, its share of bin B is in no bin. `"closed"`, length = (stop - start) / (B - 1) as in the paper: every
            event counts whole.
        outside: `"error"` refuses events before the start or after the stop, `"drop"` leaves them out.
        dtype: float32 or float64.

    Returns:
        [B, 1, H, W] sums, or [B, N] for a sensor with one axis, whose events all count +1.

    Raises:
        ShapeError: an event outside, a stop before the start, no integer of bins above zero, another dtype, or an
            absurdly large result.

    Source:
        Zhu, Yuan, Chaney, Daniilidis, Unsupervised event-based learning of optical flow, depth, and egomotion, CVPR
        2019, section 3.1.

    Example:
        >>> three = Events.from_columns(t=[0, 25, 100], x=[0, 0, 1], y=[0] * 3, p=[1, 1, 0], shape=(2, 1))
        >>> voxel_grid(three, 2, ends="closed").tolist()
        [[[[1.75, 0.0]]], [[[0.25, -1.0]]]]
    """
    from spikelab.events.transform.voxels_kernel import interpolate

    must_be_events(events, "voxel_grid")
    must_be_moderate(events, "voxel_grid")
    if not is_whole(bins) or bins < 1:
        raise ShapeError(f"voxel_grid: found bins={bins!r}; expected an integer of at least 1; pass 10, say")
    if ends not in ("open", "closed"):
        raise ShapeError(f"voxel_grid: found ends={ends!r}; expected 'open' or 'closed'; choose one")
    wanted = number_type(dtype, "voxel_grid")
    if wanted not in (np.float32, np.float64):
        raise ShapeError(f"voxel_grid: found dtype {wanted}; expected float32 or float64; convert the result")
    inside, start, stop = _inside(events, start_us, stop_us, outside)
    must_fit(events, bins, wanted.itemsize, "voxel_grid")
    camera = len(events.shape) == 2
    grid, clear = blank((int(bins), math.prod(events.shape)), wanted, len(inside))
    scale = float(bins if ends == "open" else bins - 1) if stop > start else 0.0
    signs = np.array([-1.0 if camera else 1.0, 1.0])
    interpolate(inside, start, scale, float(max(stop - start, 1)), strides(events.shape)[0], signs, grid, clear)
    return grid.reshape(-1, 1, *events.shape[::-1]) if camera else grid


def _inside(
    events: Events, start_us: int | None, stop_us: int | None, outside: Outside
) -> tuple[NDArray[np.void], int, int]:
    """Events from start to stop, and both."""
    if outside not in ("error", "drop"):
        raise ShapeError(f"voxel_grid: found outside={outside!r}; expected 'error' or 'drop'; choose one")
    first, last = (int(events.t[0]), int(events.t[-1])) if len(events) else (0, 0)
    start = first if start_us is None else whole_us(start_us, "voxel_grid: start_us")
    stop = max(last, start) if stop_us is None else whole_us(stop_us, "voxel_grid: stop_us")
    if start > stop or max(abs(start), abs(stop)) > 2**61:
        raise ShapeError(f"voxel_grid: found {start} to {stop} us; expected start <= stop, up to 2**61 us; swap them")
    a, b = np.searchsorted(events.t, [start, stop + 1])
    lost = len(events) - int(b - a)
    if lost and outside == "error":
        raise ShapeError(
            f"voxel_grid: found {lost} of {len(events)} events outside {start} to {stop} us; expected none; "
            'use wider times, or outside="drop"'
        )
    return records(events)[a:b], start, stop
