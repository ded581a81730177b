"""One recording in HDF5: columns t, x, y and p in a group, as in DSEC, TUM-VIE, RPG and event-vision-library files.

The group is `events` (DSEC, TUM-VIE; RPG with `ts`, `xs`, `ys`, `ps`), `raw_events` (event-vision-library), or any
other that has such columns. Times are us in integers or seconds in floats with fractions (see `columns`); `t_offset`
[us], beside the group or in it, is added. `ms_to_idx` is an index and says nothing new. Sets of recordings (SHD,
packed) are read by `shd` and `packed`. Columns are taken by their names; files exist whose x is the row.

Source:
    Gehrig et al., DSEC: A stereo event camera dataset for driving scenarios, IEEE RA-L, 2021,
    doi:10.1109/LRA.2021.3068942, and https://dsec.ifi.uzh.ch/data-format/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import Any, Final

import numpy as np

from spikelab.errors import FormatError, UnsupportedError, Violation
from spikelab.events.columns import Columns, Rows, named_columns, sensor_of, time_power, unit_power
from spikelab.events.faults import Faults
from spikelab.events.hdf5 import Hdf5, open_hdf5
from spikelab.events.pieces import Pieces, pieces_of
from spikelab.events.source import Format
from spikelab.files import file_size, whole_file

__all__ = ["FORMAT", "groups_of_events", "open_events", "write"]

_CHUNK = 1 << 16
_STORED: Final = {"t": np.uint32, "x": np.uint16, "y": np.uint16, "p": np.uint8}


def groups_of_events(file: Hdf5) -> list[str]:
    """Names of the groups that hold columns of events."""
    groups = {name.rpartition("/")[0] for name in file}
    return sorted(group for group in groups if named_columns(_leaves(file, group)) is not None)


def open_events(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    unit: str | None = None,
    group: str | None = None,
) -> Columns:
    """Open a file; see `Opener`.

    Args:
        path: the file.
        faults: what to do with damage.
        shape: (width, height) or (channels,); None takes what the file says (ours do), else what the events span.
        sorted: whether to refuse times that run backwards.
        unit: of the times: "s", "ms", "us" or "ns"; None means us for integers, s for floats with fractions.
        group: that holds the columns, where there are several.

    Raises:
        FormatError: missing, foreign, cut in its header, or without a group of such columns, or with several;
            or with times in whole floats and no unit.
        UnsupportedError: another unit.
    """
    unit_power(unit, "us")
    with open_hdf5(path, faults) as file:
        groups = groups_of_events(file)
        if (group is not None and group not in groups) or (group is None and len(groups) != 1):
            known = ", ".join(repr(name) for name in groups) or "none"
            raise FormatError(path, f"found groups of events {known}; expected one; pass group=, or look at the file")
        chosen = groups[0] if group is None else group
        names = named_columns(_leaves(file, chosen)) or {}
        paths = {field: f"{chosen}/{name}" if chosen else name for field, name in names.items()}
        columns = {field: file.column(name) for field, name in paths.items()}
        counts = {field: column.count for field, column in columns.items()}
        if len(set(counts.values())) != 1:
            raise FormatError(path, f"found columns of {counts} values; expected as many of each; the file is damaged")
        chunked = all(column.chunked for column in columns.values())
        row = sum(column.dtype.itemsize for column in columns.values())
        above = chosen.rpartition("/")[0]
        offset = _whole(file, f"{chosen}/t_offset", f"{above}/t_offset".strip("/"), "t_offset")
        stored = tuple(file.read("sensor").tolist()) if "sensor" in file else None
    if stored is not None and not (
        len(stored) in (1, 2) and all(isinstance(n, int) and 0 < n <= 65536 for n in stored)
    ):
        raise FormatError(path, f"found a sensor of shape {stored}; expected 1 to 65536; the file is damaged")
    opened = partial(_opened, path, paths)
    count = counts["t"]
    if not chunked and count * 16 > 1024 * (file_size(path) + 1024):
        raise FormatError(
            path, f"found {count} events in a file of {file_size(path)} bytes; expected fewer; it is damaged"
        )
    power = time_power(path, unit, columns["t"].dtype, count, opened)
    return Columns(path, faults, sensor_of(shape or stored, count, opened), sorted, count, row, opened, offset, power)


def write(events: Pieces, path: str | PathLike[str]) -> None:
    """Write a file in DSEC layout, under a temporary name first.

    `t` counts from `t_offset`, the time of the first event; `ms_to_idx[k]` is the first event with t >= k ms; further
    `sensor` holds the shape. Columns are packed with Zstd in Blosc, as those of DSEC are (so that other readers need
    hdf5plugin).

    Raises:
        UnsupportedError: a recording longer than 2**32 us, which `t` cannot hold.
        ShapeError: these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import Events, read
        >>> one = Events.from_columns(t=[10**15, 10**15 + 7], x=[3, 7], y=[1, 1], shape=(16, 4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.h5")
        ...     read(f"{folder}/a.h5").equals(one)
        True
    """
    import h5py
    import hdf5plugin

    shape, pieces = pieces_of(events, "HDF5")
    filters: dict[str, Any] = dict(hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=hdf5plugin.Blosc.SHUFFLE))
    count, offset, starts, index = 0, 0, 0, [np.zeros(0, np.uint64)]
    with whole_file(path) as temporary, h5py.File(temporary, "w", libver="earliest", track_order=False) as file:
        columns = {
            name: file.create_dataset(f"events/{name}", (0,), dtype, maxshape=(None,), chunks=(_CHUNK,), **filters)
            for name, dtype in _STORED.items()
        }
        for piece in pieces:
            if not len(piece):
                continue
            offset = offset if count else int(piece.t[0])
            _must_be_within_reach(offset, int(piece.t[-1]) - offset)
            t = piece.t - offset
            for name, column in columns.items():
                column.resize((count + len(piece),))
                column[count:] = (t if name == "t" else piece.array[name]).astype(_STORED[name])
            stop = int(t[-1]) // 1000 + 1
            index.append((count + np.searchsorted(t, np.arange(starts, stop) * 1000)).astype(np.uint64))
            count, starts = count + len(piece), stop
        file["ms_to_idx"] = np.concatenate(index)
        file["t_offset"] = np.int64(offset)
        file["sensor"] = np.array(shape, np.int64)


def _must_be_within_reach(offset: int, length: int) -> None:
    """Refuse times that `t` cannot hold."""
    if length >= 1 << 32 or not abs(offset) < 1 << 61:
        found = Violation(
            "time_within_32_bits",
            "HDF5: t",
            f"{length} us from {offset} us on",
            "up to 2**32 - 1 us",
            "cut it with Events.between, or write .npz",
        )
        raise UnsupportedError(violations=[found])


def _leaves(file: Hdf5, group: str) -> list[str]:
    return [name.rpartition("/")[2] for name in file.names(group)]


def _whole(file: Hdf5, *names: str) -> int:
    """The whole number in the first of these places that there is; 0 where there is none."""
    name = next((name for name in names if name in file), None)
    if name is None:
        return 0
    value = file.read(name, rank=0)
    if value.dtype.kind not in "iu" or not abs(int(value[()])) < 1 << 61:
        raise file.error(f"found {name} = {value}; expected us; the file is damaged")
    return int(value[()])


@contextmanager
def _opened(path: str | PathLike[str], paths: Mapping[str, str]) -> Iterator[Mapping[str, Rows]]:
    with open_hdf5(path, Faults(path, "skip")) as file:  # its size was looked at when it was opened first
        yield {field: file.column(name).rows for field, name in paths.items()}


FORMAT: Final = Format(
    "hdf5", "HDF5 of one recording", (".h5", ".hdf5"), open_events, write=write, pieces=True, options=("unit", "group")
)
"""Known by what is in it."""
