"""Time surfaces: how long ago each pixel had its last event, and local averages of that."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, whole_us
from spikelab.events.steps import step_edges, step_us
from spikelab.events.transform.bins import Late, cell_shape, step_bounds, steps_from
from spikelab.events.transform.records import must_be_moderate, records, strides
from spikelab.events.transform.results import unwritten
from spikelab.units import Quantity

__all__ = ["Decay", "averaged_surfaces", "time_surfaces"]

_MOST_BYTES = 1 << 34
Decay = Literal["exponential", "linear"]
"""How an event fades: exp(-age / tau), or 1 - age / (3 tau)."""


def time_surfaces(
    events: Events,
    dt: Quantity,
    tau: Quantity,
    steps: int | None = None,
    *,
    start_us: int = 0,
    late: Late = "error",
) -> NDArray[np.float32]:
    """Compute exp(-(end of step - t) / tau) per step, polarity and pixel, where t is the pixel's last event so far.

    Steps are those of `bin_events`. A pixel without an event so far is 0; values below 1e-17 may be 0, too.

    Args:
        events: E events.
        dt: [s] length of a step, or a string with a unit.
        tau: [s] time constant.
        steps: number of steps T; None takes as many as the recording needs.
        start_us: [us] start of step 0.
        late: `"error"` refuses events after the last step, `"drop"` leaves them out; `count_late` says how many.

    Returns:
        [T, 2, H, W] from 0 to 1, OFF first; [T, N] for a sensor with one axis.

    Raises:
        ShapeError: as `bin_events`.
        UnitError: dt or tau is not a duration above zero.

    Source:
        Lagorce et al., HOTS: a hierarchy of event-based time-surfaces for pattern recognition, IEEE TPAMI 39, 2017.

    Example:
        >>> two = Events.from_columns(t=[0, 1500], x=[0, 1], shape=(3,))
        >>> time_surfaces(two, dt="1 ms", tau="1 ms").round(3)
        array([[0.368, 0.   , 0.   ],
               [0.135, 0.607, 0.   ]], dtype=float32)
    """
    from spikelab.events.transform.surfaces_kernel import decays

    must_be_events(events, "time_surfaces")
    must_be_moderate(events, "time_surfaces")
    start_us = whole_us(start_us, "time_surfaces: start_us")
    tau_us = float(step_us(tau, "time_surfaces: tau"))
    if steps is None:
        steps = steps_from(events, dt, start_us, "time_surfaces")
        if not steps:
            raise ShapeError("time_surfaces: found no events and steps=None; expected a length; pass steps")
    first = step_bounds(events, dt, steps, start_us, late, "time_surfaces", 4)
    shape = cell_shape(events.shape)
    state = np.zeros(int(np.prod(shape)), np.float32)
    surfaces = unwritten((int(steps), state.size), np.float32)
    edges = step_edges(dt, int(steps), start_us)
    decays(records(events), first, edges, tau_us, *strides(events.shape), state, surfaces)
    return surfaces.reshape(-1, *shape)


def averaged_surfaces(
    events: Events,
    cell: int,
    radius: int,
    window: Quantity,
    tau: Quantity,
    *,
    decay: Decay = "exponential",
) -> NDArray[np.float32]:
    """Average, per cell of the sensor and polarity, the local time surfaces of its events (HATS).

    The surface of an event adds up, by their place relative to it, the events of the same cell and polarity that came
    before it, at most `window` ago and `radius` pixels away in x and y, each faded by its age; the event itself is 1
    in the middle. The work grows with the events that a cell has in one window.

    Args:
        events: E events of a camera.
        cell: pixels per side of a cell; a rest at the border becomes a smaller last cell.
        radius: pixels on each side of the middle; the paper's rho.
        window: [s] greatest age.
        tau: [s] time constant.
        decay: `"exponential"`, exp(-age / tau), or `"linear"`, 1 - age / (3 tau).

    Returns:
        [cells, 2, S, S] with S = 2 * radius + 1, cells row by row, OFF first; 0 where a cell has no events.

    Raises:
        ShapeError: a sensor with one axis, cell, radius or decay out of range, or an absurdly large result.
        UnitError: window or tau is not a duration above zero.

    Source:
        Sironi et al., HATS: histograms of averaged time surfaces for robust event-based object classification, CVPR
        2018.

    Example:
        >>> two = Events.from_columns(t=[0, 1000], x=[0, 1], y=[0, 0], shape=(4, 4))
        >>> averaged_surfaces(two, cell=4, radius=1, window="5 ms", tau="1 ms")[0, 1].round(3)
        array([[0.   , 0.   , 0.   ],
               [0.184, 1.   , 0.   ],
               [0.   , 0.   , 0.   ]], dtype=float32)
    """
    from spikelab.events.transform.surfaces_kernel import averages

    must_be_events(events, "averaged_surfaces")
    must_be_moderate(events, "averaged_surfaces")
    if len(events.shape) != 2:
        raise ShapeError(
            f"averaged_surfaces: found a sensor of shape {events.shape}; expected a camera (width, height); "
            "use time_surfaces"
        )
    _must_be_from(cell, 1, "cell")
    _must_be_from(radius, 0, "radius")
    if decay not in ("exponential", "linear"):
        raise ShapeError(f"averaged_surfaces: found decay={decay!r}; expected 'exponential' or 'linear'; choose one")
    longest = min(int(step_us(window, "averaged_surfaces: window")), 2**62)
    tau_us = float(step_us(tau, "averaged_surfaces: tau"))
    columns, rows = (-(-size // int(cell)) for size in events.shape)
    groups, size = 2 * columns * rows, 2 * int(radius) + 1
    if groups * (size * size + 1) * 8 > _MOST_BYTES:
        raise ShapeError(
            f"averaged_surfaces: found {groups} surfaces of {size} x {size}, above {_MOST_BYTES >> 30} GiB; expected "
            "less; take larger cells or a smaller radius, or crop first"
        )
    group = ((events.y // int(cell)).astype(np.int64) * columns + events.x // int(cell)) * 2 + events.p
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(groups + 1))
    surfaces = np.zeros((groups, size, size))
    averages(records(events), order, first, int(radius), longest, tau_us, decay == "linear", surfaces)
    return surfaces.astype(np.float32).reshape(-1, 2, size, size)


def _must_be_from(value: Any, least: int, name: str) -> None:
    if not is_whole(value) or not least <= value <= 65536:
        raise ShapeError(f"averaged_surfaces: found {name}={value!r}; expected an integer from {least} to 65536")
