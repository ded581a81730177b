"""Pixels that are found and left out: hot ones, or any that are named."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.errors import ShapeError, UnitError, brief
from spikelab.events.array import Events, must_be_events
from spikelab.events.transform.records import kept, must_have_memory, strides
from spikelab.units import Quantity, si

__all__ = ["drop_pixels", "hot_pixels"]


def hot_pixels(events: Events, rate: Quantity) -> NDArray[np.int64]:
    """Find the pixels with more events per second than `rate`, from the first event of the recording to its last.

    Args:
        events: E events.
        rate: [Hz] or a string with a unit.

    Returns:
        [K, 2] x and y of each, sorted; [K, 1] channels for a sensor with one axis. `drop_pixels` leaves them out.

    Raises:
        UnitError: the rate is negative, or none.
        ShapeError: more than 2**28 pixels.

    Example:
        >>> four = Events.from_columns(t=[0, 9, 500, 1000], x=[3, 3, 3, 5], shape=(8,))
        >>> hot = hot_pixels(four, "2 kHz")
        >>> hot.tolist(), drop_pixels(four, hot).x
        ([[3]], array([5], dtype=uint16))
    """
    must_be_events(events, "hot_pixels")
    must_have_memory(events, "hot_pixels")
    hertz = si(rate, "Hz", "hot_pixels: rate")
    if hertz < 0:
        raise UnitError(f"hot_pixels: found rate={rate!r}; expected at least 0; pass '100 Hz', say")
    most = hertz * (events.duration_us * 1e-6 if len(events) else 0.0)
    counts = np.bincount(_cells(events), minlength=int(np.prod(events.shape)))
    hot = np.flatnonzero(counts > most)
    return np.stack(np.unravel_index(hot, events.shape[::-1])[::-1], axis=1).astype(np.int64)


def drop_pixels(events: Events, pixels: ArrayLike) -> Events:
    """Drop the events of some pixels.

    Args:
        events: E events.
        pixels: [K, 2] x and y of each, or [K, 1] channels.

    Raises:
        ShapeError: something else, or a pixel outside the sensor.

    Example:
        >>> drop_pixels(Events.from_columns(t=[7, 8], x=[3, 3], y=[1, 2], shape=(8, 8)), [(3, 2)]).y
        array([1], dtype=uint16)
    """
    must_be_events(events, "drop_pixels")
    places, axes = np.asarray(pixels), len(events.shape)
    if not places.size:
        return events
    if places.ndim != 2 or places.shape[1] != axes or places.dtype.kind not in "iu":
        raise ShapeError(f"drop_pixels: found {brief(pixels)}; expected integers [K, {axes}]; pass one row per pixel")
    bad = (places < 0) | (places >= np.array(events.shape))
    if bad.any():
        outside = tuple(places[bad.any(axis=1).argmax()].tolist())
        raise ShapeError(
            f"drop_pixels: found pixel {outside}; expected it within the sensor {events.shape}; x comes first"
        )
    on = np.ones(events.shape[::-1], np.bool_)
    on[tuple(places.T[::-1])] = False
    return kept(events, on.reshape(-1)[_cells(events)])


def _cells(events: Events) -> NDArray[np.int64]:
    return events.x + strides(events.shape)[0] * events.y.astype(np.int64)
