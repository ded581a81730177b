"""Recordings kept as columns, one array for each of t, x, y and p: what HDF5, .npz, .npy and MATLAB files share.

A format gives a function that reads rows from a column; this file turns rows into events, a block at a time.
Times are microseconds in integers. Floats with fractions are seconds; floats that are all whole may be of any unit, so
that these are refused until `unit` says it. They are rounded to the nearest microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events.array import EVENT
from spikelab.events.faults import Faults
from spikelab.events.source import BLOCK, Extras

__all__ = ["NAMES", "UNITS", "Columns", "Rows", "back", "named_columns", "sensor_of", "time_power", "unit_power"]

NAMES: Final = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}
"""Names that a column goes by, in lower case."""
UNITS: Final = {"s": 6, "ms": 3, "us": 0, "ns": -3}
"""Units of time that a file may use, with the power of ten that makes microseconds of them."""
_LATEST = float(1 << 62)
_ANY = 1 << 16

Rows = Callable[[int, int], NDArray[Any]]
"""`rows(start, stop)` reads part of a column, [stop - start]; it raises FormatError where that is damaged."""


def unit_power(unit: str | None, default: str) -> int:
    """Power of ten that makes microseconds of a unit.

    Raises:
        UnsupportedError: the unit is none of `UNITS`.
    """
    chosen = default if unit is None else unit
    if chosen not in UNITS:
        raise UnsupportedError(f"unit of time: found {unit!r}; expected one of {', '.join(UNITS)}; pass unit='us', say")
    return UNITS[chosen]


def time_power(
    path: str | PathLike[str],
    unit: str | None,
    dtype: np.dtype[Any],
    count: int,
    opened: Callable[[], AbstractContextManager[Mapping[str, Rows]]],
) -> int:
    """Power of ten that makes microseconds of a file's times, in a pass over the first of them if need be.

    Args:
        path: the file, for messages.
        unit: what the caller says; None takes us for integers, and s for floats where one has a fraction, or all are 0.
        dtype: of the times.
        count: number of events.
        opened: as in `Columns`.

    Raises:
        FormatError: no unit, and floats that are all whole.
        UnsupportedError: another unit.
    """
    if unit is not None or dtype.kind != "f":
        return unit_power(unit, "us")
    some = None
    with opened() as columns:
        for start in range(0, count, BLOCK):
            try:
                t = columns["t"](start, min(start + BLOCK, count))
            except FormatError:
                continue  # met again, and reported, when the events are read
            t = t[(t != 0) & (np.abs(t) < _LATEST)]  # NaN is left out too
            if (t != np.rint(t)).any():
                return UNITS["s"]
            some = float(t[0]) if some is None and len(t) else some
    if some is not None:
        raise FormatError(
            path,
            f"found times in floats that are all whole, such as {some:g}; expected fractions of seconds; choose with "
            "read(path, unit='us'), or 's' if these are seconds",
        )
    return UNITS["s"]


def named_columns(names: Iterable[str]) -> dict[str, str] | None:
    """Find t, x, y and p among names; None where t or x is missing.

    Example:
        >>> named_columns(["ts", "xs", "ys", "ps"])
        {'t': 'ts', 'x': 'xs', 'y': 'ys', 'p': 'ps'}
    """
    lower = {name.lower(): name for name in names}
    found = {
        field: lower[next(one for one in known if one in lower)]
        for field, known in NAMES.items()
        if any(one in lower for one in known)
    }
    return found if {"t", "x"} <= set(found) else None


def sensor_of(
    shape: tuple[int, ...] | None, count: int, opened: Callable[[], AbstractContextManager[Mapping[str, Rows]]]
) -> tuple[int, ...] | None:
    """Shape of the sensor where it is known; where there is no y, (channels,), in a pass over x if need be."""
    if shape is not None:
        return shape
    highest = 0
    with opened() as columns:
        if "y" in columns:
            return None
        for start in range(0, count, BLOCK):
            try:
                x = columns["x"](start, min(start + BLOCK, count))
            except FormatError:
                continue  # met again, and reported, when the events are read
            x = x[~_outside(x, 0, _ANY - 1)]
            highest = max(highest, int(x.max(initial=0)))
    return (highest + 1,)


@dataclass(frozen=True)
class Columns:
    """Events in columns; see `Source`."""

    path: str | PathLike[str]
    faults: Faults
    shape: tuple[int, ...] | None
    sorted: bool
    count: int
    row: int
    """Bytes of an event, unpacked."""
    open: Callable[[], AbstractContextManager[Mapping[str, Rows]]]
    """Gives the columns, by field: `t`, `x`, and where the file has them `y` and `p`. Rows are asked for in order."""
    offset_us: int = 0
    """Added to each time [us]."""
    power: int = 0
    """Power of ten that makes microseconds of a time."""

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Give the events, in blocks."""
        out, before, kept = np.zeros(BLOCK, EVENT), None, 0
        try:
            with self.open() as columns:
                for start in range(0, self.count, BLOCK):
                    stop = min(start + BLOCK, self.count)
                    try:
                        rows = {name: read(start, stop) for name, read in columns.items()}
                    except FormatError as error:
                        if not self.faults.meet(error):
                            self.faults.leave((self.count - start) * self.row)
                            return
                        self.faults.leave((stop - start) * self.row)
                        continue
                    block = out[: stop - start]
                    bad = self._fill(block, rows)
                    if self.sorted:
                        bad |= back(block["t"], bad, before)
                    goes_on = True
                    if bad.any():
                        first = int(np.argmax(bad))
                        goes_on = self.faults.meet(self._problem(rows, first, start, before))
                        keep = ~bad if goes_on else np.arange(len(bad)) < first
                        block = block[keep]
                        self.faults.leave(((stop if goes_on else self.count) - start - len(block)) * self.row)
                    if len(block):
                        before = int(block["t"][-1]) if self.sorted else None
                        kept += len(block)
                        yield block
                    if not goes_on:
                        return
        finally:
            self.faults.report(kept)

    def extras(self) -> Extras:
        """Nothing: the columns are all there is."""
        return Extras.none()

    @property
    def most(self) -> int:
        """Largest number of events that the file can hold."""
        return self.count

    def _limits(self) -> tuple[int, int]:
        if self.shape is None:
            return _ANY, _ANY
        return (self.shape[0], self.shape[1]) if len(self.shape) == 2 else (self.shape[0], 1)

    def _fill(self, block: NDArray[np.void], rows: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Write rows into a block; returns where they are no events."""
        t, bad = _microseconds(rows["t"], self.power, self.offset_us)
        block["t"] = t
        for name, limit in zip(("x", "y"), self._limits(), strict=True):
            if name in rows:
                bad |= _outside(rows[name], 0, limit - 1)
                with np.errstate(invalid="ignore"):
                    block[name] = rows[name]
            else:
                block[name] = 0
        if "p" in rows:
            bad |= _outside(rows["p"], -1, 1)
            np.greater(rows["p"], 0, out=block["p"])
        else:
            block["p"] = True
        return bad

    def _problem(self, rows: Mapping[str, NDArray[Any]], k: int, start: int, before: int | None) -> str:
        """What is wrong with a row."""
        found = ", ".join(f"{name}={column[k]}" for name, column in rows.items())
        width, height = self._limits()
        t, _ = _microseconds(rows["t"][: k + 1], self.power, self.offset_us)
        earlier = f" after {t[k - 1] if k else before} us" if k or before is not None else ""
        return (
            f"found event {start + k} with {found}{earlier}; expected whole coordinates within {width} x {height}, "
            "polarity 0 or 1 (or -1 and 1) and sorted times; the file is damaged, or pass the sensor's shape, or "
            "sort=True"
        )


def _microseconds(t: NDArray[Any], power: int, offset_us: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times in us, and where they are none: not finite, or too large."""
    floats = t.dtype.kind == "f"
    if not floats and power == 0:
        limit = (1 << 62) - abs(offset_us)
        bad = _outside(t, -limit, limit)
        with np.errstate(over="ignore"):
            return t.astype(np.int64) + offset_us, bad
    if floats:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(t.astype(np.float64) * 10.0**power) if power >= 0 else np.rint(t / 10.0**-power)
        # Written so that NaN is refused too.
        bad = ~(np.abs(scaled) <= _LATEST - abs(offset_us))
        return np.where(bad, 0, scaled).astype(np.int64) + offset_us, bad
    if power > 0:
        limit = ((1 << 62) - abs(offset_us)) // 10**power
        bad = _outside(t, -limit, limit)
        return np.where(bad, 0, t).astype(np.int64) * 10**power + offset_us, bad
    bad = _outside(t, -(1 << 62), 1 << 62)
    unit = 10**-power
    whole, rest = np.divmod(np.where(bad, 0, t).astype(np.int64), unit)
    whole += (2 * rest > unit) | ((2 * rest == unit) & (whole & 1 == 1))
    return whole + offset_us, bad


def _outside(column: NDArray[Any], low: int, high: int) -> NDArray[np.bool_]:
    """Where values are no whole numbers from low to high."""
    kind = column.dtype.kind
    if kind == "f":
        with np.errstate(invalid="ignore"):
            odd: NDArray[np.bool_] = ~((column >= low) & (column <= high) & (column == np.rint(column)))
            return odd
    if kind not in "iub":
        return np.ones(len(column), np.bool_)
    if not len(column) or (int(column.min()) >= low and int(column.max()) <= high):
        return np.zeros(len(column), np.bool_)
    info = np.iinfo(column.dtype)
    far: NDArray[np.bool_] = (column < max(low, info.min)) | (column > min(high, info.max))
    return far


def back(t: NDArray[np.int64], bad: NDArray[np.bool_], before: int | None) -> NDArray[np.bool_]:
    """Where a time lies before that of a sound event before it (one that is not `bad`); `before` is the last [us]."""
    lowest = np.iinfo(np.int64).min if before is None else before
    if len(t) and t[0] >= lowest and not bad.any() and (t[1:] >= t[:-1]).all():
        return np.zeros(len(t), np.bool_)
    latest = np.maximum.accumulate(np.concatenate([[lowest], np.where(bad, lowest, t)]))[:-1]
    result: NDArray[np.bool_] = t < latest
    return result
