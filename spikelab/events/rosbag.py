"""Bags of ROS 2 with messages of event cameras (event_camera_msgs): .db3 (SQLite), and .mcap where `mcap` is installed.

Encodings evt3, libcaer, libcaer_cmp and mono are read. Times are those of the sensor's clock in evt3, as in a .raw file
of the same camera, and those of the messages' time base in the others, rounded from ns to us.
In messages of evt3, the byte that an error names counts within the events of all messages, joined.

Source:
    github.com/ros2/rosbag2, rosbag2_storage_sqlite3; github.com/ros-event-camera/event_camera_msgs.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import RawIOBase
from os import PathLike, fspath
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError
from spikelab.events.columns import back
from spikelab.events.faults import Faults
from spikelab.events.rosbag_packets import DECODERS, Packet, parse_packet
from spikelab.events.source import BLOCK, TRIGGER, Extras, Format
from spikelab.events.words import decode, fresh_state
from spikelab.files import file_size

__all__ = ["FORMAT", "MCAP", "open_bag", "open_mcap"]

_SQLITE = b"SQLite format 3\0"
_MCAP = b"\x89MCAP0\r\n"
_STEPS = 100_000  # of SQLite's machine, between two looks at how many it has taken
_TYPES = {"event_camera_msgs/msg/EventPacket", "event_array_msgs/msg/EventArray"}


def open_bag(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    topic: str | None = None,
) -> _Bag:
    """Open a .db3 file; see `Opener`. `topic` chooses a camera where there are several.

    Raises:
        FormatError: missing, foreign, damaged, or without such messages, or with several topics of them.
        ShapeError: `shape` has one axis.
    """
    size = file_size(path)
    with _database(path) as base:
        tables = dict(
            base.execute("SELECT name, type || ' ' || sql FROM sqlite_master WHERE name IN ('topics', 'messages')")
        )
        if len(tables) != 2 or not all(str(sql).upper().startswith("TABLE CREATE TABLE") for sql in tables.values()):
            raise FormatError(path, f"found tables {list(tables)}; expected topics and messages; this is no ROS 2 bag")
        topics = {
            str(name): int(number)
            for number, name, kind in base.execute("SELECT id, name, type FROM topics")
            if kind in _TYPES and isinstance(number, int)
        }
    with open(path, "rb") as file:
        head = file.read(32)
    pages = int.from_bytes(head[28:32], "big") * (int.from_bytes(head[16:18], "big") % 65535 or 65536)
    if pages != size:
        faults.meet(
            f"found {size} bytes; expected {pages}, as the header says; the file is cut, or has bytes added", 28
        )
        faults.leave(max(0, size - pages))
    number = topics[_chosen(path, list(topics), topic)]
    return _opened(path, faults, shape, sorted, lambda: _rows(path, faults, number))


def open_mcap(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    topic: str | None = None,
) -> _Bag:
    """Open a .mcap file with the package `mcap`; as `open_bag`.

    Raises:
        FormatError: as `open_bag`, or the package is not installed.
    """
    file_size(path)
    try:
        from mcap.reader import make_reader  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise FormatError(path, "found MCAP, which needs a package; expected mcap; run pip install mcap") from error

    def messages(wanted: str | None, names: set[str]) -> Iterator[bytes]:
        try:
            with open(path, "rb") as file:
                for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
                    if schema is not None and schema.name in _TYPES:
                        names.add(channel.topic)
                        if wanted in (None, channel.topic):
                            yield message.data
        # The package names no class for damage: those of zstandard, lz4 and struct come too.
        except Exception as error:  # noqa: BLE001
            faults.meet(FormatError(path, f"cannot be read ({error!r}); the bag is cut or damaged"))

    names = set[str]()
    for _ in messages(topic, names):
        if topic is not None:
            break
    chosen = _chosen(path, list(names), topic)
    return _opened(path, faults, shape, sorted, lambda: messages(chosen, set()))


def _chosen(path: str | PathLike[str], topics: list[str], topic: str | None) -> str:
    if topic in topics or (topic is None and len(topics) == 1):
        return topics[0] if topic is None else topic
    known = ", ".join(topics) or "none"
    raise FormatError(path, f"found topics of event cameras: {known}; expected one; pass topic=, or check the bag")


@contextmanager
def _database(path: str | PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open a database that may be damaged, or made to do harm: nothing is written, and the work is bounded."""
    size = file_size(path)
    try:
        name = quote(os.path.abspath(fspath(path)))
        with closing(sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)) as base:
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, 1 << 16))
            base.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON", "temp_store = MEMORY"):
                base.execute(f"PRAGMA {pragma}")
            left = itertools.count(10_000_000 + size, -_STEPS)
            base.set_progress_handler(lambda: int(next(left) < 0), _STEPS)
            yield base
    except (sqlite3.Error, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise FormatError(path, f"cannot be read ({error}); expected a bag of ROS 2; it is cut or damaged") from error


def _rows(path: str | PathLike[str], faults: Faults, topic: int) -> Iterator[bytes]:
    """Messages of a topic, in the order in which they were recorded."""
    try:
        with _database(path) as base:
            for (data,) in base.execute("SELECT data FROM messages WHERE topic_id = ? ORDER BY id", (topic,)):
                yield data if isinstance(data, bytes) else b""
    except FormatError as error:
        faults.meet(error)


def _opened(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None,
    sorted: bool,
    messages: Callable[[], Iterator[bytes]],
) -> _Bag:
    if shape is not None and len(shape) != 2:
        raise ShapeError(f"bag: found shape={shape!r}; expected (width, height); pass shape=(640, 480), say")
    first = next(_packets(path, Faults(path, "skip"), messages), None)
    if first is None:
        raise FormatError(path, "found no whole message of an event camera; expected some; the bag is empty or damaged")
    if first.encoding not in (*DECODERS, "evt3"):
        raise FormatError(
            path, f"found the encoding {first.encoding[:40]!r}; expected evt3, {', '.join(DECODERS)}; convert the bag"
        )
    return _Bag(path, faults, shape or first.shape, sorted, first.encoding, messages)


def _packets(path: str | PathLike[str], faults: Faults, messages: Callable[[], Iterator[bytes]]) -> Iterator[Packet]:
    """Messages, taken apart; damaged ones are faults."""
    encoding: str | None = None
    for k, data in enumerate(messages()):
        try:
            packet = parse_packet(data)
            encoding = encoding or packet.encoding
            if packet.encoding != encoding:
                raise ValueError(f"found the encoding {packet.encoding[:40]!r} after {encoding!r}; expected one only")
        except ValueError as error:
            if not faults.meet(f"cannot read message {k} ({error}); the bag is damaged"):
                return
            faults.leave(len(data))
            continue
        yield packet


class _Joined(RawIOBase):
    """The events of all messages, as one stream."""

    def __init__(self, packets: Iterator[Packet], size: int) -> None:
        self._packets, self._size, self._rest = packets, size, memoryview(b"")

    def readinto(self, buffer: Any) -> int:
        while not len(self._rest):
            packet = next(self._packets, None)
            if packet is None:
                return 0
            self._rest = packet.events
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._size if whence == 2 else 0


@dataclass(frozen=True)
class _Bag:
    path: str | PathLike[str]
    faults: Faults
    shape: tuple[int, ...]
    sorted: bool
    encoding: str
    messages: Callable[[], Iterator[bytes]]

    def blocks(self) -> Iterator[NDArray[np.void]]:
        return self._evt3(triggers=False) if self.encoding == "evt3" else self._decoded()

    def extras(self) -> Extras:
        """Read the external triggers, which evt3 has."""
        if self.encoding != "evt3":
            return Extras.none()
        found = [block[["t", "x", "p"]].copy() for block in self._evt3(triggers=True)]
        triggers = np.zeros(sum(map(len, found)), TRIGGER)
        if found:
            together = np.concatenate(found)
            triggers["t"], triggers["id"], triggers["value"] = together["t"], together["x"], together["p"]
        return Extras.none()._replace(triggers=triggers)

    def _evt3(self, triggers: bool) -> Iterator[NDArray[np.void]]:
        from spikelab.events import evt3_kernel
        from spikelab.events import prophesee as raw

        state = fresh_state(self.shape, self.sorted and not triggers, 6)
        state[raw.HIGH], state[raw.TRIGGERS] = raw.BEFORE, triggers
        problems = {
            raw.UNKNOWN: "found a word of a type that EVT3 does not have; expected events and times; it is damaged"
        }
        yield from decode(
            self.path,
            0,
            evt3_kernel.words,
            state,
            self.faults,
            2,
            2,
            evt3_kernel.resume,
            problems,
            lambda: _Joined(_packets(self.path, self.faults, self.messages), file_size(self.path)),
            spread=12,
        )
        if state[raw.DROPPED]:
            warnings.warn(
                f"{fspath(self.path)}: left out {state[raw.DROPPED]} events before the first TIME_HIGH word; "
                "the recording was cut at its start or is damaged",
                stacklevel=4,
            )

    def _decoded(self) -> Iterator[NDArray[np.void]]:
        decoder, word = DECODERS[self.encoding]
        kept, before = 0, None
        try:
            for packet in _packets(self.path, self.faults, self.messages):
                whole = len(packet.events) // word * word
                try:
                    if whole != len(packet.events):
                        raise ValueError(f"found {len(packet.events)} bytes of events; expected words of {word}")
                    array = decoder(packet)
                except ValueError as error:
                    if not self.faults.meet(f"cannot read a message ({error}); the bag is damaged"):
                        return
                    self.faults.leave(len(packet.events))
                    continue
                bad = (array["x"] >= self.shape[0]) | (array["y"] >= self.shape[1])
                if self.sorted:
                    bad |= back(array["t"], bad, before)
                goes_on = True
                if bad.any():
                    first = int(np.argmax(bad))
                    goes_on = self.faults.meet(
                        f"found the event {array[first]} after {before} us; expected it within {self.shape[0]} x "
                        f"{self.shape[1]} and sorted times; the bag is damaged, or pass sort=True"
                    )
                    keep = ~bad if goes_on else np.arange(len(bad)) < first
                    self.faults.leave(int(len(keep) - keep.sum()) * word)
                    array = array[keep]
                if len(array) and self.sorted:
                    before = int(array["t"][-1])
                kept += len(array)
                for start in range(0, len(array), BLOCK):
                    yield array[start : start + BLOCK]
                if not goes_on:
                    return
        finally:
            self.faults.report(kept)


FORMAT: Final = Format("rosbag", "ROS 2 bag (.db3)", (".db3",), open_bag, (_SQLITE,), options=("topic",))
"""Known by its first bytes."""
MCAP: Final = Format("mcap", "MCAP", (".mcap",), open_mcap, (_MCAP,), options=("topic",))
"""Known by its first bytes."""
