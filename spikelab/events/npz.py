"""NumPy files: .npz with the arrays t, x, y and p, and .npy with a structured array of these fields.

Times are us in integers, or seconds in floats with fractions; whole floats need `unit` (see `columns`). Our own .npz
also has `shape`, that of the sensor. Object arrays, which would run code, are not read. Both are read a block at a
time; nothing is held whole.

Source:
    NumPy Enhancement Proposal 1, A simple file format for NumPy arrays.
"""

from __future__ import annotations

import ast
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from os import PathLike
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events.array import Events, must_be_events
from spikelab.events.columns import Columns, Rows, named_columns, sensor_of, time_power, unit_power
from spikelab.events.faults import Faults
from spikelab.events.source import Format
from spikelab.files import file_size, whole_file

__all__ = ["FORMAT", "NPY", "open_npy", "open_npz", "write"]

_MAGIC = b"\x93NUMPY"
_MOST_HEADER = 1 << 16
_MOST_INFLATION = 1032  # of deflate (zlib, technical notes)
_PLAIN = re.compile(r"[<>|=]?[iufb][1248]\Z")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


class _Array(NamedTuple):
    """What the header of an array says."""

    dtype: np.dtype[Any]
    length: int
    start: int
    """Bytes before the first value."""


def open_npz(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    unit: str | None = None,
) -> Columns:
    """Open a .npz file; see `Opener`. `unit` is that of the times: "s", "ms", "us" or "ns".

    Raises:
        FormatError: missing, foreign, damaged, without t and x, or with times in whole floats and no unit.
        UnsupportedError: another unit.
    """
    unit_power(unit, "us")
    file_size(path)
    with _archive(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        names = named_columns(members)
        if names is None:
            known = ", ".join(members) or "none"
            raise FormatError(
                path, f"found the arrays {known}; expected t, x, y, p; pass its columns to Events.from_columns"
            )
        arrays = {field: _header(path, archive, members[name]) for field, name in names.items()}
        stored = _sensor(path, archive, members["shape"]) if "shape" in members else None
    counts = {field: array.length for field, array in arrays.items()}
    if len(set(counts.values())) != 1:
        raise FormatError(path, f"found columns of {counts} values; expected as many of each; the file is damaged")
    opened = partial(_columns, path, {field: (members[name], arrays[field]) for field, name in names.items()})
    row = sum(array.dtype.itemsize for array in arrays.values())
    power = time_power(path, unit, arrays["t"].dtype, counts["t"], opened)
    return Columns(
        path, faults, sensor_of(shape or stored, counts["t"], opened), sorted, counts["t"], row, opened, power=power
    )


def open_npy(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    unit: str | None = None,
) -> Columns:
    """Open a .npy file with a structured array; see `Opener` and `open_npz`. Raises as `open_npz`."""
    unit_power(unit, "us")
    size = file_size(path)
    try:
        with open(path, "rb") as file:
            array = _parse(path, file, size)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path") from error
    names = named_columns(array.dtype.names or ())
    if names is None:
        raise FormatError(
            path, f"found an array of {array.dtype}; expected fields t, x, y, p; pass columns to Events.from_columns", 0
        )
    count = array.length
    if array.start + count * array.dtype.itemsize != size:
        held = (size - array.start) // array.dtype.itemsize
        faults.meet(
            f"found {size} bytes; expected {array.start + count * array.dtype.itemsize}, as the header says; "
            "the file is cut, or has bytes added",
            size,
        )
        faults.leave(max(0, size - array.start - count * array.dtype.itemsize))
        count = min(count, held)
    opened = partial(_fields, path, array, names)
    power = time_power(path, unit, array.dtype[names["t"]], count, opened)
    return Columns(
        path, faults, sensor_of(shape, count, opened), sorted, count, array.dtype.itemsize, opened, power=power
    )


def write(events: Events, path: str | PathLike[str], compress: bool = True) -> None:
    """Write a .npz file, under a temporary name first.

    Args:
        events: the events.
        path: the file to make.
        compress: whether to deflate the columns.

    Raises:
        UnsupportedError: a time of 2**62 us or more, which `read` would take for damage.
        ShapeError: these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import read
        >>> one = Events.from_columns(t=[-5, 10**15], x=[3, 7], shape=(16,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.npz")
        ...     read(f"{folder}/a.npz").equals(one)
        True
    """
    must_be_events(events, ".npz")
    if len(events) and not -(1 << 62) < events.t[0] <= events.t[-1] < 1 << 62:
        raise UnsupportedError(
            f".npz: found times {events.t[0]} to {events.t[-1]} us; expected below 2**62; subtract events.t[0] first"
        )
    columns: dict[str, NDArray[Any]] = {"t": events.t, "x": events.x, "y": events.y, "p": events.p}
    columns["shape"] = np.array(events.shape, np.int64)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **columns)  # type: ignore[arg-type]


@contextmanager
def _archive(path: str | PathLike[str]) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FormatError:
        raise
    except _DAMAGE as error:
        raise FormatError(path, f"cannot be read as .npz ({error}); the file is cut, damaged or foreign") from error


