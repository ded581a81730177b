"""Packed sets: recordings of one sensor in a compact HDF5 file, the form in which small sets are bundled.

Events of a recording are ordered by cell (a camera's polarity, row, column; or a channel), then time. Stored are
`counts` [R, cells] (events per cell), `ticks` [E] (time since the event before it in the same cell, or since 0, in
units of `tick_us` [1]), `sensor` [1 or 2], `labels` [R], `extra/keys` and metadata as in SHD. Reading gives the events
sorted by time, then cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError
from spikelab.events.array import EVENT, Events
from spikelab.events.hdf5 import open_hdf5
from spikelab.events.labels import read_labels, write_labels
from spikelab.events.recordings import Recordings, must_be_recordings
from spikelab.events.transform import cell_shape
from spikelab.files import whole_file

__all__ = ["read", "write"]

_MOST_TICKS = 65535


def read(path: str | PathLike[str]) -> Recordings:
    """Read a packed set; it stays packed in memory, recordings are unpacked when they are asked for.

    Raises:
        FormatError: damaged, cut or foreign.
    """
    with open_hdf5(path) as file:
        sensor = tuple(int(size) for size in file.read("sensor").tolist() if isinstance(size, int))
        tick_us = file.read("tick_us")
        counts, ticks = file.read("counts", rank=2), file.read("ticks")
        if not (
            len(sensor) in (1, 2)
            and all(1 <= size <= 65536 for size in sensor)
            and counts.shape[1] == int(np.prod(cell_shape(sensor)))
            and (counts.dtype.str, ticks.dtype.str) == ("|u1", "<u2")
            and tick_us.shape == (1,)
            and tick_us.dtype.kind in "iu"
            and 1 <= int(tick_us[0]) <= 1_000_000
        ):
            raise file.error(
                f"found counts {counts.shape} of {counts.dtype}, ticks of {ticks.dtype}, sensor {sensor}, tick "
                f"{tick_us} us; "
                "expected a packed set; the file is damaged, or has another layout"
            )
        labels, classes, metadata = read_labels(file, len(counts))
        first = np.concatenate([[0], np.cumsum(counts.sum(axis=1, dtype=np.int64))])
        if first[-1] != len(ticks):
            raise file.error(
                f"found {len(ticks)} ticks; expected {first[-1]}, the sum of the counts; the file is damaged"
            )
    opener = partial(_open, counts, ticks, first, int(tick_us[0]), sensor)
    return Recordings(opener, labels, sensor, classes, metadata)


def write(recordings: Recordings, path: str | PathLike[str], tick_us: int = 1) -> None:
    """Write a packed set, under a temporary name first. Nothing is rounded.

    Args:
        recordings: the set.
        path: the file to make.
        tick_us: [us] unit of time; every time must be a multiple.

    Raises:
        ShapeError: a time is no multiple of the tick, negative, or above 65,535 ticks; or a cell has over 255 events
            in a recording.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> one = Events.from_columns(t=[125, 250], x=[127, 3], shape=(128,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Recordings.of([one], labels=[0], classes=("zero",)), f"{folder}/a.h5", tick_us=125)
        ...     read(f"{folder}/a.h5")[0].equals(one)
        True
    """
    import h5py

    must_be_recordings(recordings, "packed set")
    cells = int(np.prod(cell_shape(recordings.shape)))
    counts = np.zeros((len(recordings), cells), np.uint8)
    parts: list[NDArray[np.uint16]] = []
    for k, events in enumerate(recordings):
        if len(events) and ((events.t % tick_us).any() or events.t[0] < 0 or events.t[-1] > _MOST_TICKS * tick_us):
            raise ShapeError(
                f"packed set: found times {events.t[0]} to {events.t[-1]} us in recording {k}; "
                f"expected multiples of {tick_us} us up to {_MOST_TICKS * tick_us}; floor them first, or choose "
                "another tick"
            )
        cell = _cells(events)
        order = np.lexsort((events.t, cell))
        tick, cell = events.t[order] // tick_us, cell[order]
        new = np.diff(cell, prepend=-1) != 0
        number = np.bincount(cell, minlength=cells)
        if number.max() > 255:
            raise ShapeError(
                f"packed set: found {number.max()} events in one cell of recording {k}; expected at most 255; cut "
                "the recording"
            )
        counts[k] = number
        parts.append(np.where(new, tick, np.diff(tick, prepend=0)).astype(np.uint16))
    packing = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    ticks = np.concatenate(parts)
    with (
        whole_file(path) as temporary,
        h5py.File(temporary, "w", libver="earliest", track_order=False) as file,
    ):
        file.create_dataset("counts", data=counts, chunks=counts.shape, **packing)
        file.create_dataset("ticks", data=ticks, chunks=(max(1, min(len(ticks), 1 << 20)),), **packing)
        file["sensor"] = np.array(recordings.shape, np.int64)
        file["tick_us"] = np.array([tick_us], np.int64)
        write_labels(file, recordings)


def _cells(events: Events) -> NDArray[np.int64]:
    """Flat cell of each event, polarity major."""
    cell = events.x.astype(np.int64)
    if len(events.shape) == 2:
        cell += events.shape[0] * (events.y + events.shape[1] * events.p.astype(np.int64))
    return cell


@contextmanager
def _open(
    counts: NDArray[np.generic],
    ticks: NDArray[np.generic],
    first: NDArray[np.int64],
    tick_us: int,
    sensor: tuple[int, ...],
) -> Iterator[Callable[[int], Events]]:
    def get(k: int) -> Events:
        number = counts[k]
        cell = np.repeat(np.arange(len(number)), number)
        total = np.cumsum(ticks[first[k] : first[k + 1]], dtype=np.int64)
        # The sum runs over all cells; take off what it had reached before the cell began.
        start = np.cumsum(number, dtype=np.int64) - number
        before = np.concatenate([[0], total])[start]
        tick = total - np.repeat(before, number)
        order = np.lexsort((cell, tick))
        cell = cell[order]
        array = np.empty(len(cell), EVENT)
        array["t"] = tick[order] * tick_us
        if len(sensor) == 2:
            width, height = sensor
            array["x"], array["y"], array["p"] = cell % width, cell // width % height, cell // (width * height)
        else:
            array["x"], array["y"], array["p"] = cell, 0, True
        array.flags.writeable = False
        return Events(array, sensor)

    yield get
