"""What an AEDAT 3.1 file holds beside its events: special events (type 0), frames (2) and IMU samples (3 and 4).

The id of a trigger is one of `aedat_triggers`; its value is True for a rising edge, a pulse, a start and a reset. Marks
of a wrap of the counter, and of rows without columns, are no triggers. A frame's time is the start of its exposure; its
pixels are 16 bits, as stored.

Source:
    libcaer (gitlab.com/inivation/dv/libcaer), events/special.h, frame.h, imu6.h, imu9.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import nan, radians
from os import PathLike
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.events.aedat_triggers import EXPOSURE, FRAME, GENERATOR, INPUT, RESET, STANDARD_GRAVITY
from spikelab.events.faults import Faults
from spikelab.events.source import IMU, TRIGGER, Extras

__all__ = ["read"]

_PIECE: Final = 1 << 20
_SPECIAL, _FRAME, _IMU6, _IMU9 = 0, 2, 3, 4
_SIZES: Final = {_SPECIAL: 8, _FRAME: 36, _IMU6: 36, _IMU9: 48}  # at least
_EDGES: Final = ((0, True), (0, False), (0, True))  # up, down, pulse
_TRIGGERS: Final[tuple[tuple[int, bool] | None, ...]] = (
    *(None, (RESET, True)),
    *_EDGES,
    None,
    *((INPUT + 1, value) for _, value in _EDGES),
    *((INPUT + 2, value) for _, value in _EDGES),
    *((GENERATOR, True), (GENERATOR, False), (FRAME, True), (FRAME, False), (EXPOSURE, True), (EXPOSURE, False)),
)


def read(path: str | PathLike[str], faults: Faults, start: int, source: int) -> Extras:
    """Read special events, frames and IMU samples, each in the order of the file.

    Args:
        path: the file.
        faults: what to do with damage.
        start: byte behind the header.
        source: number of the camera, or -1 for any.

    Raises:
        FormatError: the file cannot be read, or damage in `"strict"`.
    """
    triggers: list[tuple[Any, ...]] = []
    samples: list[tuple[Any, ...]] = []
    frames: list[tuple[int, NDArray[Any]]] = []
    try:
        with open(path, "rb") as file:
            for kind, size, epoch, payload, place in _packets(file, faults, start, source):
                for k in range(0, len(payload), size):
                    event = payload[k : k + size]
                    if not event[0] & 1:
                        continue
                    try:
                        if kind == _SPECIAL:
                            triggers += _trigger(event, epoch)
                        elif kind == _FRAME:
                            frames.append(_frame(event, epoch))
                        else:
                            samples.append(_sample(event, epoch, kind))
                    except struct.error as error:
                        faults.leave(size)
                        if not faults.meet(f"event cannot be read ({error}); the file is damaged", place + k):
                            break
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path and the medium") from error
    finally:
        faults.report(0)
    return Extras(
        np.array(triggers, TRIGGER),
        np.array(samples, IMU),
        np.array([time for time, _ in frames], np.int64),
        [frame for _, frame in frames],
    )


def _packets(file: BinaryIO, faults: Faults, start: int, source: int) -> Iterator[tuple[int, int, int, bytes, int]]:
    """Type, size of an event, time that the wraps add [us], events and their place, of the packets that matter."""
    from spikelab.events.aedat3_kernel import HEAD, next_packet

    end, place = file.seek(0, 2), start
    while place < end:
        file.seek(place)
        head = file.read(HEAD)
        values = struct.unpack("<hhiiiiii", head) if len(head) == HEAD else (-1,) * 8
        kind, origin, size, _, overflow, capacity, number, _ = values
        sound = min(values) >= 0 and size > 0 and capacity >= number and size >= _SIZES.get(kind, 1)
        if not sound or place + HEAD + capacity * size > end:
            more = faults.meet("found no whole packet; expected one; the file is cut or damaged", place)
            begin, place = place, place + 1 if more else end
            while place < end:
                file.seek(place)
                piece = np.frombuffer(file.read(_PIECE), np.uint8)
                step = next_packet(piece, 0, len(piece), end - place)
                place += step
                if step < len(piece) or place >= end:
                    break
                place -= HEAD
            faults.leave(place - begin)
            continue
        if kind in _SIZES and source in (-1, origin):
            yield kind, size, overflow << 31, file.read(number * size), place + HEAD
            if faults.count and faults.errors == "truncate":
                return
        place += HEAD + capacity * size


def _trigger(event: bytes, epoch: int) -> list[tuple[Any, ...]]:
    word, time = struct.unpack_from("<Ii", event)
    kind = word >> 1 & 0x7F
    if kind >= len(_TRIGGERS):
        raise struct.error(f"special event of type {kind}")
    found = _TRIGGERS[kind]
    return [] if found is None else [(epoch + time, *found)]


def _sample(event: bytes, epoch: int, kind: int) -> tuple[Any, ...]:
    _, time, *values = struct.unpack_from("<Ii7f" if kind == _IMU6 else "<Ii10f", event)
    magnetic = [1e-6 * microtesla for microtesla in values[7:]] or [nan] * 3
    return (
        epoch + time,
        tuple(g * STANDARD_GRAVITY for g in values[:3]),
        tuple(map(radians, values[3:6])),
        tuple(magnetic),
        values[6],
    )


def _frame(event: bytes, epoch: int) -> tuple[int, NDArray[Any]]:
    info, _, _, exposure, _, width, height = struct.unpack_from("<Iiiiiii", event)
    channels = info >> 1 & 7
    if min(width, height) < 0 or not 1 <= channels <= 4 or 36 + 2 * width * height * channels > len(event):
        raise struct.error(f"frame of {width} x {height} x {channels} in {len(event)} bytes")
    image = np.frombuffer(event, "<u2", width * height * channels, 36).copy()
    return epoch + exposure, image.reshape((height, width) if channels == 1 else (height, width, channels))
