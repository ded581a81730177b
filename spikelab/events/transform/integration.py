"""Fewer events by counting: pixels that integrate and fire, and pixels that fire when they get busier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import EVENT, Events, must_be_events, trusted, whole_us
from spikelab.events.steps import step_edges
from spikelab.events.transform.bins import step_bounds, steps_from
from spikelab.events.transform.records import must_have_memory, records
from spikelab.units import Quantity

__all__ = ["differentiate_events", "integrate_events"]


def integrate_events(events: Events, dt: Quantity, threshold: int = 1, *, start_us: int = 0) -> Events:
    """Let each pixel add up its events, ON less OFF, and give one event where the sum reaches a threshold.

    Sums are looked at once per step, after all events of the step: noise and flicker cancel out. A sum of `threshold`
    or more gives an ON event, one of `-threshold` or less an OFF event, and starts again at 0, whatever was above the
    threshold. What a pixel has not reached it carries on to the next step.

    `integrate_events(resize(events, shape), dt, threshold)` is the integrator of the source, for fewer and larger
    pixels.

    Args:
        events: E events.
        dt: [s] length of a step, or a string with a unit.
        threshold: events, at least 1.
        start_us: [us] start of step 0.

    Returns:
        At most one event per pixel and step, at the first microsecond of the step (where `bin_events` with the same
        dt counts it).

    Raises:
        ShapeError: threshold is no integer above zero, an event lies before `start_us`, or more than 2**28 pixels.
        UnitError: dt is not a duration above zero.

    Source:
        Ghosh et al., Insect-inspired spatio-temporal downsampling of event-based input, 2023,
        doi:10.1145/3589737.3605994, as tonic 1.7 has it.

    Example:
        >>> four = Events.from_columns(t=[0, 500, 2100, 2200], x=[3, 3, 3, 4], shape=(8,))
        >>> integrate_events(four, "1 ms", 2).array[["t", "x"]].tolist()
        [(0, 3)]
        >>> integrate_events(four, "1 ms", 3).array[["t", "x"]].tolist()
        [(2000, 3)]
    """
    from spikelab.events.transform.integration_kernel import integrated

    must_be_events(events, "integrate_events")
    must_have_memory(events, "integrate_events")
    if not is_whole(threshold) or not 1 <= threshold < 2**31:
        raise ShapeError(
            f"integrate_events: found threshold={threshold!r}; expected an integer above zero; pass 2, say"
        )
    first, edges = _steps(events, dt, start_us, "integrate_events")
    pixels, found = int(np.prod(events.shape)), np.empty(len(events), EVENT)
    state = np.zeros(pixels, np.int64), np.full(pixels, -1, np.int64), np.empty(pixels, np.int64)
    count = integrated(records(events), first, edges, int(threshold), events.shape[0], *state, found)
    return trusted(found[:count].copy(), events.shape)


def differentiate_events(events: Events, dt: Quantity, *, start_us: int = 0) -> Events:
    """Give an event for each pixel and polarity that has more events in a step than in the step before.

    What stays as busy as it was gives nothing: the edges of large objects remain. Before step 0 there are no events.

    `differentiate_events(integrate_events(resize(events, shape), "1 ms", threshold), "2 ms")` is the differentiator of
    the source, with two bins of 1 ms per step.

    Args:
        events: E events.
        dt: [s] length of a step, or a string with a unit.
        start_us: [us] start of step 0.

    Returns:
        At most one event per pixel, polarity and step, at the first microsecond of the step that has more.

    Raises:
        ShapeError: an event lies before `start_us`, or more than 2**28 pixels.
        UnitError: dt is not a duration above zero.

    Source:
        Ghosh et al., Insect-inspired spatio-temporal downsampling of event-based input, 2023,
        doi:10.1145/3589737.3605994, as tonic 1.7 has it.

    Example:
        >>> five = Events.from_columns(t=[0, 1000, 2000, 2001, 3000], x=[3, 3, 3, 3, 3], shape=(8,))
        >>> differentiate_events(five, "1 ms").t
        array([   0, 2000])
    """
    from spikelab.events.transform.integration_kernel import risen

    must_be_events(events, "differentiate_events")
    must_have_memory(events, "differentiate_events")
    first, edges = _steps(events, dt, start_us, "differentiate_events")
    cells, found = 2 * int(np.prod(events.shape)), np.empty(len(events), EVENT)
    state = np.zeros(cells, np.int64), np.zeros(cells, np.int64), np.full(cells, -2, np.int64)
    count = risen(records(events), first, edges, events.shape[0], cells // 2, *state, found)
    return trusted(found[:count].copy(), events.shape)


def _steps(events: Events, dt: Quantity, start_us: int, where: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[T + 1] first event of each step, [T + 1] its first microsecond."""
    start_us = whole_us(start_us, f"{where}: start_us")
    steps = max(1, steps_from(events, dt, start_us, where))
    return step_bounds(events, dt, steps, start_us, "error", where, 0), step_edges(dt, steps, start_us)
