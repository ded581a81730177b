"""N-MNIST .bin: 5 bytes per event.

A record is x, y, and 24 bits big-endian: polarity, then 23 bits of time in us. A record with y = 240 is no
event: it adds 2**13 us to its own and all later times (Orchard et al., Converting static image datasets to
spiking neuromorphic datasets using saccades, Front. Neurosci. 2015, and the readers published with it).
There is no magic number and no checksum, so damage shows only in the length, the coordinates and the order of times.
"""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

import numpy as np

from spikelab.errors import FormatError, ShapeError, UnsupportedError, Violation
from spikelab.events.array import EVENT, Events, must_be_events, sensor_shape
from spikelab.files import whole_file

__all__ = ["NMNIST", "decode", "encode", "read", "write"]

NMNIST = (34, 34)
"""(width, height) of the N-MNIST sensor cut-out."""
_OVERFLOW_Y = 240
_OVERFLOW_US = 1 << 13
_RECORD = 5


def read(path: str | PathLike[str], shape: tuple[int, int] = NMNIST) -> Events:
    """Read one .bin file.

    Args:
        path: the file.
        shape: (width, height) of the sensor, 34 x 34 for N-MNIST; the file does not say.

    Returns:
        The events; overflow records are used and left out.

    Raises:
        FormatError: the file is missing, empty or cut, a coordinate lies outside the sensor, or time runs backwards.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(
            path, f"cannot be read ({error.strerror}); expected an N-MNIST .bin file; check the path"
        ) from error
    return decode(data, fspath(path), shape)


def write(events: Events, path: str | PathLike[str]) -> None:
    """Write one .bin file, under a temporary name first.

    Raises:
        UnsupportedError: what the format cannot hold: a coordinate above 255, row 240, a time that is
            negative or so late that overflow records would outnumber the events.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> one = Events.from_columns(t=[10_000_000], x=[3], y=[4], p=[0], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.bin")
        ...     read(f"{folder}/a.bin").equals(one)
        True
    """
    data = encode(events)
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def decode(data: bytes, name: str, shape: tuple[int, int] = NMNIST) -> Events:
    """Turn the bytes of a .bin file into events; `name` is for errors. Raises as `read`."""
    if len(sensor_shape(shape)) != 2:
        raise ShapeError(f"N-MNIST .bin: found shape={shape!r}; expected (width, height); pass shape=(34, 34), say")
    if not data:
        raise FormatError(name, "found an empty file; expected records of 5 bytes; copy it again", 0)
    if len(data) % _RECORD:
        whole = len(data) // _RECORD * _RECORD
        raise FormatError(
            name,
            f"found {len(data) - whole} bytes after the last whole record; expected records of 5 bytes; the file is "
            "cut or foreign",
            whole,
        )
    raw = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    overflow = raw[:, 1] == _OVERFLOW_Y
    t = (raw[:, 2].astype(np.int64) & 127) << 16 | raw[:, 3].astype(np.int64) << 8 | raw[:, 4]
    t += np.cumsum(overflow) * _OVERFLOW_US
    for axis, limit, column in (("x", shape[0], raw[:, 0]), ("y", shape[1], raw[:, 1])):
        outside = (column >= limit) & ~overflow
        if outside.any():
            k = int(np.argmax(outside))
            raise FormatError(
                name,
                f"found {axis} = {column[k]} in record {k}; expected 0 to {limit - 1}; the file is damaged or "
                "foreign, or pass the sensor's shape",
                k * _RECORD,
            )
    kept = np.flatnonzero(~overflow)
    array = np.empty(len(kept), EVENT)
    array["t"], array["x"], array["y"], array["p"] = t[kept], raw[kept, 0], raw[kept, 1], raw[kept, 2] >> 7
    back = np.flatnonzero(array["t"][1:] < array["t"][:-1])
    if len(back):
        k = int(kept[back[0] + 1])
        raise FormatError(
            name,
            f"found time {t[k]} us after a later one in record {k}; expected sorted times; the file is damaged or "
            "foreign",
            k * _RECORD,
        )
    return Events(array, shape)


def encode(events: Events) -> bytes:
    """Turn events into the bytes of a .bin file. Raises as `write`."""
    must_be_events(events, "N-MNIST .bin")
    if len(events.shape) != 2:
        raise ShapeError(
            f"N-MNIST .bin: found a sensor of shape {events.shape}; expected (width, height); write SHD instead"
        )
    if not len(events):
        return bytes([0, _OVERFLOW_Y, 0, 0, 0])  # an empty file would look like a lost one
    t = events.t
    # Overflow records before each event, just as many as its time needs.
    needed = np.maximum(0, -(-(t - ((1 << 23) - 1)) // _OVERFLOW_US))
    rules = [
        (
            "coordinates_within_a_byte",
            "x or y",
            (events.x > 255) | (events.y > 255),
            "0 to 255",
            "crop or pool_events first",
        ),
        ("row_240_means_overflow", "y", events.y == _OVERFLOW_Y, "any row but 240", "crop first"),
        ("time_not_negative", "t", t < 0, "0 us or later", "subtract events.t[0] first"),
        (
            "few_overflow_records",
            "t",
            needed > len(t) + 4096,
            "a recording that starts near 0 us",
            "subtract events.t[0] first",
        ),
    ]
    violations = [
        Violation(
            rule,
            f"N-MNIST .bin: {place}[{int(np.argmax(bad))}]",
            f"{events.array[int(np.argmax(bad))]}",
            expected,
            advice,
        )
        for rule, place, bad, expected, advice in rules
        if bad.any()
    ]
    if violations:
        raise UnsupportedError(violations=violations)
    extra = np.diff(needed, prepend=0)
    place = np.arange(len(t)) + needed
    raw = np.zeros((len(t) + int(extra.sum()), _RECORD), np.uint8)
    raw[:, 1] = _OVERFLOW_Y
    low = t - needed * _OVERFLOW_US
    raw[place] = np.stack(
        [events.x, events.y, events.p.astype(np.int64) << 7 | low >> 16, low >> 8 & 255, low & 255], axis=1
    )
    return raw.tobytes()
