r"""AEDAT 4 (iniVation, dv-processing): a header, packets of several streams, and an index.

Layout: `#!AER-DAT4.0\r\n`; the header, a size-prefixed flatbuffer "IOHE" with compression, position of the
index and an XML tree of the streams; packets (int32 stream, int32 size, compressed flatbuffer); the index, a compressed
flatbuffer "FTAB" with place and number of elements of each packet. The position is -1 when the recorder was
killed: then the packets run to the end of the file. Flatbuffers are parsed here, each access within bounds.

Times are absolute (Unix us); x grows to the right and y downwards, as the file counts them. In `"skip"` an
event packet that cannot be unpacked is left out whole, and one with an event outside the sensor or back in time from
that event on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, UnsupportedError, unknown_name
from spikelab.events import aedat4_extras, aedat4_write, flatbuffer
from spikelab.events.aedat4_header import DAMAGE, MAGIC, Header, Packet, read_header, read_index
from spikelab.events.aedat4_packets import Fault, payloads
from spikelab.events.array import EVENT
from spikelab.events.faults import Faults
from spikelab.events.source import BLOCK, Extras, Format
from spikelab.events.words import HEIGHT, LAST, ORDERED, WIDTH, fresh_state

__all__ = ["FORMAT", "MAGIC", "open_aedat4"]

_MOST: Final = 1 << 15  # coordinates are int16 in the file


@dataclass(frozen=True, eq=False)
class _Recording:
    path: str | PathLike[str]
    faults: Faults
    header: Header
    chosen: int | None
    given: tuple[int, ...] | None
    sorted: bool

    @property
    def stream(self) -> int:
        """Id of the event stream to read."""
        ids = [k for k, stream in self.header.streams.items() if stream.kind == "EVTS"]
        if self.chosen is not None and self.chosen not in ids:
            raise unknown_name(f"{fspath(self.path)}: event stream", self.chosen, map(str, ids))
        if not ids:
            kinds = ", ".join(stream.kind for stream in self.header.streams.values()) or "none"
            raise FormatError(
                self.path,
                f"found streams {kinds}; expected one of events (EVTS); the recording holds no events; read what it "
                "holds with extras",
                len(MAGIC),
            )
        if self.chosen is None and len(ids) > 1:
            raise UnsupportedError(
                f"{fspath(self.path)}: found event streams {', '.join(map(str, ids))}; expected one; choose with "
                f"read(path, stream={ids[0]})"
            )
        return ids[0] if self.chosen is None else self.chosen

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.given or self.header.streams[self.stream].shape

    @property
    def most(self) -> int:
        """About how many events there are, by the index; no more than half as many as the file has bytes."""
        try:
            with open(self.path, "rb") as file:
                index = read_index(file, self.header) or {}
        except (OSError, *DAMAGE):
            return 0  # `blocks` says what is wrong
        stream = self.stream
        return max(0, min(sum(n for packet, n in index.items() if packet.stream == stream), self.header.size // 2))

    def blocks(self) -> Iterator[NDArray[np.void]]:
        stream, faults, shape = self.stream, self.faults, self.shape
        state = fresh_state(shape or (_MOST, _MOST), self.sorted, own=0)
        counts: dict[Packet, int] = {}
        kept = 0
        try:
            for item in payloads(self.path, self.header, {stream}, faults):
                if isinstance(item, Fault):
                    problem, offset, left = item
                else:
                    packet, payload = item
                    offset, left = packet.offset, packet.size
                    try:
                        events = _events(payload)
                    except DAMAGE as error:
                        problem = f"packet of stream {stream} cannot be read ({error}); the file is damaged"
                    else:
                        counts[packet] = len(events)
                        for block in self._sound(events, packet, state):
                            kept += len(block)
                            yield block
                        if faults.count and faults.errors == "truncate":
                            faults.leave(self.header.size - offset - left)
                            return
                        continue
                if not faults.meet(problem, offset):
                    faults.leave(self.header.size - offset)
                    return
                faults.leave(left)
            self._check_index(stream, counts)
        finally:
            faults.report(kept)

    def _sound(self, events: NDArray[np.void], packet: Packet, state: NDArray[np.int64]) -> Iterator[NDArray[np.void]]:
        """Blocks of the sound events at the start of a packet."""
        from spikelab.events.aedat4_kernel import RAW, sound

        raw = events.view(RAW)
        stop = int(sound(raw, state))
        for begin in range(0, stop, BLOCK):
            yield events[begin : min(begin + BLOCK, stop)]
        if stop < len(raw):
            self.faults.meet(_problem(raw[stop], state), packet.offset)
            self.faults.leave(RAW.itemsize * (len(raw) - stop))

    def _check_index(self, stream: int, counts: dict[Packet, int]) -> None:
        """Meet damage of the index, or packets that are not those it names."""
        try:
            with open(self.path, "rb") as file:
                index = read_index(file, self.header)
        except DAMAGE as error:
            self.faults.meet(
                f"index cannot be read ({error}); expected a table FTAB there; the file is cut or damaged: copy it "
                "again",
                self.header.table,
            )
            self.faults.leave(max(0, self.header.size - self.header.table))
            return
        if index is None or self.faults.count:
            return
        # Some recorders leave the number of elements at 0.
        if counts != {packet: n or counts.get(packet) for packet, n in index.items() if packet.stream == stream}:
            self.faults.meet(
                f"found packets of stream {stream} that differ from the index; expected the same; the file is damaged",
                self.header.table,
            )

    def extras(self) -> Extras:
        return aedat4_extras.read(self.path, self.faults, self.header)


def open_aedat4(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    stream: int | None = None,
) -> _Recording:
    """Open an AEDAT 4 file; see `Opener`.

    Args:
        path: the file.
        faults: what to do with damage; `"truncate"` is for files whose recorder was killed while it wrote.
        shape: sensor's shape; None takes that of the header.
        sorted: whether to refuse times that run backwards.
        stream: id of the event stream; None takes the only one. A file without one has extras only.

    Raises:
        FormatError: not AEDAT 4, or a damaged header.
        UnsupportedError: several event streams and none chosen, or no stream of that id, when events are read.

    Source:
        iniVation, dv-processing 1.7, IOHeader.fbs, FileDataTable.fbs, events.fbs.
    """
    return _Recording(path, faults, read_header(path), stream, shape, sorted)


def _events(payload: bytes | Exception) -> NDArray[np.void]:
    """Events of an unpacked packet."""
    if isinstance(payload, Exception):
        raise payload
    vector = flatbuffer.field(payload, flatbuffer.root(payload, b"EVTS"), 0)
    start, stop = flatbuffer.vector(payload, vector, EVENT.itemsize) if vector else (0, 0)
    events = np.frombuffer(payload, EVENT, (stop - start) // EVENT.itemsize, start)
    return events if events.flags.aligned else events.copy()


def _problem(event: np.void, state: NDArray[np.int64]) -> str:
    """What is wrong with an event."""
    width, height = int(state[WIDTH]), int(state[HEIGHT])
    found = [f"{name} = {event[name]}" for name, limit in (("x", width), ("y", height)) if event[name] >= limit]
    if event["p"] > 1:
        found.append(f"polarity {event['p']}")
    if state[ORDERED] and event["t"] < state[LAST]:
        found.append("a time before that of the event before it")
    return (
        f"found {', '.join(found)}; expected sorted events of a {width} x {height} sensor; the file is damaged, or "
        "pass sort=True or the sensor's shape"
    )


FORMAT: Final = Format(
    "aedat4",
    "AEDAT 4",
    (".aedat4",),
    open_aedat4,
    starts=(MAGIC,),
    write=aedat4_write.write,
    pieces=True,
    options=("stream",),
)
"""Known by its first bytes."""
