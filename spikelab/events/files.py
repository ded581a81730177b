"""Any event file: recognised by its content first, then by the end of its name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from spikelab.errors import FormatError
from spikelab.events import aedat4, hdf5, nmnist, nmnist_set, packed, shd
from spikelab.events.array import Events
from spikelab.events.recordings import Recordings
from spikelab.files import file_name

__all__ = ["detect", "info", "read"]

_READERS = {
    "aedat4": aedat4.read,
    "shd": shd.read,
    "packed": packed.read,
    "nmnist": nmnist.read,
    "nmnist-set": nmnist_set.read,
}
_FOREIGN = {  # known by their first bytes, but not read
    b"#!AER-DAT": "AEDAT 1 to 3",
    b"% ": "Prophesee RAW or DAT",
    b"Event Stream": "Event Stream",
    b"SQLite format 3": "a ROS 2 bag or another SQLite file",
    b"\x89MCAP": "MCAP",
    b"MATLAB 5.0": "MATLAB",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "gzip",
    b"\x89PNG": "PNG",
    b"%PDF": "PDF",
}


def read(path: str | PathLike[str]) -> Events | Recordings:
    """Read an event file, or a labelled set of recordings.

    Args:
        path: AEDAT 4, N-MNIST .bin; or a set: SHD-layout or packed HDF5, a folder or .zip of N-MNIST .bin files.

    Returns:
        Events of a single recording, Recordings of a set. For options (a stream, the sensor's shape) call `read` of
        the format's module.

    Raises:
        FormatError: missing, empty, cut, damaged, or of a format that is not read; it names what was found.
    """
    return _READERS[detect(path)](path)  # type: ignore[operator,no-any-return]


def detect(path: str | PathLike[str]) -> str:
    """Name the format of a file: `"aedat4"`, `"shd"`, `"packed"`, `"nmnist"` or `"nmnist-set"`.

    Raises:
        FormatError: as `read`.
    """
    path = Path(file_name(path))
    if path.is_dir():
        return "nmnist-set"
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected an event file; check the path") from error
    if not head:
        raise FormatError(path, "found an empty file; expected events; copy it again", 0)
    if head.startswith(aedat4.MAGIC):
        return "aedat4"
    if head.startswith(hdf5.SIGNATURE) and path.suffix.lower() == ".nir":
        raise FormatError(
            path, "found a NIR network; expected a recording; read it with spikelab.read, or run it with `spikelab run`"
        )
    if head.startswith(hdf5.SIGNATURE):
        with hdf5.open_hdf5(path) as opened:
            if "spikes/times" in opened:
                return "shd"
            if "counts" in opened and "ticks" in opened:
                return "packed"
            arrays = ", ".join(opened.names("")) or "groups only"
        raise FormatError(
            path,
            f"found HDF5 with {arrays}; expected spikes/times, spikes/units and labels, as in SHD; "
            "read its columns with h5py and pass them to Events.from_columns",
        )
    if head.startswith(b"PK") and path.suffix.lower() == ".npz":
        raise FormatError(
            path, "found arrays of NumPy (.npz); expected a recording; pass its columns to Events.from_columns"
        )
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "nmnist-set"
    known = "AEDAT 4, SHD-layout HDF5, N-MNIST .bin, or a .zip or folder of .bin files"
    for start, name in _FOREIGN.items():
        if head.startswith(start):
            raise FormatError(
                path, f"found {name}; expected {known}; convert it, or pass its columns to Events.from_columns", 0
            )
    if path.suffix.lower() == ".bin":
        return "nmnist"
    raise FormatError(path, f"found bytes {head[:8]!r} and the name {path.name!r}; expected {known}; check the file", 0)


def info(path: str | PathLike[str]) -> dict[str, int | str | None]:
    """Summarise an event file.

    Returns:
        `format`, `width`, `height` (channels and 1 for a sensor with one axis), `count`, `on_count`, `t_first_us`,
        `t_last_us`, `x_max`, `y_max` (None where there are no events); for a set the sums and extremes
        over all recordings, and `recordings`, their number.

    Raises:
        FormatError: as `read`; for a set also when any recording is damaged.

    Example:
        >>> import tempfile
        >>> one = Events.from_columns(t=[7, 9], x=[3, 5], y=[4, 0], p=[0, 1], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     nmnist.write(one, f"{folder}/a.bin")
        ...     summary = info(f"{folder}/a.bin")
        >>> summary["count"], summary["on_count"], summary["t_last_us"], summary["format"]
        (2, 1, 9, 'nmnist')
    """
    kind = detect(path)
    found = _READERS[kind](path)  # type: ignore[operator]
    width, height = found.shape if len(found.shape) == 2 else (found.shape[0], 1)
    result: dict[str, int | str | None] = {"format": kind, "width": width, "height": height}
    count = on = 0
    first: list[int] = []
    last: list[int] = []
    x: list[int] = []
    y: list[int] = []
    for events in [found] if isinstance(found, Events) else found:
        count += len(events)
        on += int(events.p.sum())
        if len(events):
            first.append(int(events.t[0]))
            last.append(int(events.t[-1]))
            x.append(int(events.x.max()))
            y.append(int(events.y.max()))
    result |= {
        "count": count,
        "on_count": on,
        "t_first_us": min(first, default=None),
        "t_last_us": max(last, default=None),
    }
    result |= {"x_max": max(x, default=None), "y_max": max(y, default=None)}
    if isinstance(found, Recordings):
        result["recordings"] = len(found)
    return result
