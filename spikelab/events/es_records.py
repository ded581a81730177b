"""What Event Stream files hold beside changes of brightness: exposure measurements, colours, bytes with times.

Source:
    Event Stream specification 2.0, https://github.com/neuromorphic-paris/event_stream.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.events.es import read_header

__all__ = ["ATIS", "COLOR", "GENERIC", "es_records"]

_PLACE = [("t", np.int64), ("x", np.uint16), ("y", np.uint16)]
ATIS: Final = np.dtype([*_PLACE, ("exposure", np.bool_), ("p", np.bool_)])
"""Record of type atis: a change of polarity `p`; or with `exposure` a crossed threshold, the first of two where `p` is
False, the second where it is True."""
COLOR: Final = np.dtype([*_PLACE, ("r", np.uint8), ("g", np.uint8), ("b", np.uint8)])
"""Record of type color: the new colour of a pixel."""
GENERIC: Final = np.dtype([("t", np.int64), ("bytes", object)])
"""Record of type generic: any bytes."""
_DVS = np.dtype([*_PLACE, ("p", np.bool_)])


def es_records(path: str | PathLike[str]) -> NDArray[np.void]:
    """Read all records of an Event Stream, of any type, with all of their fields. Damage is refused.

    Returns:
        [K] of dtype `EVENT`'s fields (dvs), `ATIS`, `COLOR` or `GENERIC`; times in us.

    Raises:
        FormatError: missing, foreign, cut, or damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.es")
        ...     _ = path.write_bytes(b"Event Stream" + bytes([2, 0, 0, 0]) + bytes([7, 4]) + b"hi")
        ...     es_records(path).tolist()
        [(7, b'hi')]
    """
    kind, shape = read_header(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path") from error
    return _generic(path, data) if kind == "generic" else _pixels(path, data, kind, shape)


def _pixels(path: str | PathLike[str], data: bytes, kind: str, shape: tuple[int, ...]) -> NDArray[np.void]:
    dtype, size, first_pause, pass_us = {
        "dvs": (_DVS, 5, 0xFE, 127),
        "atis": (ATIS, 5, 0xFC, 63),
        "color": (COLOR, 8, 0xFE, 254),
    }[kind]
    shift, low = {"dvs": (1, 1), "atis": (2, 3), "color": (0, 1)}[kind]
    found: list[tuple[int, ...]] = []
    place, time = 20, 0
    while place < len(data):
        head = data[place]
        if head >= first_pause:
            time += pass_us * (head & low)
            place += 1
            continue
        if place + size > len(data):
            raise FormatError(path, f"found {len(data) - place} bytes of a record; expected {size}; it is cut", place)
        x, y = data[place + 1] | data[place + 2] << 8, data[place + 3] | data[place + 4] << 8
        if x >= shape[0] or y >= shape[1]:
            raise FormatError(
                path, f"found a record at {x}, {y}; expected it within {shape[0]} x {shape[1]}; it is damaged", place
            )
        time += head >> shift
        flags = {"dvs": (head & 1,), "atis": (head & 1, head >> 1 & 1), "color": tuple(data[place + 5 : place + 8])}
        found.append((time, x, y, *flags[kind]))
        place += size
    return np.array(found, dtype)


def _generic(path: str | PathLike[str], data: bytes) -> NDArray[np.void]:
    found: list[tuple[int, bytes]] = []
    place, time = 16, 0
    while place < len(data):
        start, head = place, data[place]
        place += 1
        if head >= 0xFE:
            time += 254 * (head & 1)
            continue
        length = shift = 0
        while place < len(data) and shift < 63:  # seven bits a byte; the lowest says that more follow
            length |= data[place] >> 1 << shift
            place, shift = place + 1, shift + 7
            if not data[place - 1] & 1:
                break
        else:
            raise FormatError(path, "found a length without an end; expected one; the file is cut or damaged", start)
        if place + length > len(data):
            raise FormatError(path, f"found {length} bytes announced; expected as many; the file is cut", start)
        time += head
        found.append((time, data[place : place + length]))
        place += length
    array = np.empty(len(found), GENERIC)
    for k, record in enumerate(found):
        array[k] = record
    return array
