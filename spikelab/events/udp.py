"""Events in UDP datagrams, for sensors and programs on the same machine.

A datagram, little-endian, is a header of 16 bytes and up to 4093 events of 16 bytes, in order of time:

| byte | what |
|---|---|
| 0 | magic `SLEV` |
| 4 | uint8 version, 1 |
| 5 | uint8 flags: bit 0 says that the sender has ended |
| 6 | uint16 number of events n |
| 8 | uint64 number of events that the sender has sent before |
| 16 | n records: int64 t [us], uint16 x, uint16 y, uint8 polarity (1 is ON), 3 bytes of 0 |

The record is that of AEDAT 4 and of `EVENT`. From byte 8 the receiver knows how many events the system lost on the way.
Nobody is asked who they are: listen where only programs of this machine can send, as the default does.
"""

from __future__ import annotations

import socket
import struct
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import FormatError, ShapeError
from spikelab.events.array import EVENT, Events, must_be_events, sensor_shape

__all__ = ["Receiver", "datagrams", "parse"]

_HEADER: Final = struct.Struct("<4sBBHQ")
_MAGIC: Final = b"SLEV"
_MOST: Final = (65507 - 16) // 16  # bytes in a datagram over IPv4
_POLL: Final = 0.1  # s, after which a closed receiver is noticed
_BUFFER: Final = 1 << 22  # bytes asked of the system; it may give less
_WHERE: Final = "UDP datagram"


def datagrams(events: Events, sent: int = 0, most: int = 91, last: bool = False) -> Iterator[bytes]:
    """Turn events into datagrams.

    Args:
        events: the events.
        sent: number of events sent before these.
        most: events in a datagram; 91 fit into a packet of 1500 bytes, 4093 into any.
        last: whether the sender ends with these; then there is at least one datagram.

    Raises:
        ShapeError: `most` is not from 1 to 4093.

    Example:
        >>> two = Events.from_columns(t=[5, 9], x=[1, 2], shape=(4,))
        >>> [len(d) for d in datagrams(two)]
        [48]
        >>> sent, found, last = parse(next(datagrams(two, sent=7)), (4,))
        >>> sent, found["t"].tolist(), last
        (7, [5, 9], False)
    """
    must_be_events(events, "datagrams")
    if not is_whole(most) or not 1 <= most <= _MOST:
        raise ShapeError(f"datagrams: found most={most!r}; expected 1 to {_MOST}; pass 91, say")
    for start in range(0, max(len(events), 1 if last else 0), most):
        part = events.array[start : start + most]
        clean = np.zeros(len(part), EVENT)  # with zeros between the fields
        for name in ("t", "x", "y", "p"):
            clean[name] = part[name]
        flags = int(last and start + most >= len(events))
        yield _HEADER.pack(_MAGIC, 1, flags, len(part), sent + start) + clean.tobytes()


def parse(datagram: bytes, shape: tuple[int, ...]) -> tuple[int, NDArray[np.void], bool]:
    """Read a datagram.

    Returns:
        Number of events sent before, [n] events of dtype `EVENT`, and whether the sender has ended.

    Raises:
        FormatError: something else, events that are not sorted, or outside the sensor.
    """
    if len(datagram) < _HEADER.size or not datagram.startswith(_MAGIC):
        raise FormatError(_WHERE, f"found {datagram[:8]!r}; expected {_MAGIC!r} and 12 more bytes; check the sender", 0)
    _, version, flags, count, sent = _HEADER.unpack_from(datagram)
    if version != 1 or flags > 1:
        raise FormatError(
            _WHERE, f"found version {version} and flags {flags}; expected 1, and 0 or 1; check the sender", 4
        )
    if len(datagram) != _HEADER.size + count * EVENT.itemsize:
        expected = _HEADER.size + count * EVENT.itemsize
        raise FormatError(_WHERE, f"found {len(datagram)} bytes; expected {expected} for {count} events; it is cut", 6)
    array = np.frombuffer(datagram, EVENT, count, _HEADER.size)
    try:
        Events(array, shape)
    except ShapeError as error:
        raise FormatError(_WHERE, str(error), _HEADER.size) from error
    return sent, array, bool(flags)


class Receiver:
    """Packets of events from a UDP socket; iterate over it, or give it to `Live`.

    It ends when a sender says that it has ended, or when it is closed.

    Args:
        shape: (width, height) or (channels,) of the sensor.
        port: 0 takes a free one; `address` tells which.
        host: address to listen on; the default hears this machine alone.

    Raises:
        FormatError: the address cannot be had.

    Example:
        >>> events = Events.from_columns(t=[5, 9], x=[1, 2], shape=(4,))
        >>> with Receiver((4,)) as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        ...     for datagram in datagrams(events, last=True):
        ...         _ = sender.sendto(datagram, receiver.address)
        ...     [packet["t"].tolist() for packet in receiver]
        [[5, 9]]
    """

    def __init__(self, shape: tuple[int, ...], port: int = 0, host: str = "127.0.0.1") -> None:
        self.shape = sensor_shape(shape)
        self.received = 0
        """Events that came."""
        self.lost = 0
        """Events that were sent and did not come."""
        self.refused = 0
        """Datagrams that were no such packets, came twice or after later ones."""
        self.reason = ""
        """Why the first of these was refused."""
        self._closed = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.settimeout(_POLL)
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise FormatError(
                f"{host}:{port}", f"cannot be listened on ({error}); expected a free port; choose another"
            ) from error
        self.address: tuple[str, int] = self._socket.getsockname()
        """Host and port to send to."""

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        """Give the events of each datagram."""
        expected: int | None = None
        while not self._closed:
            try:
                datagram = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                if self._closed:
                    return
                raise
            try:
                sent, array, last = parse(datagram, self.shape)
                if expected is not None and 0 < sent < expected:
                    raise FormatError(_WHERE, f"found event {sent} after {expected}; expected no less; it came late", 8)
            except FormatError as error:
                self.refused += 1
                self.reason = self.reason or str(error)
                continue
            if expected is not None and sent:  # 0 is a sender that starts anew
                self.lost += sent - expected
            expected = sent + len(array)
            self.received += len(array)
            if len(array):
                yield array
            if last:
                return

    def close(self) -> None:
        """Stop listening; warn once of what was lost or refused, if anything was."""
        self._end()

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._socket.close()
        if self.lost or self.refused:
            warnings.warn(
                f"UDP: {self.lost} events did not come, {self.refused} datagrams were refused"
                f"{f' ({self.reason})' if self.reason else ''}; {self.received} events came",
                stacklevel=3,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
