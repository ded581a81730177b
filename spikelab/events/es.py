"""Event Stream .es: bytes of time differences, in four types.

A header of 16 bytes (12 for the name, 3 for version 2, 1 for the type) and the sensor's width and height; then
records of a byte that adds to the time, and the coordinates. `read` takes type 1 (DVS) and the changes of type 2
(ATIS); `es_records` reads what else there is: exposure measurements, colours, and the bytes of type 0 (generic).
Rows are as the file has them (see `read`): some recorders count them from the bottom, and no file says so.

There is no checksum and no mark at which to begin anew: damage shows only where a coordinate falls outside the sensor.
`errors="skip"` goes on where the next four records lie within; the time that the lost bytes stood for is lost.

Source:
    Event Stream specification 2.0, https://github.com/neuromorphic-paris/event_stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError, UnsupportedError, Violation
from spikelab.events.array import Events
from spikelab.events.faults import Faults
from spikelab.events.pieces import Pieces, pieces_of
from spikelab.events.source import BLOCK, Extras, Format
from spikelab.events.transform.records import records
from spikelab.events.words import decode, fresh_state
from spikelab.files import file_size, whole_file

__all__ = ["FORMAT", "SIGNATURE", "TYPES", "open_es", "read_header", "write"]

SIGNATURE: Final = b"Event Stream"
"""First bytes of a file."""
TYPES: Final = {0: "generic", 1: "dvs", 2: "atis", 4: "color"}
"""Types of streams, by their number in the header."""
_RECORD = 5
_PASS_US = 127
_MOST_PASSES = 1 << 26  # bytes without events that a file may have in any case: 2 h 22 min of them


@dataclass(frozen=True)
class _Es:
    path: str | PathLike[str]
    faults: Faults
    shape: tuple[int, ...]
    sorted: bool
    kind: str
    most: int
    """Largest number of events that the file can hold."""

    def blocks(self) -> Iterator[NDArray[np.void]]:
        from spikelab.events import es_kernel

        kernel, resume = (
            (es_kernel.dvs, es_kernel.dvs_resume) if self.kind == "dvs" else (es_kernel.atis, es_kernel.atis_resume)
        )
        return decode(self.path, 20, kernel, fresh_state(self.shape, True, own=1), self.faults, _RECORD, 1, resume, {})

    def extras(self) -> Extras:
        return Extras.none()


def open_es(
    path: str | PathLike[str], faults: Faults, shape: tuple[int, ...] | None = None, sorted: bool = True
) -> _Es:
    """Open a file; see `Opener`. `shape` replaces what the file says.

    Raises:
        FormatError: missing, foreign, cut in its header, or of a type that has no events with polarity.
        ShapeError: `shape` has one axis.
    """
    kind, stored = read_header(path)
    if kind not in ("dvs", "atis"):
        what = "bytes with times and no coordinates" if kind == "generic" else "colours, and no polarity"
        raise FormatError(
            path,
            f"found an Event Stream of type {kind}, {what}; expected dvs or atis; "
            "read it with spikelab.events.es_records",
            15,
        )
    if shape is not None and len(shape) != 2:
        raise ShapeError(f"Event Stream: found shape={shape!r}; expected (width, height); pass shape=(304, 240), say")
    return _Es(path, faults, shape or stored, sorted, kind, (file_size(path) - 20) // _RECORD)


def read_header(path: str | PathLike[str]) -> tuple[str, tuple[int, ...]]:
    """Type of a file, and (width, height) of its sensor; () where the type is generic.

    Raises:
        FormatError: missing, foreign, of another version, or cut in its header.
    """
    file_size(path)
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path") from error
    if not head.startswith(SIGNATURE):
        raise FormatError(path, f"found {head[:12]!r}; expected {SIGNATURE!r}; this is no Event Stream, or is cut", 0)
    if len(head) < 16:
        raise FormatError(path, f"found a header of {len(head)} bytes; expected 16; the file is cut", len(head))
    if head[12] != 2:
        raise FormatError(
            path,
            f"found version {head[12]}.{head[13]}.{head[14]}; expected 2; convert it with the event_stream tools",
            12,
        )
    if head[15] not in TYPES:
        raise FormatError(path, f"found type {head[15]}; expected {TYPES}; the file is damaged", 15)
    kind = TYPES[head[15]]
    if kind == "generic":
        return kind, ()
    if len(head) < 20:
        raise FormatError(path, "found no width and height; expected 4 bytes of them; the file is cut", len(head))
    width, height = int.from_bytes(head[16:18], "little"), int.from_bytes(head[18:20], "little")
    if not width or not height:
        raise FormatError(path, f"found a sensor of {width} x {height}; expected pixels; the file is damaged", 16)
    return kind, (width, height)


def write(events: Pieces, path: str | PathLike[str]) -> None:
    """Write a file of type dvs, under a temporary name first.

    Raises:
        UnsupportedError: what the format cannot hold: a side of 65,536 pixels, a time that is negative, or times so
            far apart that the bytes between them would outnumber the events.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import read
        >>> one = Events.from_columns(t=[5, 1000], x=[3, 319], y=[4, 0], p=[0, 1], shape=(320, 240))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.es")
        ...     read(f"{folder}/a.es").equals(one)
        True
    """
    shape, pieces = pieces_of(events, "Event Stream")
    if len(shape) != 2:
        raise ShapeError(f"Event Stream: found a sensor of shape {shape}; expected (width, height); write .npz or .h5")
    header = SIGNATURE + bytes([2, 0, 0, 1]) + np.array(shape).astype("<u2").tobytes()
    from spikelab.events.write_kernel import es_bytes

    before, time, began = 0, 0, 0
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        for piece in pieces:
            began = began if before or not len(piece) else int(piece.t[0])
            _refuse(piece, before, began)
            array = records(piece)
            for start in range(0, len(array), BLOCK):
                block = array[start : start + BLOCK]
                end = int(block["t"][-1])
                out = np.empty(_RECORD * len(block) + (end - time) // _PASS_US, np.uint8)
                file.write(out[: es_bytes(block, time, out)].data)
                time = end
            before += len(piece)


def _refuse(events: Events, before: int, began: int) -> None:
    """Refuse what the records cannot say; `before` events came before these, the first of all at `began` [us]."""
    first, last = (int(events.t[0]), int(events.t[-1])) if len(events) else (0, 0)
    passes, most = last // _PASS_US, 16 * (before + len(events)) + _MOST_PASSES
    late = (last - began) // _PASS_US <= most  # without what comes before the first event it would do
    rules = [
        ("at_most_65535_pixels", "shape", events.shape, max(events.shape) > 65535, "sides up to 65535", "crop first"),
        ("time_not_negative", "t[0]", f"{first} us", first < 0, "0 us or later", "subtract events.t[0] first"),
        (
            "few_bytes_between_events",
            "t[-1]",
            f"{last} us, which takes {passes} bytes that say nothing but the time",
            passes > most,
            f"at most {most} of them, one for each {_PASS_US} us",
            "subtract events.t[0] first" if late else "cut it at its pauses, or write .npz",
        ),
    ]
    violations = [
        Violation(rule, f"Event Stream: {place}", str(found), expected, advice)
        for rule, place, found, bad, expected, advice in rules
        if bad
    ]
    if violations:
        raise UnsupportedError(violations=violations)


FORMAT: Final = Format("es", "Event Stream", (".es",), open_es, (SIGNATURE,), write=write, pieces=True)
"""Known by its first bytes."""
