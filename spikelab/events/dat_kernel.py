"""Kernel for DAT; see `words`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled
from spikelab.events.prophesee_kernel import word32
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, OWN, WIDTH

__all__ = ["LAYOUT", "OWN_NUMBERS", "POLARITY", "records", "resume"]

LAYOUT: Final = OWN
"""Place in `state`: version of the records (1, 2), or 0 for triggers (x: channel, p: level)."""
OWN_NUMBERS: Final = 3
"""Number of places in `state` that belong to this kernel."""
_EPOCH = OWN + 1  # what wraps of the counter have added [us]
_SEEN = OWN + 2  # the last time that was used [us]
POLARITY: Final = 3
"""Code: a polarity that is neither 0 nor 1."""
_HALF = 1 << 31
_SOUND = 4  # records that must be sound where decoding goes on


@compiled
def records(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode records of a time and a word."""
    layout, width, height, ordered = state[LAYOUT], state[WIDTH], state[HEIGHT], state[ORDERED] != 0
    epoch, seen, last = state[_EPOCH], state[_SEEN], state[LAST]
    words = data[begin : begin + (end - begin) // 8 * 8].view(np.uint32)
    number = min(len(words) // 2, len(out))
    count, code = 0, 0
    while count < number:
        t, word = epoch + np.int64(words[2 * count]), np.int64(words[2 * count + 1])
        if t < seen - _HALF:
            t += 2 * _HALF
        if layout == 2:
            x, y, p = word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28
        elif layout == 1:
            x, y, p = word & 0x1FF, word >> 9 & 0xFF, word >> 17 & 1
        else:
            x, y, p = word >> 26, word & 0, word & 15
        if x >= width or y >= height:
            code = OUTSIDE
            break
        if p > 1:
            code = POLARITY
            break
        if t < last and ordered:
            code = BACK
            break
        event = out[count]
        event.t, event.x, event.y, event.p = t, x, y, p == 1
        count += 1
        seen = last = t
        if t >= epoch + 2 * _HALF:
            epoch += 2 * _HALF
    state[_EPOCH], state[_SEEN], state[LAST] = epoch, seen, last
    return begin + 8 * count, count, code


@compiled
def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Find the first byte where the next four records (or those that are left) are sound and in order of time."""
    for start in range(begin, end - 7):
        previous, sound = state[LAST] if state[ORDERED] else np.int64(-1), True
        for place in range(start, min(start + 8 * _SOUND, end - 7), 8):
            t, word = state[_EPOCH] + word32(data, place), word32(data, place + 4)
            if t < state[_SEEN] - _HALF:
                t += 2 * _HALF
            if state[LAYOUT] == 2:
                sound = word & 0x3FFF < state[WIDTH] and (word >> 14 & 0x3FFF) < state[HEIGHT] and word >> 29 == 0
            elif state[LAYOUT] == 1:
                sound = word & 0x1FF < state[WIDTH] and (word >> 9 & 0xFF) < state[HEIGHT]
            else:
                sound = word & 15 < 2
            if not sound or t < previous:
                sound = False
                break
            previous = t
        if sound:
            return start
    return end
