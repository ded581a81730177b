"""Write AEDAT 4: one stream of events, in any codec, with the index.

Source:
    iniVation, dv-processing 1.7, IOHeader.fbs, FileDataTable.fbs, events.fbs; FlatBuffers binary format,
    https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from os import PathLike
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError, UnsupportedError, Violation, unknown_name
from spikelab.events.aedat4_header import MAGIC
from spikelab.events.codecs import CODECS, pack
from spikelab.events.pieces import Pieces, pieces_of
from spikelab.files import whole_file

__all__ = ["write"]

_EVENTS_IN_PACKET: Final = 1 << 15
_MOST: Final = 1 << 15  # coordinates are int16
_NUMBERS: Final = {"none": 0, "lz4": 1, "zstd": 3}
_STREAMS: Final = """<dv version="2.0">
    <node name="outInfo" path="/outInfo/">
        <node name="0" path="/outInfo/0/">
            <attr key="compression" type="string">{codec}</attr>
            <attr key="originalModuleName" type="string">spikelab</attr>
            <attr key="originalOutputName" type="string">events</attr>
            <attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
            <attr key="typeIdentifier" type="string">EVTS</attr>
            <node name="info" path="/outInfo/0/info/">
                <attr key="sizeX" type="int">{width}</attr>
                <attr key="sizeY" type="int">{height}</attr>
                <attr key="source" type="string">spikelab</attr>
            </node>
        </node>
    </node>
</dv>
"""


def write(events: Pieces, path: str | PathLike[str], codec: str = "lz4") -> None:
    """Write an AEDAT 4 file, under a temporary name first.

    Args:
        events: the events of a camera, or pieces of them.
        path: the file.
        codec: `"none"`, `"lz4"` or `"zstd"`.

    Raises:
        UnsupportedError: the codec is unknown, or the sensor is larger than 32,768 pixels along an axis.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import Events, read
        >>> one = Events.from_columns(t=[-5, 1_700_000_000_000_000], x=[3, 639], y=[4, 0], p=[0, 1], shape=(640, 480))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.aedat4", codec="zstd")
        ...     read(f"{folder}/a.aedat4").equals(one)
        True
    """
    if codec not in CODECS:
        raise unknown_name("codec", codec, CODECS)
    shape, pieces = pieces_of(events, "AEDAT 4")
    if len(shape) != 2:
        raise ShapeError(f"AEDAT 4: found a sensor of shape {shape}; expected (width, height); write .npz or .h5")
    width, height = shape
    if max(width, height) > _MOST:
        found = f"a sensor of {width} x {height} pixels"
        raise UnsupportedError(
            violations=[Violation("coordinates_are_int16", "AEDAT 4", found, f"at most {_MOST}", "crop first")]
        )
    rows: list[bytes] = []
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(_header(codec, width, height, -1))
        for part in (
            piece.array[start : start + _EVENTS_IN_PACKET]
            for piece in pieces
            for start in range(0, len(piece), _EVENTS_IN_PACKET)
        ):
            payload = pack(_packet(part), codec)
            file.write(struct.pack("<ii", 0, len(payload)))
            rows.append(_row(file.tell(), len(payload), part))
            file.write(payload)
        table = file.tell()
        file.write(pack(_index(rows), codec))
        file.seek(0)
        file.write(_header(codec, width, height, table))


def _sized(body: bytes) -> bytes:
    """A flatbuffer behind its size. Byte k of it stands at k + 4 of the result, where 8-byte numbers lie on 8 bytes."""
    return struct.pack("<I", len(body)) + body


def _header(codec: str, width: int, height: int, table: int) -> bytes:
    """The file's first bytes; the root table holds the codec, the text's place and the position of the index."""
    text = _STREAMS.format(codec=codec.upper(), width=width, height=height).encode()
    vtable = struct.pack("<5H", 10, 24, 4, 12, 8)
    body = struct.pack("<I4s6x", 24, b"IOHE") + vtable + struct.pack("<iiIq4x", 10, _NUMBERS[codec], 16, table)
    return MAGIC + _sized(body + struct.pack("<I", len(text)) + text + bytes(4 - len(text) % 4))


def _vector(identifier: bytes, count: int, contents: bytes) -> bytes:
    """A root table whose only field is a vector; `contents` lie from byte 32 on."""
    return _sized(struct.pack("<I4s2x3HiII", 16, identifier, 6, 8, 4, 6, 4, count) + contents)


def _packet(part: NDArray[np.void]) -> bytes:
    """A packet of events, 16 bytes each."""
    clean = np.zeros(len(part), part.dtype)  # with zeros between the fields
    for name in ("t", "x", "y", "p"):
        clean[name] = part[name]
    return _vector(b"EVTS", len(part), clean.tobytes())


def _row(offset: int, size: int, part: NDArray[np.void]) -> bytes:
    """What a table of the index says of a packet: byte, number of events, first and last time, stream and size."""
    return struct.pack("<qqqqii", offset, len(part), part["t"][0], part["t"][-1], 0, size)


def _index(rows: list[bytes]) -> bytes:
    """The index: offsets of the tables, one vtable for all, then the tables, each on a byte that is 4 more than 8 k."""
    vtable = 32 + 4 * len(rows)
    first = vtable + 14 + (4 - vtable - 14) % 8
    places = [first + 48 * k for k in range(len(rows))]
    contents = b"".join(struct.pack("<I", place - 32 - 4 * k) for k, place in enumerate(places))
    contents += struct.pack("<7H", 14, 44, 4, 36, 12, 20, 28) + bytes(first - vtable - 14)
    for place, row in zip(places, rows, strict=True):
        contents += struct.pack("<i", place - vtable) + row + bytes(4)
    return _vector(b"FTAB", len(rows), contents)
