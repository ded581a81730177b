"""Fewer pixels, or fewer events of each pixel."""

from __future__ import annotations

import numpy as np

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, sensor_shape
from spikelab.events.transform.records import altered, kept, must_have_memory, records, strides

__all__ = ["decimate", "pool_events", "resize"]


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


def resize(events: Events, shape: tuple[int, ...]) -> Events:
    """Move events to a sensor of another resolution; no event is lost.

    Pixel x of `width` becomes x * new_width // width, in exact arithmetic.

    Args:
        events: E events.
        shape: (width, height) or (channels,), as many axes as the sensor has.

    Raises:
        ShapeError: another number of axes.

    Example:
        >>> resize(Events.from_columns(t=[7], x=[33], y=[2], shape=(34, 34)), (16, 17)).array.tolist()
        [(7, 15, 1, True)]
    """
    must_be_events(events, "resize")
    shape = sensor_shape(shape)
    if len(shape) != len(events.shape):
        raise ShapeError(
            f"resize: found shape {shape} for a sensor of shape {events.shape}; expected as many axes; pass "
            f"{events.shape}, say"
        )
    columns = zip(("x", "y"), events.shape, shape, strict=False)
    return altered(events, shape, **{n: events.array[n].astype(np.int64) * new // old for n, old, new in columns})


def decimate(events: Events, n: int) -> Events:
    """Keep every n-th event of each pixel, whatever its polarity; the others are dropped.

    Args:
        events: E events.
        n: at least 1, which keeps all.

    Raises:
        ShapeError: n is no integer above zero, or more than 2**28 pixels.

    Example:
        >>> decimate(Events.from_columns(t=[1, 2, 3, 4], x=[0, 0, 1, 0], shape=(2,)), 2).t
        array([2])
    """
    from spikelab.events.transform.activity_kernel import decimated

    must_be_events(events, "decimate")
    if not is_whole(n) or not 1 <= n < 2**31:
        raise ShapeError(f"decimate: found n={n!r}; expected an integer above zero; pass 2, say")
    must_have_memory(events, "decimate")
    mask, row = np.zeros(len(events), np.bool_), strides(events.shape)[0]
    decimated(records(events), int(n), row, np.zeros(int(np.prod(events.shape)), np.int32), mask)
    return kept(events, mask)
