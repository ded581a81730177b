r"""AEDAT 4 (iniVation, dv-processing): a header, packets of several streams, and an index.

Layout: `#!AER-DAT4.0\r\n`; the header, a size-prefixed flatbuffer "IOHE" with compression, position of the
index and an XML tree of the streams; packets (int32 stream, int32 size, compressed flatbuffer); the index, a compressed
flatbuffer "FTAB" with place and number of elements of each packet. The position is -1 when the recorder was
killed: then the packets run to the end of the file. Flatbuffers are parsed here, each access within bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, UnsupportedError, unknown_name
from spikelab.events import flatbuffer
from spikelab.events.array import EVENT
from spikelab.events.codecs import CodecError, unpack
from spikelab.events.faults import Faults
from spikelab.events.source import BLOCK, Extras, Format

__all__ = ["FORMAT", "MAGIC", "open_aedat4"]

MAGIC = b"#!AER-DAT4.0\r\n"
_CODECS = {0: "none", 1: "lz4", 2: "lz4", 3: "zstd", 4: "zstd"}  # dv-processing, IOHeader.fbs
_FAULTS = (struct.error, CodecError, UnicodeDecodeError, ElementTree.ParseError, ValueError)


@dataclass(frozen=True, eq=False)
class _Header:
    """What the head of a file says: codec, where packets start and end, and type and size of each stream."""

    codec: str
    start: int
    table: int
    streams: dict[int, tuple[str, tuple[int, int] | None]]


class _Packet(NamedTuple):
    """A packet: where its payload starts, its stream, its size in bytes."""

    offset: int
    stream: int
    size: int


@dataclass(frozen=True, eq=False)
class _Recording:
    path: str | PathLike[str]
    faults: Faults
    data: bytes
    header: _Header
    stream: int
    given: tuple[int, ...] | None
    sorted: bool

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.given or self.header.streams[self.stream][1]

    def blocks(self) -> Iterator[NDArray[np.void]]:
        counts: dict[_Packet, int] = {}
        offset, kept, last = self.header.start, 0, None
        try:
            for packet in _packets(self.path, self.data, self.header):
                if packet.stream == self.stream:
                    elements = _decode(self.path, self.data, packet, self.header.codec)
                    _check(self.path, packet, elements, self.shape, last if self.sorted else None)
                    counts[packet] = len(elements)
                    if len(elements):
                        last = int(elements["t"][-1])
                        for start in range(0, len(elements), BLOCK):
                            yield elements[start : start + BLOCK]
                    kept += len(elements)
                offset = packet.offset + packet.size
            index = _read_index(self.path, self.data, self.header)
            # Some recorders leave the number of elements at 0.
            if index is not None and counts != {
                p: n or counts.get(p) for p, n in index.items() if p.stream == self.stream
            }:
                raise FormatError(
                    self.path,
                    f"found packets of stream {self.stream} that differ from the index; expected the same; the file "
                    "is damaged",
                    self.header.table,
                )
        except FormatError as error:
            if self.faults.errors == "strict":
                raise
            self.faults.meet(error.args[0], error.offset or 0)
            self.faults.leave(len(self.data) - offset)
        self.faults.report(kept)

    def extras(self) -> Extras:
        return Extras.none()


def open_aedat4(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    stream: int | None = None,
) -> _Recording:
    """Open an AEDAT 4 file; see `Opener`. Times are absolute (Unix us).

    Args:
        path: the file.
        faults: what to do with damage; `"truncate"` is for files whose recorder was killed while it wrote.
        shape: sensor's shape; None takes that of the header.
        sorted: whether to refuse times that run backwards.
        stream: id of the event stream; None takes the only one.

    Raises:
        FormatError: not AEDAT 4, a damaged header, or no stream of events.
        UnsupportedError: several event streams and none chosen, or no stream of that id.

    Source:
        iniVation, dv-processing 1.7, IOHeader.fbs, FileDataTable.fbs, events.fbs.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(
            path, f"cannot be read ({error.strerror}); expected an AEDAT 4 file; check the path"
        ) from error
    header = _read_header(path, data)
    return _Recording(path, faults, data, header, _choose(path, header, stream), shape, sorted)


def _read_header(path: str | PathLike[str], data: bytes) -> _Header:
    if not data.startswith(MAGIC):
        raise FormatError(path, f"found {data[:14]!r}; expected {MAGIC!r}; this is no AEDAT 4 file, or it is cut", 0)
    try:
        size = int(flatbuffer.at("I", data, len(MAGIC))[0])
        start = len(MAGIC) + 4 + size
        if start > len(data):
            raise struct.error(f"the header promises {size} bytes, {len(data) - len(MAGIC) - 4} are left")
        header = data[len(MAGIC) : start]
        root = flatbuffer.root(header, b"IOHE")
        codec, table, text = (flatbuffer.field(header, root, k) for k in range(3))
        number = flatbuffer.at("i", header, codec)[0] if codec else 0
        position = flatbuffer.at("q", header, table)[0] if table else -1
        if number not in _CODECS:
            raise struct.error(f"compression {number} is unknown")
        streams = _read_streams(header[slice(*flatbuffer.vector(header, text, 1))]) if text else {}
    except _FAULTS as error:
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
    return _Header(_CODECS[number], start, position, streams)


