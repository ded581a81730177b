"""Recordings cut into shorter ones, by time or by number of events; where the cuts lie can be kept in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import FormatError, ShapeError
from spikelab.events.array import Events, must_be_events, trusted, whole_us
from spikelab.events.hdf5 import SIGNATURE, open_hdf5
from spikelab.events.identity import fingerprint
from spikelab.events.recordings import Opened, Recordings, must_be_recordings
from spikelab.events.steps import step_us
from spikelab.files import whole_file
from spikelab.units import Quantity, si

__all__ = ["cuts", "sliced"]

_MOST = 10_000_000
_MARK = b"slices\0"  # name of the group, near the start of the file


def cuts(
    events: Events,
    *,
    window: Quantity | None = None,
    count: int | None = None,
    overlap: Quantity | int = 0,
    start_us: int | None = None,
) -> NDArray[np.int64]:
    """Where to cut a recording: slice k holds the events from number `[k, 0]` up to, not with, number `[k, 1]`.

    Every event lies in a slice, the last one of which may be shorter; without overlap it lies in exactly one. A window
    without events between others makes an empty slice; a recording without events has no slices.

    Args:
        events: E events.
        window: [s] length of a slice, or a string with a unit.
        count: or its number of events.
        overlap: what a slice shares with the next: [s] or a string with a unit, for windows; a number of events else.
        start_us: [us] windows start here plus multiples of their length less the overlap; None takes the first event.

    Returns:
        [K, 2] numbers of events.

    Raises:
        ShapeError: not exactly one of `window` and `count`; one that is not longer than the overlap; more than
            ten million slices.
        UnitError: a window or overlap that is no duration.

    Example:
        >>> events = Events.from_columns(t=[0, 10, 25], x=[0, 0, 0], shape=(1,))
        >>> cuts(events, window="10 us").tolist()
        [[0, 1], [1, 2], [2, 3]]
        >>> cuts(events, count=2).tolist()
        [[0, 2], [2, 3]]
    """
    must_be_events(events, "cuts")
    length, stride = _sizes(window, count, overlap)
    start = None if start_us is None else whole_us(start_us, "cuts: start_us")
    if not len(events):
        return np.zeros((0, 2), np.int64)
    if window is None:
        number = max(1, -(-(len(events) - (length - stride)) // stride))
        _bound(number)
        first = np.arange(number) * stride
        return np.stack([first, np.minimum(first + length, len(events))], 1)
    t0, last = int(events.t[0]), int(events.t[-1])
    begin = t0 if start is None else t0 - (t0 - start) % stride
    number = max(1, -(-(last + 1 - begin - (length - stride)) // stride))  # the fewest that reach the last event
    _bound(number)
    edges = begin + np.arange(number) * stride
    return np.stack([np.searchsorted(events.t, edges), np.searchsorted(events.t, edges + length)], 1).astype(np.int64)


def sliced(
    recordings: Recordings,
    *,
    window: Quantity | None = None,
    count: int | None = None,
    overlap: Quantity | int = 0,
    start_us: int | None = None,
    index: str | PathLike[str] | None = None,
) -> Recordings:
    """Cut every recording; each slice has the label and the metadata of its recording.

    Args:
        recordings: R recordings.
        window: as `cuts`; so are count, overlap, start_us.
        count: see `cuts`.
        overlap: see `cuts`.
        start_us: see `cuts`.
        index: HDF5 file that keeps the cuts, so that a large set is read once for them. It is written whole or not at
            all; one of other recordings (whose files have changed, say) or other sizes is replaced, as is a
            damaged one.

    Returns:
        Recordings of slices; metadata also has `"recording"` (number), `"slice"` (number in it) and `"events"` (count).

    Raises:
        ShapeError: as `cuts`, or no recordings.
        FormatError: `index` is foreign or cannot be written.

    Example:
        >>> events = Events.from_columns(t=[0, 10, 25], x=[0, 0, 0], shape=(1,))
        >>> parts = sliced(Recordings.of([events, events], [0, 1], ("a", "b")), count=2)
        >>> parts, parts.metadata["recording"].tolist()
        (Recordings(4 recordings, 2 classes, 1 channels), [0, 0, 1, 1])
    """
    must_be_recordings(recordings, "sliced")
    sizes = _sizes(window, count, overlap)
    what = f"{'count' if window is None else 'window_us'}={sizes} start_us={start_us}"
    key = "" if index is None else hashlib.sha256(f"{fingerprint(recordings)} {what}".encode()).hexdigest()
    table = None if index is None or not Path(index).exists() else _load(index, key)
    if table is None:
        rows, sizes_of = [np.zeros((0, 3), np.int64)], np.zeros(len(recordings), np.int64)
        for k, events in enumerate(recordings):
            sizes_of[k] = len(events)
            found = cuts(events, window=window, count=count, overlap=overlap, start_us=start_us)
            rows.append(np.column_stack([np.full(len(found), k), found]))
        table = np.concatenate(rows), sizes_of
        _bound(len(table[0]))
        if index is not None:
            _save(index, key, *table)
    (which, first, last), counts = table[0].T, table[1]
    number = np.arange(len(which)) - np.searchsorted(which, which)
    return Recordings(
        partial(_open, recordings.open, which, first, last, counts),
        recordings.labels[which],
        recordings.shape,
        recordings.classes,
        {name: values[which] for name, values in recordings.metadata.items()}
        | {"recording": which, "slice": number, "events": last - first},
    )


@contextmanager
def _open(
    opener: Callable[[], Opened],
    which: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Iterator[Callable[[int], Events]]:
    with opener() as get:
        held: tuple[int, Events] | None = None

        def cut(k: int) -> Events:
            nonlocal held
            if held is None or held[0] != which[k]:  # the slices of a recording in turn read it once
                held = int(which[k]), get(int(which[k]))
            events = held[1]
            if len(events) != counts[which[k]]:
                raise ShapeError(
                    f"sliced: found {len(events)} events in recording {which[k]}; expected {counts[which[k]]}, as when "
                    "it was cut; cut it again"
                )
            return trusted(events.array[first[k] : last[k]], events.shape)

        yield cut


def _sizes(window: Any, count: Any, overlap: Any) -> tuple[int, int]:
    """Length of a slice and step to the next one: both [us], or both numbers of events."""
    if (window is None) == (count is None):
        raise ShapeError(f"slices: found window={window!r} and count={count!r}; expected one of them; pass one")
    if window is None:
        if not (is_whole(count) and is_whole(overlap) and 0 <= overlap < count):
            raise ShapeError(
                f"slices: found count={count!r} and overlap={overlap!r}; expected whole numbers, the overlap less; "
                "pass count=50_000, say"
            )
        return int(count), int(count) - int(overlap)
    length = step_us(window)
    shared = 0 if si(overlap, "s", "slices: overlap") == 0 else step_us(overlap)
    if length != int(length) or shared != int(shared) or shared >= length:
        raise ShapeError(
            f"slices: found window={window!r} and overlap={overlap!r}; expected whole microseconds, the overlap less; "
            "pass window='10 ms', say"
        )
    return int(length), int(length) - int(shared)


def _bound(number: int) -> None:
    if number > _MOST:
        raise ShapeError(
            f"slices: found {number} slices; expected at most {_MOST}; take a longer window, or a start_us"
        )


def _save(path: str | PathLike[str], key: str, table: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    import h5py

    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
        file["slices/key"] = np.array([key.encode()])
        file["slices/sum"] = np.array([_sum(table, counts)])
        file["slices/table"] = table.reshape(-1)
        file["slices/counts"] = counts


def _load(path: str | PathLike[str], key: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The cuts in a file, and the events of each recording; None where they are of other recordings or sizes.

    One of ours that is damaged counts as none.
    """
    try:
        return _read(path, key)
    except FormatError:
        try:
            with Path(path).open("rb") as file:
                head = file.read(1 << 12)
        except OSError:
            head = b""
        if head.startswith(SIGNATURE) and _MARK in head:
            return None
        raise


def _read(path: str | PathLike[str], key: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    with open_hdf5(path) as file:
        if "slices/key" not in file:
            raise FormatError(path, "found HDF5 of another kind; expected an index of slices; choose another name")
        if file.read("slices/key").tolist() != [key.encode()]:
            return None
        table = file.read("slices/table").astype(np.int64).reshape(-1, 3)
        counts = file.read("slices/counts").astype(np.int64)
        if file.read("slices/sum").tolist() != [_sum(table, counts)]:
            raise FormatError(path, "found cuts of another checksum; expected those that were written; delete the file")
        return table, counts


def _sum(*tables: NDArray[np.int64]) -> bytes:
    found = hashlib.sha256()
    for table in tables:
        found.update(np.ascontiguousarray(table, np.int64).tobytes())
    return found.hexdigest().encode()
