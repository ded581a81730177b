"""Head of an AEDAT 4 file: codec, place of the index, and the streams. Also the index itself.

Source:
    iniVation, dv-processing 1.7, IOHeader.fbs and FileDataTable.fbs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from os import PathLike
from typing import BinaryIO, Final, NamedTuple
from xml.etree import ElementTree

from spikelab.errors import FormatError
from spikelab.events import flatbuffer
from spikelab.events.codecs import CodecError, unpack

__all__ = ["DAMAGE", "MAGIC", "Header", "Packet", "Stream", "read_header", "read_index"]

MAGIC: Final = b"#!AER-DAT4.0\r\n"
"""First bytes of the file."""
DAMAGE: Final = (struct.error, CodecError, UnicodeDecodeError, ElementTree.ParseError, ValueError)
"""What reading damaged bytes may raise."""
_CODECS = {0: "none", 1: "lz4", 2: "lz4", 3: "zstd", 4: "zstd"}  # 2 and 4 are packed tighter, not otherwise


class Stream(NamedTuple):
    """A stream: four letters for its type, and (width, height) where it has one."""

    kind: str
    shape: tuple[int, int] | None


class Packet(NamedTuple):
    """A packet: byte at which its payload starts, its stream, its size in bytes."""

    offset: int
    stream: int
    size: int


@dataclass(frozen=True, eq=False)
class Header:
    """What the head of a file says, and the size of the file; `table` is -1 when the recorder was killed."""

    codec: str
    start: int
    table: int
    size: int
    streams: dict[int, Stream]


def read_header(path: str | PathLike[str]) -> Header:
    """Read the head of a file.

    Raises:
        FormatError: the file cannot be read, is no AEDAT 4, or is cut or damaged there.
    """
    try:
        with open(path, "rb") as file:
            length = file.seek(0, 2)
            file.seek(0)
            first = file.read(len(MAGIC) + 4)
            if not first.startswith(MAGIC):
                raise FormatError(
                    path, f"found {first[:14]!r}; expected {MAGIC!r}; this is no AEDAT 4 file, or it is cut", 0
                )
            size = int.from_bytes(first[len(MAGIC) :], "little")
            start = len(MAGIC) + 4 + size
            header = first[len(MAGIC) :] + (file.read(size) if start <= length else b"")
    except OSError as error:
        raise FormatError(
            path, f"cannot be read ({error.strerror}); expected an AEDAT 4 file; check the path"
        ) from error
    try:
        if start > length:
            raise struct.error(f"the header promises {size} bytes, {max(0, length - len(MAGIC) - 4)} are left")
        root = flatbuffer.root(header, b"IOHE")
        codec, table, text = (flatbuffer.field(header, root, k) for k in range(3))
        number = flatbuffer.at("i", header, codec)[0] if codec else 0
        position = flatbuffer.at("q", header, table)[0] if table else -1
        if number not in _CODECS:
            raise struct.error(f"compression {number} is unknown")
        streams = _read_streams(header[slice(*flatbuffer.vector(header, text, 1))]) if text else {}
    except DAMAGE as error:
        raise FormatError(
            path, f"header cannot be read ({error}); expected an AEDAT 4 header; the file is cut or damaged", len(MAGIC)
        ) from error
    if position < -1 or 0 <= position < start:
        raise FormatError(
            path,
            f"found an index at byte {position}, inside the header; expected it after byte {start}; the file is "
            "damaged",
            len(MAGIC),
        )
    return Header(_CODECS[number], start, position, length, streams)


def _read_streams(text: bytes) -> dict[int, Stream]:
    """Find id, type and sensor size of each stream in the XML of the header."""
    if b"<!" in text:  # declarations could define entities that grow without bound
        raise ValueError("the XML holds a declaration")
    streams: dict[int, Stream] = {}
    for node in ElementTree.fromstring(text.decode()).iter("node"):
        kind = node.findtext("attr[@key='typeIdentifier']")
        if kind is not None:
            width, height = (node.findtext(f"node[@name='info']/attr[@key='{key}']") for key in ("sizeX", "sizeY"))
            shape = (int(width), int(height)) if width and height else None
            if shape and not all(1 <= size <= 32768 for size in shape):
                raise ValueError(f"sensor of {shape[0]} x {shape[1]} pixels")
            streams[int(node.get("name", ""))] = Stream(kind, shape)
    return streams


def read_index(file: BinaryIO, header: Header) -> dict[Packet, int] | None:
    """Number of elements of each packet, from the table at the end; None where the recorder was killed.

    Raises:
        struct.error: the table is cut or damaged, or there are bytes after it; or another one of `DAMAGE`.
    """
    if header.table == -1:
        return None
    if header.table >= header.size:
        raise struct.error(f"the file ends at byte {header.size}")
    file.seek(header.table)
    table, left = unpack(file.read(), header.codec)
    if header.codec == "none":
        size = 4 + flatbuffer.at("I", table, 0)[0]
        table, left = table[:size], len(table) - size
    if left:
        raise struct.error(f"{left} bytes after it")
    vector = flatbuffer.field(table, flatbuffer.root(table, b"FTAB"), 0)
    index: dict[Packet, int] = {}
    for place in range(*flatbuffer.vector(table, vector, 4), 4) if vector else ():
        row = place + flatbuffer.at("I", table, place)[0]
        offset, info, count = (flatbuffer.field(table, row, k) for k in range(3))
        packet = Packet(
            flatbuffer.at("q", table, offset)[0] if offset else 0,
            *(flatbuffer.at("ii", table, info) if info else (0, 0)),
        )
        index[packet] = flatbuffer.at("q", table, count)[0] if count else 0
    return index
