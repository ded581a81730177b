"""DAT (Prophesee): lines that start with `%`, two bytes, then records of 8 bytes, little-endian.

The two bytes are type (0 and 12: events, 14: external triggers) and size (8) of a record: time in us (32 bits), and a
word. Version 2 (`% Version 2`): x in bits 0 to 13, y in 14 to 27, polarity above. Version 1, or none: x in bits 0 to 8,
y in 9 to 16, polarity in 17. A trigger: level in bits 0 to 3, channel in 26 to 31. A step back by more than 2**31 us is
a wrap of the time, which comes each 2**32 us (71.6 min).

Source:
    Prophesee, "DAT file format", and load_atis_data.m of its toolbox for event files; OpenEB, event_ext_trigger.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError
from spikelab.events.array import Events
from spikelab.events.faults import Faults
from spikelab.events.pieces import Pieces, pieces_of
from spikelab.events.prophesee import Header, evt_name, header_end
from spikelab.events.prophesee_write import PIECE, must_be_camera, refuse
from spikelab.events.source import TRIGGER, Extras, Format
from spikelab.events.words import decode, fresh_state
from spikelab.files import whole_file

__all__ = ["FORMAT", "open_dat", "write"]

_EVENTS = (0x00, 0x0C)
_TRIGGERS = 0x0E
_RECORD = 8


@dataclass(frozen=True)
class _Dat:
    path: str | PathLike[str]
    faults: Faults
    header: Header
    version: int
    kind: int
    shape: tuple[int, ...] | None
    sorted: bool

    @property
    def most(self) -> int:
        """Number of records."""
        return (self.header.size - self.header.start) // _RECORD

    def blocks(self) -> Iterator[NDArray[np.void]]:
        return self._decode(self.sorted) if self.kind in _EVENTS else iter(())

    def extras(self) -> Extras:
        if self.kind in _EVENTS:
            return Extras.none()
        found = [block[["t", "x", "p"]].copy() for block in self._decode(False)]
        triggers = np.zeros(sum(map(len, found)), TRIGGER)
        if found:
            together = np.concatenate(found)
            triggers["t"], triggers["id"], triggers["value"] = together["t"], together["x"], together["p"]
        return Extras.none()._replace(triggers=triggers)

    def _decode(self, ordered: bool) -> Iterator[NDArray[np.void]]:
        from spikelab.events import dat_kernel as kernel

        limit = (1 << 14, 1 << 14) if self.kind not in _EVENTS or self.version == 2 else (1 << 9, 1 << 8)
        state = fresh_state(self.shape if self.kind in _EVENTS and self.shape else limit, ordered, kernel.OWN_NUMBERS)
        state[kernel.LAYOUT] = self.version if self.kind in _EVENTS else 0
        problems = {kernel.POLARITY: "found a polarity above 1; expected 0 or 1; the file is damaged or foreign"}
        return decode(
            self.path,
            self.header.start,
            kernel.records,
            state,
            self.faults,
            _RECORD,
            _RECORD,
            kernel.resume,
            problems,
        )


def open_dat(
    path: str | PathLike[str], faults: Faults, shape: tuple[int, ...] | None = None, sorted: bool = True
) -> _Dat:
    """Open a DAT file; see `Opener`.

    Raises:
        FormatError: missing, empty, foreign, or a header that is cut or says what cannot be.
        ShapeError: `shape` has one axis.
    """
    if shape is not None and len(shape) != 2:
        raise ShapeError(f"DAT: found shape={shape!r}; expected (width, height); pass shape=(304, 240), say")
    header = Header.read(path)
    with open(path, "rb") as file:
        file.seek(header.start)
        mark = file.read(2)
    if len(mark) < 2:
        raise FormatError(
            path,
            f"found {len(mark)} bytes behind the header; expected type and size of the records; the file is cut",
            header.start,
        )
    kind, size = mark
    if kind not in (*_EVENTS, _TRIGGERS) or size != _RECORD:
        raise FormatError(
            path,
            f"found records of type {kind} and {size} bytes; expected type 0, 12 or 14 and 8 bytes; the file is "
            "foreign or damaged",
            header.start,
        )
    said = header.fields.get("version", "1")
    if said not in ("0", "1", "2"):
        raise FormatError(path, f"found version {said[:20]!r} in the header; expected 1 or 2; the file is foreign", 0)
    version = 2 if said == "2" else 1
    return _Dat(
        path, faults, header._replace(start=header.start + 2), version, kind, shape or header.shape(path), sorted
    )


def write(events: Pieces, path: str | PathLike[str]) -> None:
    """Write a DAT file (version 2), under a temporary name first.

    Raises:
        UnsupportedError: a coordinate above 16,383, a first time outside 0 to 2**32 - 1 us, or a pause so long that
            a wrap of the time would be lost.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import read
        >>> two = Events.from_columns(t=[3 << 30, 1 << 32], x=[3, 5], y=[4, 4], p=[0, 1], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(two, f"{folder}/a.dat")
        ...     read(f"{folder}/a.dat").equals(two)
        True
    """
    shape, pieces = pieces_of(events, "DAT")
    width, height = must_be_camera(shape, "DAT")
    head = f"% Data file containing CD events.\n% Version 2\n% Width {width}\n% Height {height}\n".encode()
    before, time = 0, 0
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(head + bytes([_EVENTS[1], _RECORD]))
        for piece in pieces:
            _refuse(piece, before, time)
            for start in range(0, len(piece), PIECE):
                part = piece.array[start : start + PIECE]
                raw = np.empty((len(part), 2), "<u4")
                raw[:, 0] = part["t"] & 0xFFFFFFFF
                raw[:, 1] = part["p"].astype(np.uint32) << 28 | part["y"].astype(np.uint32) << 14 | part["x"]
                file.write(raw.tobytes())
            before, time = before + len(piece), int(piece.t[-1]) if len(piece) else time


def _refuse(events: Events, before: int, time: int) -> None:
    """Refuse what the records cannot say; `before` events came before these, the last one at `time` [us]."""
    from spikelab.events.wrap_kernel import NEAR, RANGE

    # A reader takes a fall by more than half of the range for a wrap, and a pause from wrap to wrap for a step back.
    low = events.t & 0xFFFFFFFF
    falls = np.diff(low, prepend=time & 0xFFFFFFFF) < -(1 << 31)
    lost = events.t >> 32 != (time >> 32) + np.cumsum(falls)
    behind = (low < NEAR) & (events.t >= RANGE)
    lost[1:] |= behind[:-1] & (low[1:] >= RANGE - NEAR)
    lost[:1] |= (low[:1] >= RANGE - NEAR) & (time >= RANGE and time % RANGE < NEAR)
    refuse(
        events,
        "DAT",
        before,
        [
            (
                "coordinates_within_14_bits",
                (events.x >> 14 | events.y >> 14) != 0,
                "0 to 16383",
                "crop or pool_events first",
            ),
            (
                "time_within_reach",
                lost,
                "a first time of 0 to 2**32 - 1 us, less than 2**31 us around a wrap, no pause from wrap to wrap",
                "subtract events.t[0] first",
            ),
        ],
    )


def _knows(head: bytes) -> bool:
    start = header_end(head)
    return start > 0 and evt_name(head) is None and head[start : start + 2] in (b"\x00\x08", b"\x0c\x08", b"\x0e\x08")


FORMAT: Final = Format("dat", "DAT", (".dat",), open_dat, knows=_knows, write=write, pieces=True)
"""Known by the two bytes behind its header, or by the end of its name."""
