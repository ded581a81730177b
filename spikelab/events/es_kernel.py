"""Kernels for Event Stream; see `words`."""

from __future__ import annotations

from typing import Any

from spikelab.events.compiled import compiled
from spikelab.events.event_kernel import put
from spikelab.events.words import HEIGHT, LAST, OUTSIDE, OWN, WIDTH

__all__ = ["atis", "atis_resume", "dvs", "dvs_resume"]

_TIME = OWN  # sum of the times between events so far [us]
_TRIAL = 4  # records that must be sound before decoding goes on behind damage


@compiled
def dvs(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode type 1: a byte of time and polarity, x, y."""
    place, count, time = begin, 0, state[_TIME]
    width, height, most = state[WIDTH], state[HEIGHT], len(out)
    code = 0
    while place < end and count < most:
        head = int(data[place])
        if head >= 0xFE:  # 0xFF passes 127 us; 0xFE is padding
            time += 127 * (head & 1)
            place += 1
            continue
        if place + 5 > end:
            break
        x = int(data[place + 1]) | int(data[place + 2]) << 8
        y = int(data[place + 3]) | int(data[place + 4]) << 8
        if x >= width or y >= height:
            code = OUTSIDE
            break
        time += head >> 1
        put(out, count, time, x, y, head & 1 != 0)
        count += 1
        place += 5
    state[_TIME] = time
    if count:
        state[LAST] = out[count - 1, 0]
    return place, count, code


@compiled
def atis(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode type 2: a byte of time, polarity and kind, x, y. Exposure measurements are passed over."""
    place, count, time = begin, 0, state[_TIME]
    width, height, most = state[WIDTH], state[HEIGHT], len(out)
    code = 0
    while place < end and count < most:
        head = int(data[place])
        if head >= 0xFC:  # passes 63 us as often as the lowest bits say; 0xFC is padding
            time += 63 * (head & 3)
            place += 1
            continue
        if place + 5 > end:
            break
        x = int(data[place + 1]) | int(data[place + 2]) << 8
        y = int(data[place + 3]) | int(data[place + 4]) << 8
        if x >= width or y >= height:
            code = OUTSIDE
            break
        time += head >> 2
        if not head & 1:
            put(out, count, time, x, y, head & 2 != 0)
            count += 1
        place += 5
    state[_TIME] = time
    if count:
        state[LAST] = out[count - 1, 0]
    return place, count, code


@compiled
def _sound(data: Any, place: int, end: int, state: Any, first_pause: int) -> bool:
    """Whether the next records, as far as they are there, lie within the sensor."""
    seen = 0
    while seen < _TRIAL:
        while place < end and data[place] >= first_pause:
            place += 1
        if place + 5 > end:
            return seen > 0
        x = int(data[place + 1]) | int(data[place + 2]) << 8
        y = int(data[place + 3]) | int(data[place + 4]) << 8
        if x >= state[WIDTH] or y >= state[HEIGHT]:
            return False
        seen += 1
        place += 5
    return True


@compiled
def _resume(data: Any, begin: int, end: int, state: Any, first_pause: int) -> int:
    # Most often only a coordinate is damaged: the next record follows in its place.
    if _sound(data, begin + 4, end, state, first_pause):
        return begin + 4
    while begin < end and not _sound(data, begin, end, state, first_pause):
        begin += 1
    return begin


def dvs_resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Find a place from which the next records lie within the sensor. The time of what is left out is lost."""
    return int(_resume(data, begin, end, state, 0xFE))


def atis_resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """As `dvs_resume`, for type 2."""
    return int(_resume(data, begin, end, state, 0xFC))
