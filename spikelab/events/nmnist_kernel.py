"""Kernel for N-MNIST .bin; see `words`."""

from __future__ import annotations

from typing import Any

from spikelab.events.compiled import compiled
from spikelab.events.event_kernel import put
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, OWN, WIDTH

__all__ = ["records", "resume"]

_SHIFT = OWN  # time that the overflow records have added


@compiled
def records(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode records of 5 bytes."""
    place, count, last = begin, 0, state[LAST]
    code = 0
    while place + 5 <= end and count < len(out):
        x, y = data[place], data[place + 1]
        if y == 240:
            state[_SHIFT] += 1 << 13
        else:
            t = state[_SHIFT] + ((int(data[place + 2]) & 127) << 16 | int(data[place + 3]) << 8 | int(data[place + 4]))
            if x >= state[WIDTH] or y >= state[HEIGHT]:
                code = OUTSIDE
                break
            if t < last and state[ORDERED]:
                code = BACK
                break
            put(out, count, t, x, y, data[place + 2] >> 7 != 0)
            last = t
            count += 1
        place += 5
    state[LAST] = last
    return place, count, code


def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Each record stands alone: go on with the next."""
    return begin
