"""Messages `EventPacket` of ROS 2 (event_camera_msgs): their fields, and the encodings libcaer, libcaer_cmp and mono.

Source:
    github.com/ros-event-camera: event_camera_msgs/msg/EventPacket.msg; event_camera_codecs, libcaer_decoder.h,
    libcaer_cmp_decoder.h and mono_decoder.h. OMG, DDS-XTypes 1.3, section 7.4.1 (plain CDR).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.events.array import EVENT

__all__ = ["DECODERS", "Packet", "parse_packet"]

_LONGEST_TEXT = 4096


class Packet(NamedTuple):
    """A message."""

    shape: tuple[int, int]
    """(width, height)."""
    time_base: int
    """Start of the times in it; ns, in libcaer_cmp us."""
    encoding: str
    events: memoryview
    """The encoded events."""


def parse_packet(data: bytes) -> Packet:
    """Take a message apart.

    Raises:
        ValueError: it is cut or damaged.
    """
    if len(data) < 4 or data[0] or data[1] > 1:
        raise ValueError(f"found the representation {data[:4]!r}; expected plain CDR")
    order = "<" if data[1] else ">"
    body = memoryview(data)[4:]  # alignment counts from here
    place = 8  # after the time stamp of the header

    def number(kind: str) -> int:
        nonlocal place
        size = struct.calcsize(order + kind)
        place = -(-place // size) * size
        try:
            value: int = struct.unpack_from(order + kind, body, place)[0]
        except struct.error as error:
            raise ValueError(f"found {len(body)} bytes; expected more") from error
        place += size
        return value

    def text() -> bytes:
        nonlocal place
        size = number("I")
        if size > _LONGEST_TEXT or place + size > len(body):
            raise ValueError(f"found a text of {size} bytes; expected it inside the message")
        place += size
        return bytes(body[place - size : place]).rstrip(b"\0")

    text()
    height, width = number("I"), number("I")
    number("Q")  # counts the messages
    base, encoding = number("Q"), text().decode("latin-1")
    big, size = number("B"), number("I")
    if not (0 < width <= 65536 and 0 < height <= 65536) or base >= 1 << 63:
        raise ValueError(f"found a sensor of {width} x {height} pixels and the time {base}; expected others")
    if big and encoding != "evt3":
        raise ValueError("found big-endian events; expected little-endian ones")
    if place + size > len(body):
        raise ValueError(f"found {len(body) - place} bytes of events; expected {size}")
    return Packet((width, height), base, encoding, body[place : place + size])


def _libcaer(packet: Packet) -> NDArray[np.void]:
    """Words of 8 bytes: polarity in bit 1, row in bits 2 to 16, column in bits 17 to 31; 31 bits of us."""
    words = np.frombuffer(packet.events, "<u4")
    data, t = words[::2], (words[1::2] & 0x7FFFFFFF).astype(np.int64)
    t += np.cumsum(np.diff(t, prepend=t[:1]) < -(1 << 30)) << 31  # the counter has wrapped within the message
    return _events(t + (packet.time_base + 500) // 1000, data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1)


def _mono(packet: Packet) -> NDArray[np.void]:
    """Words of 8 bytes: 32 bits of ns, column, row in 15 bits, polarity."""
    words = np.frombuffer(packet.events, "<u4")
    t, data = words[::2].astype(np.int64), words[1::2]
    return _events((t + packet.time_base + 500) // 1000, data & 0xFFFF, data >> 16 & 0x7FFF, data >> 31)


def _libcaer_cmp(packet: Packet) -> NDArray[np.void]:
    """Words of 2 bytes with a type in bits 12 to 15, each of which changes what is known of the next events.

    0, 1: high and low bits of the time [us]; 2: column; 3: an event at a row (11 bits), polarity in bit 11; 4: row and
    polarity where a vector starts; 5: 8 bits, an event for each that is set, at the next 8 rows.
    """
    words = np.frombuffer(packet.events, "<u2").astype(np.int64)
    kind, low = words >> 12, words & 0xFFF
    if len(words) and kind.max() > 5:
        raise ValueError(f"found a word of type {kind.max()}; expected 0 to 5")
    place = np.arange(len(words))

    def last(wanted: int) -> NDArray[np.int64]:
        """Place of the last word of a type, at each word; -1 before the first."""
        return np.maximum.accumulate(np.where(kind == wanted, place, -1)) if len(words) else place

    def value(wanted: int) -> NDArray[np.int64]:
        at = last(wanted)
        return np.where(at >= 0, low[at], 0)

    t = packet.time_base + (value(0) << 12) + value(1)
    column = value(2) & 0x7FF
    base, eights = last(4), np.cumsum(kind == 5)
    row = (low[base] & 0x7FF) + 8 * (eights - eights[base] - 1) if len(words) else place
    on = low[base] >> 11 if len(words) else place
    if ((kind == 3) | (kind == 5))[last(2) < 0].any() or (kind == 5)[base < 0].any():
        raise ValueError("found an event before its column or row; expected them first")
    single, vector = np.flatnonzero(kind == 3), np.flatnonzero(kind == 5)
    which, bit = np.nonzero(low[vector][:, None] >> np.arange(8) & 1)
    at = np.concatenate([single, vector[which]])
    rows = np.concatenate([low[single] & 0x7FF, row[vector[which]] + bit])
    polarity = np.concatenate([low[single] >> 11, on[vector[which]]])
    order = np.argsort(at, kind="stable")
    return _events(t[at][order], column[at][order], rows[order], polarity[order])


def _events(
    t: NDArray[np.int64], x: NDArray[np.integer], y: NDArray[np.integer], p: NDArray[np.integer]
) -> NDArray[np.void]:
    array = np.zeros(len(t), EVENT)
    array["t"], array["x"], array["y"], array["p"] = t, x, y, p
    return array


DECODERS: Final = {"libcaer": (_libcaer, 8), "libcaer_cmp": (_libcaer_cmp, 2), "mono": (_mono, 8)}
"""Decoders of a message, each with the bytes of its words, by the name of the encoding."""
