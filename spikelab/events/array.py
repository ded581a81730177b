"""`Events`: what an event sensor recorded, as one sorted array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.errors import ShapeError, brief

__all__ = ["EVENT", "Events", "must_be_events", "sensor_shape", "trusted", "whole_us"]

# 16 bytes, aligned: the layout of AEDAT 4 packets, so that these are read without a copy per field.
EVENT: Final = np.dtype([("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.bool_)], align=True)
"""Dtype of an event: `t` [us] int64, `x` and `y` uint16, `p` bool (True is ON)."""


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """Events of one recording, sorted by time; cannot be changed.

    A camera has shape (width, height). A sensor with one axis, such as a cochlea, has shape (channels,);
    the channel is `x`, and `y` is 0.

    Args:
        array: [E] structured array with fields `t` [us], `x`, `y` (not needed for a sensor with one axis) and
            optionally `p` (else 1), each of an integer or bool dtype. It is copied unless it is read-only.
        shape: (width, height) or (channels,) of the sensor.

    Raises:
        ShapeError: wrong dtype, a camera's rows missing, times not sorted, polarity not 0 or 1, or a coordinate
            outside the sensor.

    Example:
        >>> events = Events.from_columns(t=[0, 1500], x=[3, 4], y=[1, 1], p=[1, 0], shape=(8, 6))
        >>> events
        Events(2 events, 8 x 6, t 0 to 1500 us)
        >>> events.between(1000, 2000).x
        array([4], dtype=uint16)
    """

    array: NDArray[np.void]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = sensor_shape(self.shape)
        array = np.asarray(self.array)
        if array.dtype != EVENT:
            if array.dtype.names is None:
                raise ShapeError(
                    f"Events: found an array of dtype {array.dtype}; expected a structured array with fields "
                    "t, x, y, p; use Events.from_columns"
                )
            unknown = set(array.dtype.names) - {"t", "x", "y", "p"}
            missing = {"t", "x"} - set(array.dtype.names)
            if unknown or missing:
                raise ShapeError(
                    f"Events: found fields {', '.join(array.dtype.names)}; expected t, x, y, p; rename or remove them"
                )
            array = _from_columns({name: array[name] for name in array.dtype.names}, shape)
        elif not _is_frozen(array):
            array = array.copy()
        if array.ndim != 1:
            raise ShapeError(f"Events: found an array of shape {array.shape}; expected one axis [E]; flatten it")
        _check_times(array["t"])
        _check_coordinates(array, shape)
        array.flags.writeable = False
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_columns(
        cls,
        t: ArrayLike,
        x: ArrayLike,
        y: ArrayLike | None = None,
        p: ArrayLike | None = None,
        *,
        shape: tuple[int, ...],
    ) -> Events:
        """Make events from one array per field.

        Args:
            t: [E] integers [us], sorted.
            x: [E] integers, column or channel.
            y: [E] integers, row; None for a sensor with one axis.
            p: [E] 0 or 1; None means all 1.
            shape: (width, height) or (channels,).

        Raises:
            ShapeError: as `Events`, or the lengths differ, or a value is not an integer.

        Example:
            >>> len(Events.from_columns(t=[5], x=[127], shape=(128,)))
            1
        """
        given = {"t": t, "x": x, "y": y, "p": p}
        try:
            columns = {name: np.asarray(c) for name, c in given.items() if c is not None or name in ("t", "x")}
        except ValueError as error:
            raise ShapeError(f"Events: found a column of unequal parts ({error}); expected [E]; flatten it") from None
        return cls(_from_columns(columns, sensor_shape(shape)), shape)

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        sensor = " x ".join(map(str, self.shape)) if len(self.shape) == 2 else f"{self.shape[0]} channels"
        span = f", t {self.t[0]} to {self.t[-1]} us" if len(self) else ""
        return f"Events({len(self)} events, {sensor}{span})"

    @property
    def t(self) -> NDArray[np.int64]:
        """[E] times [us]."""
        return self.array["t"]

    @property
    def x(self) -> NDArray[np.uint16]:
        """[E] columns, or channels."""
        return self.array["x"]

    @property
    def y(self) -> NDArray[np.uint16]:
        """[E] rows; 0 for a sensor with one axis."""
        return self.array["y"]

    @property
    def p(self) -> NDArray[np.bool_]:
        """[E] polarities, True is ON."""
        return self.array["p"]

    @property
    def duration_us(self) -> int:
        """Time from the first to the last event [us].

        Raises:
            ShapeError: there are no events.
        """
        if not len(self):
            raise ShapeError("Events.duration_us: found no events; expected at least one; check len(events) first")
        return int(self.t[-1]) - int(self.t[0])

    def between(self, start_us: int, stop_us: int) -> Events:
        """Take the events with start_us <= t < stop_us; their times stay as they are.

        Args:
            start_us: [us] first time inside.
            stop_us: [us] first time after.

        Raises:
            ShapeError: start_us lies after stop_us.
        """
        start_us, stop_us = whole_us(start_us, "Events.between: start_us"), whole_us(stop_us, "Events.between: stop_us")
        if start_us > stop_us:
            raise ShapeError(f"Events.between: found {start_us} to {stop_us} us; expected start <= stop; swap them")
        first, last = np.searchsorted(self.t, [start_us, stop_us])
        return Events(self.array[first:last], self.shape)

    def equals(self, other: Events) -> bool:
        """Whether both hold the same events, in the same order, of sensors of the same shape."""
        return (
            self.shape == other.shape
            and len(self) == len(other)
            and all(np.array_equal(self.array[name], other.array[name]) for name in ("t", "x", "y", "p"))
        )


def trusted(array: NDArray[np.void], shape: tuple[int, ...]) -> Events:
    """Events made from an array that its maker has checked: dtype `EVENT`, sorted, within `shape`; it is not copied."""
    events = object.__new__(Events)
    array.flags.writeable = False
    object.__setattr__(events, "array", array)
    object.__setattr__(events, "shape", shape)
    return events


def must_be_events(value: Any, where: str) -> None:
    """Refuse what is not `Events`; `where` is the function that was called.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, Events):
        raise ShapeError(
            f"{where}: found {type(value).__name__}; expected Events; make them with Events.from_columns(t, x, y, p, "
            "shape=...), or take one recording of a set, recordings[0]"
        )


