"""Kernel for EVT2; see `words`."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.events.compiled import compiled, inlined
from spikelab.events.event_kernel import put
from spikelab.events.prophesee import DROPPED, HIGH, TRIGGERS, UNKNOWN
from spikelab.events.prophesee_kernel import word32
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, WIDTH

__all__ = ["higher", "resume", "words"]

_RANGE = 1 << 28
_FIRST, _END = -(1 << 63), (1 << 63) - 1
_SOUND = 16  # words that must be sound behind the place where decoding goes on


@inlined
def higher(high: Any, new: Any) -> Any:
    """TIME_HIGH with its wraps undone: `new` (28 bits) after `high`, which is `BEFORE` at the start."""
    if high < 0:
        return new
    if (high & _RANGE - 1) - new > _RANGE // 2:
        high += _RANGE
    return high & ~(_RANGE - 1) | new


@compiled
def words(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode words of 4 bytes."""
    triggers, width, height, ordered = state[TRIGGERS] != 0, state[WIDTH], state[HEIGHT], state[ORDERED] != 0
    high, floor = state[HIGH], state[LAST] if ordered else np.int64(_FIRST)
    if triggers:
        floor, ordered = np.int64(_END), False  # so that no event passes
    all_words = data[begin : begin + (end - begin) // 4 * 4].view(np.uint32)
    count, code, most, k = 0, 0, len(out), 0
    base = high << 6
    while k < len(all_words) and count < most:
        word = np.int64(all_words[k])
        kind = word >> 28
        if kind < 2 and high >= 0:
            t, x, y = base | word >> 22 & 63, word >> 11 & 2047, word & 2047
            if (x >= width) | (y >= height) | (t < floor):
                if not triggers:
                    code = OUTSIDE if x >= width or y >= height else BACK
                    break
            else:
                put(out, count, t, x, y, kind)
                count += 1
                floor = t if ordered else floor
        elif kind == 8:
            high = higher(high, word & _RANGE - 1)
            base = high << 6
        elif kind == 10:
            if triggers and high >= 0:
                put(out, count, base | word >> 22 & 63, word >> 8 & 31, 0, word & 1)
                count += 1
        elif kind < 2:
            state[DROPPED] += 1
        elif kind < 13:
            code = UNKNOWN
            break
        k += 1
    state[HIGH] = high
    state[LAST] = floor if ordered else state[LAST]
    return begin + 4 * k, count, code


@compiled
def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Find the next TIME_HIGH, at any byte, with sound words behind it; an event that is wrong alone is lost alone."""
    if code == OUTSIDE:
        while begin + 4 <= end:
            word = word32(data, begin)
            if word >> 28 > 1 or ((word >> 11 & 2047) < state[WIDTH] and (word & 2047) < state[HEIGHT]):
                break
            begin += 4
        return begin
    if code == BACK and state[HIGH] == state[LAST] >> 6:
        return begin
    for start in range(begin, end - 4 * _SOUND + 1):
        word = word32(data, start)
        if word >> 28 != 8 or (code == BACK and higher(state[HIGH], word & _RANGE - 1) < state[LAST] >> 6):
            continue
        sound = True
        for place in range(start + 4, start + 4 * _SOUND, 4):
            word = word32(data, place)
            kind = word >> 28
            if kind < 2:
                sound = (word >> 11 & 2047) < state[WIDTH] and (word & 2047) < state[HEIGHT]
            else:
                sound = kind == 8 or kind == 10 or kind > 12
            if not sound:
                break
        if sound:
            return start
    return end
