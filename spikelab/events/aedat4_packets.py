"""Packets of an AEDAT 4 file: found one after the other, and unpacked ahead by two threads.

A packet is int32 stream, int32 size, and as many bytes. In a damaged file the next one is found by the first bytes of
its payload: the codec's magic number, or the type of the flatbuffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import PathLike
from typing import BinaryIO, Final, NamedTuple

from spikelab.errors import FormatError
from spikelab.events import flatbuffer
from spikelab.events.aedat4_header import Header, Packet
from spikelab.events.codecs import CodecError, unpack
from spikelab.events.faults import Faults

__all__ = ["Fault", "payloads"]

_AHEAD: Final = 4  # packets that are unpacked or wait
_PIECE: Final = 1 << 20
_FIRST: Final = {"lz4": b"\x04\x22\x4d\x18", "zstd": b"\x28\xb5\x2f\xfd"}  # frame formats of LZ4 1.6 and of RFC 8878


class Fault(NamedTuple):
    """Damage between packets: what was found, the byte, and how many bytes are left out."""

    problem: str
    offset: int
    left: int


def payloads(
    path: str | PathLike[str], header: Header, streams: set[int], faults: Faults
) -> Iterator[tuple[Packet, bytes | CodecError] | Fault]:
    """Give the packets of some streams in order, unpacked, and what is damaged between them.

    After a fault there are more only in `"skip"`.

    Raises:
        FormatError: the file cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            if header.codec == "none":
                for packet in _walk(file, header, faults.errors == "skip"):
                    if isinstance(packet, Fault):
                        yield packet
                    elif packet.stream in streams:
                        file.seek(packet.offset)
                        yield packet, file.read(packet.size)
            else:
                yield from _unpacked(file, header, streams, faults.errors == "skip")
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path and the medium") from error


def _unpacked(
    file: BinaryIO, header: Header, streams: set[int], skip: bool
) -> Iterator[tuple[Packet, bytes | CodecError] | Fault]:
    waiting: deque[tuple[Packet, Future[bytes | CodecError]] | Fault] = deque()
    with ThreadPoolExecutor(2) as pool:
        for packet in _walk(file, header, skip):
            if isinstance(packet, Fault):
                waiting.append(packet)
            elif packet.stream in streams:
                file.seek(packet.offset)
                waiting.append((packet, pool.submit(_open, file.read(packet.size), header.codec)))
            while len(waiting) > _AHEAD:
                yield _done(waiting.popleft())
        while waiting:
            yield _done(waiting.popleft())


def _done(item: tuple[Packet, Future[bytes | CodecError]] | Fault) -> tuple[Packet, bytes | CodecError] | Fault:
    return item if isinstance(item, Fault) else (item[0], item[1].result())


def _open(data: bytes, codec: str) -> bytes | CodecError:
    try:
        result, left = unpack(data, codec)
    except CodecError as error:
        return error
    return CodecError(f"{left} bytes after the frame") if left else result


def _walk(file: BinaryIO, header: Header, skip: bool) -> Iterator[Packet | Fault]:
    """Packets of all streams, and the places between them where there is none."""
    offset, end = header.start, header.table if header.start <= header.table <= header.size else header.size
    while offset < end:
        packet = _packet(file, header, offset, end)
        if packet is None:
            found = _search(file, header, offset + 1, end) if skip else end
            yield Fault(
                f"found no whole packet in the last {end - offset} bytes; expected one of a stream in the header; "
                'the file is cut or damaged: copy it again, or take what is there with errors="truncate"',
                offset,
                found - offset,
            )
            if not skip:
                return
            offset = found
        else:
            yield packet
            offset = packet.offset + packet.size


def _packet(file: BinaryIO, header: Header, offset: int, end: int) -> Packet | None:
    """The packet at a place, if there is one."""
    file.seek(offset)
    head = file.read(8) if offset + 8 <= end else b""
    if len(head) < 8:
        return None
    stream, size = flatbuffer.at("ii", head, 0)
    return Packet(offset + 8, stream, size) if stream in header.streams and 8 <= size <= end - offset - 8 else None


def _search(file: BinaryIO, header: Header, offset: int, end: int) -> int:
    """The next place from `offset` where a packet starts, or `end`."""
    kinds = {stream: kind.kind.encode() for stream, kind in header.streams.items()}
    marks = [_FIRST[header.codec]] if header.codec in _FIRST else sorted(set(kinds.values()))
    into = 8 if header.codec in _FIRST else 16  # bytes from the start of a packet to its mark
    while offset < end:
        file.seek(offset)
        piece = file.read(min(_PIECE, end - offset))
        places = [place for mark in marks for place in _places(piece, mark)]
        for place in sorted(places):
            if place < into:
                continue
            packet = _packet(file, header, offset + place - into, end)
            if packet is not None and (into == 8 or piece[place : place + 4] == kinds[packet.stream]):
                return offset + place - into
        if offset + len(piece) >= end or len(piece) <= 32:
            return end
        offset += len(piece) - 32  # a start may lie across two pieces
    return end


def _places(piece: bytes, mark: bytes) -> Iterator[int]:
    place = piece.find(mark)
    while place >= 0:
        yield place
        place = piece.find(mark, place + 1)
