"""ROS 1 bags (version 2.0) with events of `dvs_msgs/EventArray`: none, bzip2 and LZ4 chunks.

A bag is records: a header of `name=value` fields, then data; lengths are uint32, little-endian. Chunks hold connection
and message records. An event is x and y (uint16), seconds and nanoseconds (uint32), polarity (one byte), 13 bytes
without gaps.

Source:
    wiki.ros.org/Bags/Format/2.0; uzh-rpg/rpg_dvs_ros, dvs_msgs/msg/EventArray.msg and Event.msg.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError
from spikelab.events.array import EVENT, Events

__all__ = ["MAGIC", "read"]

MAGIC = b"#ROSBAG V2.0\n"
"""First bytes of a bag."""
_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_MOST_INFLATION = 5000  # of a chunk


def read(path: str | PathLike[str], topic: str) -> Events:
    """Read the events of one topic.

    Args:
        path: the bag.
        topic: such as `"/dvs/events"`.

    Returns:
        Events in order of time, from 0 at the first; the sensor's shape is that of the messages.

    Raises:
        FormatError: no bag, cut, damaged, or without events on this topic; the topics that it has are named.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected a ROS bag; check the path") from error
    if not data.startswith(MAGIC):
        raise FormatError(path, f"found {data[:13]!r}; expected {MAGIC!r}; this is no ROS 1 bag of version 2.0", 0)
    topics: dict[bytes, str] = {}
    parts: list[NDArray[np.void]] = []
    shapes: set[tuple[int, int]] = set()
    for fields, body, offset in _messages(path, data):
        if fields[b"op"][0] == _CONNECTION:
            topics[fields.get(b"conn", b"")] = fields.get(b"topic", b"").decode("utf-8", "replace")
        elif topics.get(fields.get(b"conn", b"")) == topic:
            shape, part = _event_array(path, body, offset)
            shapes.add(shape)
            parts.append(part)
    if len(shapes) != 1:
        known = ", ".join(sorted(set(topics.values()))) or "none"
        raise FormatError(path, f"found sensors {sorted(shapes)} on {topic!r}; expected one; topics are {known}")
    found = np.concatenate(parts)
    array = np.empty(len(found), EVENT)
    array["x"], array["y"], array["p"] = found["x"], found["y"], found["p"] > 0
    array["t"] = found["s"].astype(np.int64) * 1_000_000 + np.rint(found["ns"] / 1000).astype(np.int64)
    array = array[np.argsort(array["t"], kind="stable")]
    if len(array):
        array["t"] -= array["t"][0]
    array.flags.writeable = False
    try:
        return Events(array, shapes.pop())
    except ShapeError as error:
        raise FormatError(path, f"holds events that are none ({error}); copy it again") from error


def _messages(path: Path, data: bytes) -> Iterator[tuple[dict[bytes, bytes], bytes, int]]:
    """Connections and messages, with the byte of the file where they, or their chunk, begin."""
    for fields, body, offset in _records(path, data, len(MAGIC), 0):
        op = fields[b"op"][0]
        if op == _CHUNK:
            size = int.from_bytes(fields.get(b"size", b""), "little")
            packing = fields.get(b"compression", b"none")
            if size > _MOST_INFLATION * len(body) + 1024:
                raise FormatError(path, f"found a chunk of {size} bytes packed in {len(body)}; expected less", offset)
            for inner, content, _ in _records(path, _unpacked(path, packing, body, size, offset), 0, offset):
                yield inner, content, offset
        elif op in (_MESSAGE, _CONNECTION):
            yield fields, body, offset


def _records(path: Path, data: bytes, start: int, shift: int) -> Iterator[tuple[dict[bytes, bytes], bytes, int]]:
    while start < len(data):
        place, parts = start, []
        for _ in range(2):
            size = int.from_bytes(data[start : start + 4], "little")
            if start + 4 > len(data) or start + 4 + size > len(data):
                raise FormatError(
                    path, f"found a record of {size} bytes that is cut; expected all; copy it again", place + shift
                )
            parts.append(data[start + 4 : start + 4 + size])
            start += 4 + size
        fields, at = dict[bytes, bytes](), 0
        while at < len(parts[0]):
            size = int.from_bytes(parts[0][at : at + 4], "little")
            name, equals, value = parts[0][at + 4 : at + 4 + size].partition(b"=")
            if not equals or at + 4 + size > len(parts[0]):
                raise FormatError(path, "found a record whose header is damaged; expected name=value", place + shift)
            fields[name] = value
            at += 4 + size
        if len(fields.get(b"op", b"")) != 1:
            raise FormatError(path, "found a record without op; expected one; the file is damaged", place + shift)
        yield fields, parts[1], place + shift


def _unpacked(path: Path, packing: bytes, body: bytes, size: int, offset: int) -> bytes:
    try:
        if packing == b"none":
            data = body
        elif packing == b"bz2":
            data = bz2.BZ2Decompressor().decompress(body, max_length=size + 1)
        elif packing == b"lz4":
            import lz4.frame

            data = lz4.frame.LZ4FrameDecompressor().decompress(body, max_length=size + 1)
        else:
            raise FormatError(path, f"found a chunk packed with {packing!r}; expected none, bz2 or lz4", offset)
    except (OSError, EOFError, ValueError, RuntimeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            path, f"cannot unpack a chunk ({error}); expected an intact one; copy it again", offset
        ) from error
    if len(data) != size:
        raise FormatError(path, f"found a chunk of {len(data)} bytes; expected {size}; copy it again", offset)
    return bytes(data)


def _event_array(path: Path, body: bytes, offset: int) -> tuple[tuple[int, int], NDArray[np.void]]:
    """Sensor's (width, height) and the events of a message."""
    try:
        (name,) = struct.unpack_from("<I", body, 12)  # behind seq, secs and nsecs
        height, width, count = struct.unpack_from("<III", body, 16 + name)
        return (width, height), np.frombuffer(body, _EVENT, count, 28 + name)
    except (struct.error, ValueError) as error:
        raise FormatError(
            path, f"found a message that is no dvs_msgs/EventArray ({error}); expected one", offset
        ) from error