def _read_streams(text: bytes) -> dict[int, tuple[str, tuple[int, int] | None]]:
    """Find id, type and sensor size of each stream in the XML of the header."""
    if b"<!" in text:  # declarations could define entities that grow without bound
        raise ValueError("the XML holds a declaration")
    streams: dict[int, tuple[str, tuple[int, int] | None]] = {}
    for node in ElementTree.fromstring(text.decode()).iter("node"):
        kind = node.findtext("attr[@key='typeIdentifier']")
        if kind is not None:
            width, height = (node.findtext(f"node[@name='info']/attr[@key='{key}']") for key in ("sizeX", "sizeY"))
            shape = (int(width), int(height)) if width and height else None
            if shape and not all(1 <= size <= 32768 for size in shape):
                raise ValueError(f"sensor of {shape[0]} x {shape[1]} pixels")
            streams[int(node.get("name", ""))] = kind, shape
    return streams


def _choose(path: str | PathLike[str], header: _Header, stream: int | None) -> int:
    """Id of the event stream to read."""
    ids = [k for k, (kind, _) in header.streams.items() if kind == "EVTS"]
    if stream is not None and stream not in ids:
        raise unknown_name(f"{fspath(path)}: event stream", stream, map(str, ids))
    if not ids:
        kinds = ", ".join(kind for kind, _ in header.streams.values()) or "none"
        raise FormatError(
            path, f"found streams {kinds}; expected one of events (EVTS); the recording holds no events", len(MAGIC)
        )
    if stream is None and len(ids) > 1:
        raise UnsupportedError(
            f"{fspath(path)}: found event streams {', '.join(map(str, ids))}; expected one; choose with read(path, "
            f"stream={ids[0]})"
        )
    return ids[0] if stream is None else stream


def _packets(path: str | PathLike[str], data: bytes, header: _Header) -> Iterator[_Packet]:
    """Walk the packets of all streams."""
    offset = header.start
    end = header.table if header.start <= header.table <= len(data) else len(data)
    while offset < end:
        stream, size = flatbuffer.at("ii", data, offset) if offset + 8 <= end else (-1, end)
        if stream not in header.streams or not 8 <= size <= end - offset - 8:
            raise FormatError(
                path,
                f"found no whole packet in the last {end - offset} bytes; expected one of a stream in the header; "
                "the file is cut or "
                'damaged: copy it again, or take what is there with errors="truncate"',
                offset,
            )
        yield _Packet(offset + 8, stream, size)
        offset += 8 + size


def _decode(path: str | PathLike[str], data: bytes, packet: _Packet, codec: str) -> NDArray[np.void]:
    """Unpack one event packet."""
    try:
        payload, left = unpack(data[packet.offset : packet.offset + packet.size], codec)
        if left:
            raise struct.error(f"{left} bytes after the frame")
        vector = flatbuffer.field(payload, flatbuffer.root(payload, b"EVTS"), 0)
        start, stop = flatbuffer.vector(payload, vector, EVENT.itemsize) if vector else (0, 0)
    except _FAULTS as error:
        raise FormatError(
            path, f"packet of stream {packet.stream} cannot be read ({error}); the file is damaged", packet.offset
        ) from error
    return np.frombuffer(payload, EVENT, (stop - start) // EVENT.itemsize, start)


def _check(
    path: str | PathLike[str], packet: _Packet, array: NDArray[np.void], shape: tuple[int, ...] | None, last: int | None
) -> None:
    """Refuse events outside the sensor, or out of order."""
    if not len(array):
        return
    width, height = shape or (32768, 32768)
    found = [
        f"{name} = {array[name].max()}" for name, limit in (("x", width), ("y", height)) if array[name].max() >= limit
    ]
    if array["p"].view(np.uint8).max() > 1:
        found.append(f"polarity {array['p'].view(np.uint8).max()}")
    if (last is not None and array["t"][0] < last) or (array["t"][1:] < array["t"][:-1]).any():
        found.append("a time before that of the event before it")
    if found:
        raise FormatError(
            path,
            f"found {', '.join(found)}; expected sorted events of a {width} x {height} sensor; the file is damaged",
            packet.offset,
        )


def _read_index(path: str | PathLike[str], data: bytes, header: _Header) -> dict[_Packet, int] | None:
    """Number of elements of each packet, from the table at the end; None where the recorder was killed."""
    if header.table == -1:
        return None
    try:
        if header.table >= len(data):
            raise struct.error(f"the file ends at byte {len(data)}")
        table, left = unpack(data[header.table :], header.codec)
        if header.codec == "none":
            size = 4 + flatbuffer.at("I", table, 0)[0]
            table, left = table[:size], len(table) - size
        if left:
            raise struct.error(f"{left} bytes after it")
        vector = flatbuffer.field(table, flatbuffer.root(table, b"FTAB"), 0)
        index: dict[_Packet, int] = {}
        for place in range(*flatbuffer.vector(table, vector, 4), 4) if vector else ():
            row = place + flatbuffer.at("I", table, place)[0]
            offset, info, count = (flatbuffer.field(table, row, k) for k in range(3))
            packet = _Packet(
                flatbuffer.at("q", table, offset)[0] if offset else 0,
                *(flatbuffer.at("ii", table, info) if info else (0, 0)),
            )
            index[packet] = flatbuffer.at("q", table, count)[0] if count else 0
    except _FAULTS as error:
        raise FormatError(
            path,
            f"index cannot be read ({error}); expected a table FTAB there; the file is cut or damaged: copy it again",
            header.table,
        ) from error
    return index


FORMAT: Final = Format("aedat4", "AEDAT 4", (".aedat4",), open_aedat4, starts=(MAGIC,), options=("stream",))
"""Known by its first bytes."""
