"""N-MNIST .bin, also that of N-Caltech101: 5 bytes per event.

A record is x, y, and 24 bits big-endian: polarity, then 23 bits of time in us. A record with y = 240 is no
event: it adds 2**13 us to its own and all later times (Orchard et al., Converting static image datasets to
spiking neuromorphic datasets using saccades, Front. Neurosci. 2015, and the readers published with it).
There is no magic number and no checksum, so damage shows only in the length, the coordinates and the order of times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError, UnsupportedError, Violation
from spikelab.events.array import Events, must_be_events, sensor_shape
from spikelab.events.faults import Faults
from spikelab.events.source import Extras, Format
from spikelab.events.transform.records import records
from spikelab.events.words import decode, fresh_state
from spikelab.files import file_size, whole_file

__all__ = ["FORMAT", "NMNIST", "encode", "open_bin", "write"]

NMNIST: Final = (34, 34)
"""(width, height) of the N-MNIST sensor cut-out."""
_OVERFLOW_Y = 240
_OVERFLOW_US = 1 << 13
_RECORD = 5


@dataclass(frozen=True)
class _Bin:
    path: str | PathLike[str]
    faults: Faults
    shape: tuple[int, ...]
    sorted: bool
    contents: bytes | None = None

    @property
    def most(self) -> int:
        """Number of records."""
        return (file_size(self.path) if self.contents is None else len(self.contents)) // _RECORD

    def blocks(self) -> Iterator[NDArray[np.void]]:
        from spikelab.events.nmnist_kernel import records, resume

        state = fresh_state(self.shape, self.sorted, own=1)
        return decode(self.path, 0, records, state, self.faults, _RECORD, _RECORD, resume, {}, self.contents)

    def extras(self) -> Extras:
        return Extras.none()


def open_bin(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    contents: bytes | None = None,
) -> _Bin:
    """Open one .bin file; see `Opener`.

    The file does not say the sensor's shape: None means 34 x 34. `contents` are its bytes where it lies in an archive.

    Raises:
        FormatError: missing or empty.
        ShapeError: `shape` has one axis.
    """
    shape = sensor_shape(shape or NMNIST)
    if len(shape) != 2:
        raise ShapeError(f"N-MNIST .bin: found shape={shape!r}; expected (width, height); pass shape=(34, 34), say")
    if not (file_size(path) if contents is None else contents):
        raise FormatError(path, "found an empty file; expected records of 5 bytes; copy it again", 0)
    return _Bin(path, faults, shape, sorted, contents)


def write(events: Events, path: str | PathLike[str]) -> None:
    """Write one .bin file, under a temporary name first.

    The file does not hold the sensor's shape: for another than 34 x 34, pass it to `read`, as in
    `read("a.bin", shape=(240, 180))`.

    Raises:
        UnsupportedError: what the format cannot hold: a coordinate above 255, row 240, a time that is
            negative or so late that overflow records would outnumber the events.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import read
        >>> one = Events.from_columns(t=[10_000_000], x=[3], y=[4], p=[0], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.bin")
        ...     read(f"{folder}/a.bin").equals(one)
        True
    """
    data = encode(events)
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def encode(events: Events) -> bytes:
    """Turn events into the bytes of a .bin file. Raises as `write`."""
    must_be_events(events, "N-MNIST .bin")
    if len(events.shape) != 2:
        raise ShapeError(
            f"N-MNIST .bin: found a sensor of shape {events.shape}; expected (width, height); write .npz or .h5 instead"
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
    from spikelab.events.write_kernel import nmnist_bytes

    out = np.empty(_RECORD * (len(t) + int(needed[-1])), np.uint8)
    nmnist_bytes(records(events), out)
    return out.tobytes()


FORMAT: Final = Format("nmnist", "N-MNIST .bin", (".bin",), open_bin, write=write)
"""Known by the end of its name alone."""
