"""What an AEDAT 4 file holds beside its events: frames (FRME), IMU samples (IMUS) and triggers (TRIG).

The id of a trigger is one of `aedat_triggers`; its value is True for a rising edge, a pulse, a start and a reset. A
frame's time is the start of its exposure, or, where that is not known (0), its time stamp; its colours are in OpenCV's
order, blue first.

Source:
    iniVation, dv-processing 1.7, frame.fbs, imu.fbs, trigger.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import radians
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.events import flatbuffer
from spikelab.events.aedat4_header import DAMAGE, Header
from spikelab.events.aedat4_packets import Fault, payloads
from spikelab.events.aedat_triggers import EXPOSURE, FRAME, GENERATOR, INPUT, RESET, STANDARD_GRAVITY
from spikelab.events.faults import Faults
from spikelab.events.source import IMU, TRIGGER, Extras

__all__ = ["read"]

_TRIGGERS: Final = (
    *((RESET, True), (INPUT, True), (INPUT, False), (INPUT, True)),
    *((GENERATOR, True), (GENERATOR, False), (FRAME, True), (FRAME, False), (EXPOSURE, True), (EXPOSURE, False)),
)
_DEPTHS: Final[dict[int, np.dtype[Any]]] = {
    0: np.dtype("u1"),
    2: np.dtype("<u2"),
}  # OpenCV's: type is depth + 8 * (channels - 1)


def read(path: str | PathLike[str], faults: Faults, header: Header) -> Extras:
    """Read frames, IMU samples and triggers of all streams, each in the order of the file.

    Raises:
        FormatError: damage, in `"strict"`.
    """
    kinds = {k: stream.kind for k, stream in header.streams.items() if stream.kind in ("FRME", "IMUS", "TRIG")}
    triggers: list[tuple[Any, ...]] = []
    samples: list[tuple[Any, ...]] = []
    frames: list[tuple[int, NDArray[Any]]] = []
    try:
        for item in payloads(path, header, set(kinds), faults):
            if isinstance(item, Fault):
                problem, offset, left = item
            else:
                packet, payload = item
                kind, offset, left = kinds[packet.stream], packet.offset, packet.size
                try:
                    if isinstance(payload, Exception):
                        raise payload
                    table = flatbuffer.root(payload, kind.encode())
                    if kind == "FRME":
                        frames.append(_frame(payload, table))
                    elif kind == "IMUS":
                        samples += [_sample(payload, row) for row in _rows(payload, table)]
                    else:
                        triggers += [_trigger(payload, row) for row in _rows(payload, table)]
                    continue
                except DAMAGE as error:
                    problem = f"packet of {kind} cannot be read ({error}); the file is damaged"
            if not faults.meet(problem, offset):
                faults.leave(header.size - offset)
                break
            faults.leave(left)
    finally:
        faults.report(0)
    return Extras(
        np.array(triggers, TRIGGER),
        np.array(samples, IMU),
        np.array([time for time, _ in frames], np.int64),
        [frame for _, frame in frames],
    )


def _rows(data: bytes, table: int) -> Iterator[int]:
    """Tables of the vector that is the first field."""
    vector = flatbuffer.field(data, table, 0)
    for place in range(*flatbuffer.vector(data, vector, 4), 4) if vector else ():
        yield place + flatbuffer.at("I", data, place)[0]


def _number(data: bytes, table: int, field: int, layout: str) -> Any:
    place = flatbuffer.field(data, table, field)
    return flatbuffer.at(layout, data, place)[0] if place else 0


def _trigger(data: bytes, table: int) -> tuple[Any, ...]:
    kind = _number(data, table, 1, "b")
    if not 0 <= kind < len(_TRIGGERS):
        raise struct.error(f"trigger of type {kind}")
    return _number(data, table, 0, "q"), *_TRIGGERS[kind]


def _sample(data: bytes, table: int) -> tuple[Any, ...]:
    temperature, *rest = (_number(data, table, k, "f") for k in range(1, 11))
    acceleration = tuple(g * STANDARD_GRAVITY for g in rest[:3])
    return (
        _number(data, table, 0, "q"),
        acceleration,
        tuple(map(radians, rest[3:6])),
        tuple(1e-6 * microtesla for microtesla in rest[6:]),
        temperature,
    )


def _frame(data: bytes, table: int) -> tuple[int, NDArray[Any]]:
    time, exposure = _number(data, table, 0, "q"), _number(data, table, 3, "q")
    code = _number(data, table, 5, "b")
    depth, channels = _DEPTHS.get(code % 8), code // 8 + 1
    width, height = _number(data, table, 6, "h"), _number(data, table, 7, "h")
    pixels = flatbuffer.field(data, table, 10)
    start, stop = flatbuffer.vector(data, pixels, 1) if pixels else (0, 0)
    if depth is None or not 1 <= channels <= 4 or code < 0:
        raise struct.error(f"frame of OpenCV's type {code}")
    if width < 0 or height < 0 or width * height * channels * depth.itemsize != stop - start:
        raise struct.error(f"frame of {width} x {height} x {channels} in {stop - start} bytes")
    image = np.frombuffer(data, depth, (stop - start) // depth.itemsize, start).copy()
    return exposure or time, image.reshape((height, width) if channels == 1 else (height, width, channels))
