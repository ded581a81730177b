"""Kernel for DAT; see `words`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled
from spikelab.events.event_kernel import put
from spikelab.events.prophesee_kernel import word32
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, OWN, WIDTH
from spikelab.events.wrap_kernel import NEAR, RANGE, unwrapped

__all__ = ["LAYOUT", "OWN_NUMBERS", "POLARITY", "records", "resume"]

LAYOUT: Final = OWN
"""Place in `state`: version of the records (1, 2), or 0 for triggers (x: channel, p: level)."""
OWN_NUMBERS: Final = 3
"""Number of places in `state` that belong to this kernel."""
_EPOCH = OWN + 1  # what wraps of the counter have added [us]
_SEEN = OWN + 2  # the last time that was used [us]
POLARITY: Final = 3
"""Code: a polarity that is neither 0 nor 1."""
_RUN = 256
_SOUND = 4  # records that must be sound where decoding goes on


@compiled
def records(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode records of a time and a word.

    They are taken in runs. A run is decoded as if nothing were wrong with it and the counter did not wrap, in a loop
    without branches, of which the compiler makes vectors (twice as fast); else it is decoded again one by one.
    """
    layout, width, height, ordered = state[LAYOUT], state[WIDTH], state[HEIGHT], state[ORDERED] != 0
    epoch, seen, last = state[_EPOCH], state[_SEEN], state[LAST]
    words = data[begin : begin + (end - begin) // 8 * 8].view(np.uint32)
    number = min(len(words) // 2, len(out))
    count, code = 0, 0
    x_at, x_mask, y_at, y_mask, p_at, p_mask = 26, 63, 0, 0, 0, 15
    if layout == 2:
        x_at, x_mask, y_at, y_mask, p_at, p_mask = 0, 0x3FFF, 14, 0x3FFF, 28, 15
    elif layout == 1:
        x_at, x_mask, y_at, y_mask, p_at, p_mask = 0, 0x1FF, 9, 0xFF, 17, 1
    while count < number and not code:
        stop = min(count + _RUN, number)
        if ordered and seen == last:  # no wrap in reach: times count from `epoch` and do not fall
            run, flat = words[2 * count : 2 * stop], out[count:stop].reshape(-1)
            before, wrong = last, np.int64(0)
            for k in range(stop - count):
                t, word = epoch + np.int64(run[2 * k]), np.int64(run[2 * k + 1])
                x, y, p = word >> x_at & x_mask, word >> y_at & y_mask, word >> p_at & p_mask
                flat[2 * k], flat[2 * k + 1] = t, x | y << 16 | p << 32
                wrong |= (width - 1 - x) | (height - 1 - y) | (1 - p) | (t - before)  # negative where one is
                before = t
            back = epoch > 0 and last < epoch + NEAR and before >= epoch + RANGE - NEAR  # perhaps over a wrap
            if wrong >= 0 and not back:
                seen = last = before
                count = stop
                continue
        while count < stop:
            t, word = unwrapped(np.int64(words[2 * count]), epoch, seen), np.int64(words[2 * count + 1])
            x, y, p = word >> x_at & x_mask, word >> y_at & y_mask, word >> p_at & p_mask
            if x >= width or y >= height or p > 1 or (t < last and ordered):
                code = OUTSIDE if x >= width or y >= height else POLARITY if p > 1 else BACK
                break
            put(out, count, t, x, y, p)
            count += 1
            seen = last = t
            if t >= epoch + RANGE:
                epoch += RANGE
    state[_EPOCH], state[_SEEN], state[LAST] = epoch, seen, last
    return begin + 8 * count, count, code


@compiled
def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Find the first byte where the next four records (or those that are left) are sound and in order of time."""
    for start in range(begin, end - 7):
        previous, sound = state[LAST] if state[ORDERED] else np.int64(-1), True
        for place in range(start, min(start + 8 * _SOUND, end - 7), 8):
            t, word = unwrapped(word32(data, place), state[_EPOCH], state[_SEEN]), word32(data, place + 4)
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