def _header(path: str | PathLike[str], archive: zipfile.ZipFile, name: str) -> _Array:
    """Header of a member, checked against its size."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise FormatError(path, f"found {name} packed in another way; expected deflate; save it again with NumPy")
    if info.file_size > _MOST_INFLATION * (info.compress_size + 64) or info.compress_size > file_size(path):
        raise FormatError(path, f"found {info.compress_size} bytes for {info.file_size} of {name}; it is damaged")
    with archive.open(info) as file:
        array = _parse(path, file, info.file_size)
    if array.start + array.length * array.dtype.itemsize != info.file_size:
        raise FormatError(
            path, f"found {name} of {info.file_size} bytes; expected {array.length} values; the file is damaged"
        )
    return array


def _parse(path: str | PathLike[str], file: IO[bytes], size: int) -> _Array:
    """Read the header of a .npy file: numbers or a structured array of numbers, on one axis."""
    head = file.read(12)
    if not head.startswith(_MAGIC) or len(head) < 12 or head[6] not in (1, 2, 3):
        raise FormatError(path, f"found {head[:8]!r}; expected a NumPy array; the file is cut or damaged", 0)
    start, length = (
        (10, int.from_bytes(head[8:10], "little")) if head[6] == 1 else (12, int.from_bytes(head[8:12], "little"))
    )
    if length > min(_MOST_HEADER, size - start):
        raise FormatError(path, f"found a header of {length} bytes; expected fewer; the file is cut or damaged", 8)
    text = (head[start:] + file.read(length - len(head[start:])))[:length].decode("latin-1")
    try:
        found = ast.literal_eval(text.strip())
        order, descr, axes = found["fortran_order"], found["descr"], found["shape"]
        dtype = _dtype(descr)
        (count,) = axes
        if not isinstance(count, int) or isinstance(count, bool) or count < 0 or not isinstance(order, bool):
            raise ValueError(f"shape {axes}")
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError) as error:
        raise FormatError(
            path, f"found the header {text[:80]!r}; expected numbers on one axis; the array is of another kind", start
        ) from error
    return _Array(dtype, count, start + length)


def _dtype(descr: Any) -> np.dtype[Any]:
    """Dtype of a header, made of plain numbers only."""
    if isinstance(descr, str) and _PLAIN.match(descr):
        return np.dtype(descr)
    if isinstance(descr, list) and 0 < len(descr) < 64:
        fields: list[tuple[str, str]] = []
        for name, kind in descr:
            if (
                not isinstance(name, str)
                or not isinstance(kind, str)
                or not re.match(r"[<>|=]?([iufb][1248]|V\d{1,3})\Z", kind)
            ):
                raise ValueError(f"field {name!r} of {kind!r}")
            fields.append((name or f"pad{len(fields)}", kind))
        return np.dtype(fields)
    raise ValueError(f"dtype {descr!r}")


def _sensor(path: str | PathLike[str], archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    array = _header(path, archive, name)
    if array.length > 2 or array.dtype.kind not in "iu":
        raise FormatError(path, f"found shape of {array.length} {array.dtype}; expected 1 or 2 integers; it is damaged")
    with archive.open(name) as file:
        values = np.frombuffer(file.read()[array.start :], array.dtype).tolist()
    if not values or not all(0 < size <= 1 << 16 for size in values):
        raise FormatError(path, f"found a sensor of shape {values}; expected 1 to 65536; the file is damaged")
    return tuple(values)


@contextmanager
def _columns(path: str | PathLike[str], members: Mapping[str, tuple[str, _Array]]) -> Iterator[Mapping[str, Rows]]:
    with _archive(path) as archive, ExitStack() as stack:
        columns: dict[str, Rows] = {}
        for field, (name, array) in members.items():
            file = stack.enter_context(archive.open(name))
            file.read(array.start)
            columns[field] = partial(_values, path, file, name, array.dtype)
        yield columns


@contextmanager
def _fields(path: str | PathLike[str], array: _Array, names: Mapping[str, str]) -> Iterator[Mapping[str, Rows]]:
    try:
        with open(path, "rb") as file:
            file.seek(array.start)
            held: list[Any] = [None, None]

            def field(name: str) -> Callable[[int, int], NDArray[Any]]:
                def rows(start: int, stop: int) -> NDArray[Any]:
                    if held[0] != (start, stop):
                        held[:] = (start, stop), _values(path, file, "the array", array.dtype, start, stop)
                    values: NDArray[Any] = held[1][name]
                    return values

                return rows

            yield {key: field(name) for key, name in names.items()}
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path and the medium") from error


def _values(
    path: str | PathLike[str], file: IO[bytes], name: str, dtype: np.dtype[Any], start: int, stop: int
) -> NDArray[Any]:
    """The next values of a column."""
    size = (stop - start) * dtype.itemsize
    try:
        data = file.read(size)
    except _DAMAGE as error:
        raise FormatError(path, f"cannot unpack {name} ({error}); the file is damaged") from error
    if len(data) != size:
        raise FormatError(path, f"found {len(data)} bytes of {name}; expected {size} more; the file is cut or damaged")
    return np.frombuffer(data, dtype)


FORMAT: Final = Format("npz", "NumPy .npz", (".npz",), open_npz, write=write, options=("unit",))
"""A ZIP archive; known by the end of its name."""
NPY: Final = Format("npy", "NumPy .npy", (".npy",), open_npy, (_MAGIC,), options=("unit",))
"""Known by its first bytes."""
