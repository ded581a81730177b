"""Any event file: recognised by its content first, then by the end of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Final

from spikelab.errors import FormatError, ShapeError, UnsupportedError, unknown_name
from spikelab.events import (
    aedat2,
    aedat3,
    aedat4,
    dat,
    es,
    evt2,
    evt3,
    evt21,
    hdf5,
    hdf5_events,
    matlab,
    nmnist,
    nmnist_set,
    npz,
    packed,
    rosbag,
    shd,
    text,
)
from spikelab.events.array import Events, must_be_events, sensor_shape, whole_us
from spikelab.events.chunks import by_count, by_window, collect
from spikelab.events.faults import Errors, Faults
from spikelab.events.pieces import Pieces
from spikelab.events.recordings import Recordings
from spikelab.events.source import Extras, Format, Source
from spikelab.events.steps import step_us
from spikelab.files import file_name
from spikelab.units import Quantity

__all__ = ["FORMATS", "detect", "extras", "open_recording", "read", "stream", "write"]

FORMATS: Final[dict[str, Format]] = {
    one.name: one
    for one in (
        aedat2.FORMAT,
        aedat3.FORMAT,
        aedat4.FORMAT,
        es.FORMAT,
        evt3.FORMAT,
        evt2.FORMAT,
        evt21.FORMAT,
        dat.FORMAT,
        hdf5_events.FORMAT,
        matlab.FORMAT,
        nmnist.FORMAT,
        npz.FORMAT,
        npz.NPY,
        rosbag.FORMAT,
        rosbag.MCAP,
        text.FORMAT,
    )
}
"""Every format of a single recording, by name."""
_SETS: Final[dict[str, Callable[[Any], Recordings]]] = {
    "shd": shd.read,
    "packed": packed.read,
    "nmnist-set": nmnist_set.read,
}
_FOREIGN = {  # known by their first bytes, but not read
    b"\x1f\x8b": "gzip",
    b"\x89PNG": "PNG",
    b"%PDF": "PDF",
}


def read(
    path: str | PathLike[str],
    *,
    format: str | None = None,
    errors: Errors = "strict",
    shape: tuple[int, ...] | None = None,
    sort: bool = False,
    **options: Any,
) -> Events | Recordings:
    """Read an event file, or a labelled set of recordings.

    Polarity is True for ON, a rise of brightness; x grows to the right. y is the row as the file's maker counts it:
    downwards, but upwards in AEDAT 1 and 2 (jAER draws row 0 at the bottom) and in .es files of some recorders. Rows
    are never turned here; `transform.flip_y` does that. Times are int64 [us] with every wrap of the file's counter
    undone.

    Args:
        path: the file, or the folder of a set.
        format: name of the format, a key of `FORMATS`; None looks at content, then at the end of the name.
        errors: `"strict"` refuses a damaged file; `"truncate"` takes the events before the damage; `"skip"` also goes
            on at the next sound place behind it; both warn of what was left out, with the byte.
        shape: (width, height) of the sensor; None takes what the file says, else what its events span.
        sort: put events in order of time where the file's are not (stable); False refuses such a file.
        options: of the format: `sensor` (AEDAT 1 and 2: where the file does not name it), `source` (AEDAT 3.1: number
            of the camera), `stream` (AEDAT 4: id of the event stream), ...

    Returns:
        Events of a single recording, Recordings of a set.

    Raises:
        FormatError: missing, empty, cut, damaged, or of a format that is not read; it names what was found.
        UnsupportedError: an unknown format or option.
    """
    kind = _kind(path, format)
    if kind in _SETS:
        if (errors, shape, sort, options) != ("strict", None, False, {}):
            raise UnsupportedError(
                f"read: found options for {file_name(path)}, a set ({kind}); expected none; call read of the format's "
                "module"
            )
        return _SETS[kind](path)
    return collect(_open(path, kind, errors, shape, not sort, options), sort)


def stream(
    path: str | PathLike[str],
    *,
    window: Quantity | None = None,
    count: int | None = None,
    start_us: int = 0,
    format: str | None = None,
    errors: Errors = "strict",
    shape: tuple[int, ...] | None = None,
    **options: Any,
) -> Iterator[Events]:
    """Read a recording piece by piece, for files larger than memory.

    Where neither the file nor `shape` says how large the sensor is, the file is read twice.

    Args:
        path: the file.
        window: [s] length of a piece, or a string with a unit; windows start at `start_us` plus multiples of it,
            and one without events is given too, empty, between the first event and the last.
        count: or the number of events of a piece; the last one may have fewer.
        start_us: [us] where one of the windows starts.
        format: as `read`.
        errors: as `read`.
        shape: as `read`.
        options: as `read`.

    Returns:
        An iterator of Events; joined, they are those that `read` gives.

    Raises:
        FormatError: as `read`; damage is met when its piece is asked for.
        ShapeError: not exactly one of `window` and `count`, or a count below 1.
        UnsupportedError: an unknown format or option, or a set of recordings.
        UnitError: `window` is not a duration above zero.
    """
    if (window is None) == (count is None):
        raise ShapeError(f"stream: found window={window!r} and count={count!r}; expected one of them; pass one")
    kind = _kind(path, format)
    if kind in _SETS:
        raise UnsupportedError(
            f"stream: found {file_name(path)}, a set of recordings; expected one recording; iterate over read(path)"
        )
    if count is not None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ShapeError(f"stream: found count={count!r}; expected a whole number above 0; pass count=50_000, say")
        return by_count(_open(path, kind, errors, shape, True, options), count)
    assert window is not None
    length = step_us(window)
    if length != int(length):
        raise ShapeError(f"stream: found window={window!r}; expected whole microseconds; pass '10 ms', say")
    start = whole_us(start_us, "stream: start_us")
    return by_window(_open(path, kind, errors, shape, True, options), int(length), start)


def extras(
    path: str | PathLike[str], *, format: str | None = None, errors: Errors = "strict", **options: Any
) -> Extras:
    """Read what a file holds beside its events: external triggers, IMU samples, frames.

    Args:
        path: the file.
        format: as `read`.
        errors: as `read`.
        options: as `read`.

    Raises:
        FormatError: as `read`.
    """
    kind = _kind(path, format)
    return Extras.none() if kind in _SETS else _open(path, kind, errors, None, True, options).extras()


def write(events: Pieces, path: str | PathLike[str], *, format: str | None = None, **options: Any) -> None:
    """Write events to a file, under a temporary name first; `read` gives the same events back.

    Args:
        events: the events; or an iterator of pieces of them that follow each other in time, such as `stream` gives,
            which are written as they come, one at a time in memory. `Format.pieces` says which formats take these.
        path: the file; the end of its name chooses the format where `format` is None.
        format: name of the format.
        options: those of `write` in the format's module.

    Raises:
        UnsupportedError: the format is unknown, cannot be written, or cannot hold these events (each reason is named).
        FormatError: the place cannot be written to.
    """
    if not isinstance(events, Iterator):
        must_be_events(events, "write")
    able = {name: one for name, one in FORMATS.items() if one.write is not None}
    if format is None:
        suffix = Path(file_name(path)).suffix.lower()
        format = next((name for name, one in able.items() if suffix in one.suffixes), None)
        if format is None:
            known = ", ".join(f"{one.suffixes[0]} ({one.title})" for one in able.values())
            raise UnsupportedError(
                f"write: found the file name {file_name(path)!r}; expected one that ends in {known}; or pass format="
            )
    if format not in able:
        raise unknown_name("format", format, able)
    if isinstance(events, Iterator) and not able[format].pieces:
        known = ", ".join(one.title for one in able.values() if one.pieces)
        raise UnsupportedError(
            f"write: found pieces of a recording for {able[format].title}; expected all of it, or one of {known}; pass "
            "Events, or choose one of these"
        )
    able[format].write(events, path, **options)


def open_recording(
    path: str | PathLike[str],
    *,
    format: str | None = None,
    errors: Errors = "strict",
    shape: tuple[int, ...] | None = None,
    sort: bool = False,
    **options: Any,
) -> Source:
    """Open a recording whose events are asked for block by block, in a small buffer; the rest as `read`.

    With `sort`, a block may hold times that run backwards. Raises as `stream`.
    """
    kind = _kind(path, format)
    if kind in _SETS:
        raise UnsupportedError(
            f"{file_name(path)}: found a set of recordings ({kind}); expected one recording; take one with "
            "read(path)[k]"
        )
    return _open(path, kind, errors, shape, not sort, options)


def _open(
    path: str | PathLike[str],
    kind: str,
    errors: Errors,
    shape: tuple[int, ...] | None,
    ordered: bool,
    options: dict[str, Any],
) -> Source:
    one = FORMATS[kind]
    for name in options:
        if name not in one.options:
            raise unknown_name(f"option of {one.title}", name, one.options)
    return one.open(
        path, Faults(path, errors), shape=None if shape is None else sensor_shape(shape), sorted=ordered, **options
    )


def _kind(path: str | PathLike[str], format: str | None) -> str:
    if format is None:
        return detect(path)
    if format not in FORMATS and format not in _SETS:
        raise unknown_name("format", format, [*FORMATS, *_SETS])
    return format


def detect(path: str | PathLike[str]) -> str:
    """Name the format of a file: a key of `FORMATS`, or that of a set: `"shd"`, `"packed"`, `"nmnist-set"`.

    Raises:
        FormatError: as `read`.
    """
    path = Path(file_name(path))
    if path.is_dir():
        return "nmnist-set"
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected an event file; check the path") from error
    if not head:
        raise FormatError(path, "found an empty file; expected events; copy it again", 0)
    for one in FORMATS.values():
        if head.startswith(one.starts) or (one.knows is not None and one.knows(head)):
            return one.name
    if head.startswith(hdf5.SIGNATURE) and path.suffix.lower() == ".nir":
        raise FormatError(
            path, "found a NIR network; expected a recording; read it with spikelab.read, or run it with `spikelab run`"
        )
    if head.startswith(hdf5.SIGNATURE):
        with hdf5.open_hdf5(path, Faults(path, "skip")) as opened:  # a cut one is met when it is read
            if "spikes/times" in opened:
                return "shd"
            if "counts" in opened and "ticks" in opened:
                return "packed"
            if hdf5_events.groups_of_events(opened):
                return hdf5_events.FORMAT.name
            arrays = ", ".join(sorted(opened)) or "groups only"
        raise FormatError(
            path,
            f"found HDF5 with {arrays}; expected spikes/times, spikes/units and labels, as in SHD, or a group with "
            "t, x, y, p; read its columns with h5py and pass them to Events.from_columns",
        )
    if head.startswith(b"PK") and path.suffix.lower() == ".npz":
        return npz.FORMAT.name
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "nmnist-set"
    known = f"{', '.join(one.title for one in FORMATS.values())}, SHD-layout HDF5, or a .zip or folder of .bin files"
    for start, name in _FOREIGN.items():
        if head.startswith(start):
            raise FormatError(
                path, f"found {name}; expected {known}; convert it, or pass its columns to Events.from_columns", 0
            )
    for one in FORMATS.values():
        if not one.starts and path.suffix.lower() in one.suffixes:
            return one.name
    raise FormatError(path, f"found bytes {head[:8]!r} and the name {path.name!r}; expected {known}; check the file", 0)
