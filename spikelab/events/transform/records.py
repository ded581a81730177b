"""Events as compiled kernels take them, and events made anew from those of a recording."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.events.array import EVENT, Events, trusted

__all__ = [
    "altered",
    "joined",
    "kept",
    "must_be_moderate",
    "must_be_pair",
    "must_have_memory",
    "records",
    "strides",
]

_MOST_US = 2**61
_MOST_PIXELS = 1 << 28
# `p` as a number: with a bool the compiler makes a branch, which nobody can predict, and which costs 10 ns an event.
_RECORD = np.dtype([("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.uint8)], align=True)


def records(events: Events) -> NDArray[np.void]:
    """[E] the array of events in one piece and read-only, `p` as uint8: a kernel is compiled once, for this type."""
    array = np.ascontiguousarray(events.array).view(_RECORD)
    array.flags.writeable = False
    return array


def strides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Cells from a row to the next, and from OFF to ON; a sensor with one axis has neither.

    Example:
        >>> strides((8, 6)), strides((8,))
        ((8, 48), (0, 0))
    """
    return (shape[0], shape[0] * shape[1]) if len(shape) == 2 else (0, 0)


def kept(events: Events, mask: NDArray[np.bool_]) -> Events:
    """Events where the mask [E] is true."""
    # By index: NumPy takes ten times as long to pick records by a mask.
    return trusted(events.array[np.flatnonzero(mask)], events.shape)


def altered(events: Events, shape: tuple[int, ...] | None = None, **columns: NDArray[Any]) -> Events:
    """Events with other values in some columns, sorted again where their times changed; `shape` if it changed too.

    Raises:
        ShapeError: a coordinate outside the sensor.
    """
    array = events.array.copy()
    for name, column in columns.items():
        array[name] = column
    if "t" in columns and (array["t"][1:] < array["t"][:-1]).any():
        array = array[np.argsort(array["t"], kind="stable")]
    array.flags.writeable = False
    return Events(array, events.shape if shape is None else shape)


def joined(*parts: Events) -> Events:
    """All events of recordings of one sensor in order of time; of equal times, those of the first come first."""
    array = np.concatenate([part.array for part in parts]).astype(EVENT, copy=False)
    return trusted(array[np.argsort(array["t"], kind="stable")], parts[0].shape)


def must_be_pair(first: Events, second: Events, where: str) -> None:
    """Refuse recordings of different sensors.

    Raises:
        ShapeError: their shapes differ.
    """
    if first.shape != second.shape:
        raise ShapeError(
            f"{where}: found sensors of shape {first.shape} and {second.shape}; expected one; use crop or resize"
        )


def must_be_moderate(events: Events, where: str) -> None:
    """Refuse times whose differences do not fit 64 bits.

    Raises:
        ShapeError: a time beyond 2**61 us.
    """
    if len(events) and (events.t[0] < -_MOST_US or events.t[-1] > _MOST_US):
        raise ShapeError(
            f"{where}: found times from {events.t[0]} to {events.t[-1]} us; expected them within 2**61 us of 0; "
            "use shift_time"
        )


def must_have_memory(events: Events, where: str) -> None:
    """Refuse an absurdly large sensor, where each pixel takes some bytes.

    Raises:
        ShapeError: more than 2**28 pixels.
    """
    pixels = math.prod(events.shape)
    if pixels > _MOST_PIXELS:
        raise ShapeError(
            f"{where}: found a sensor of shape {events.shape} with {pixels} pixels, which is absurdly large; expected "
            f"at most {_MOST_PIXELS}; use crop, resize or pool_events first"
        )