def _is_frozen(array: NDArray[Any]) -> bool:
    """Whether nobody can write into the array, also not through the array that it is a view of."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes)


def sensor_shape(shape: Any) -> tuple[int, ...]:
    """Check the shape of a sensor: (width, height) or (channels,).

    Raises:
        ShapeError: something else.
    """
    sizes = tuple(shape) if isinstance(shape, tuple | list | np.ndarray) else ()
    whole = all(isinstance(size, int | np.integer) and 1 <= size <= 65536 for size in sizes)
    if len(sizes) not in (1, 2) or not whole:
        raise ShapeError(
            f"Events: found sensor shape {shape!r}; expected (width, height) or (channels,), each from 1 to 65536; "
            "pass shape=(34, 34), say"
        )
    return tuple(int(size) for size in sizes)


def whole_us(value: Any, where: str) -> int:
    """A time in whole microseconds; `where` names the argument.

    Raises:
        ShapeError: something else.

    Example:
        >>> whole_us(2e6, "start_us")
        2000000
    """
    number = isinstance(value, int | np.integer | float | np.floating) and not isinstance(value, bool)
    if not number or value != value // 1:  # NaN and infinity differ too
        raise ShapeError(f"{where}: found {brief(value)}; expected whole microseconds; pass 2_000_000 for 2 s, say")
    return int(value)


def _from_columns(columns: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.void]:
    """Pack columns into one array; every value is checked before it is narrowed."""
    count = len(columns["t"]) if columns["t"].ndim == 1 else -1
    limits = {"x": shape[0], "y": shape[1] if len(shape) == 2 else 1, "p": 2}
    if len(shape) == 2 and "y" not in columns:
        raise ShapeError(
            f"Events: found no y for a sensor of shape {shape}; expected the row of each event; "
            f"pass y, or shape=({shape[0]},) for a sensor with one axis"
        )
    array = np.zeros(max(count, 0), EVENT)
    array["p"] = True
    for name, column in columns.items():
        if column.shape != (count,):
            raise ShapeError(
                f"Events: found {name} of shape {column.shape} and t of shape {columns['t'].shape}; "
                "expected one axis of equal length; flatten or cut them"
            )
        if count and column.dtype.kind not in "iub":
            raise ShapeError(
                f"Events: found {name} of dtype {column.dtype}; expected integers (t in us); round and convert them "
                "first"
            )
        if name == "t":
            if column.dtype == np.uint64 and count and column.max() > np.uint64(2**63 - 1):
                raise ShapeError(f"Events: found t = {column.max()}; expected at most 2**63 - 1 us; subtract an offset")
        elif count and not (column.min() >= 0 and column.max() < limits[name]):
            _refuse(name, column, limits[name], shape)
        array[name] = column
    return array


def _check_times(t: NDArray[np.int64]) -> None:
    if len(t) > 1:
        back = t[1:] < t[:-1]
        if back.any():
            k = int(np.argmax(back)) + 1
            raise ShapeError(
                f"Events: found t[{k}] = {t[k]} us after t[{k - 1}] = {t[k - 1]} us; expected sorted times; "
                "sort with array[np.argsort(array['t'], kind='stable')]"
            )


def _check_coordinates(array: NDArray[np.void], shape: tuple[int, ...]) -> None:
    limits = {"x": shape[0], "y": shape[1] if len(shape) == 2 else 1}
    for name, limit in limits.items():
        column = array[name]
        if len(column) and column.max() >= limit:
            _refuse(name, column, limit, shape)
    # A bool made from foreign bytes can hold 2 to 255.
    raw = array["p"].view(np.uint8)
    if len(raw) and raw.max() > 1:
        _refuse("p", raw, 2, shape)


def _refuse(name: str, column: NDArray[Any], limit: int, shape: tuple[int, ...]) -> None:
    k = int(np.argmax((column < 0) | (column >= limit)))
    advice = "map polarities to 0 and 1" if name == "p" else f"drop the event, or check the sensor's shape {shape}"
    raise ShapeError(f"Events: found {name}[{k}] = {column[k]}; expected 0 to {limit - 1}; {advice}")
