"""Kernel for EVT3; see `words`."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.events.compiled import compiled, inlined
from spikelab.events.event_kernel import put
from spikelab.events.prophesee import DROPPED, HIGH, TRIGGERS, UNKNOWN
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, WIDTH

__all__ = ["resume", "words"]

# Own places in `state`. Row and column are stored plus 1, so that 0 means that no word has said them.
_LOW = DROPPED + 1
_ROW = DROPPED + 2
_BASE = DROPPED + 3  # column plus 1, and polarity in bit 20
_ON = 1 << 20
_MOST = _ON - 100
_FIRST, _END = -(1 << 63), (1 << 63) - 1
_KNOWN = np.array([1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1], np.bool_)
_SOUND = 32  # words that must be sound behind the place where decoding goes on


@inlined
def _higher(high: Any, new: Any) -> Any:
    if high < 0:
        return new
    if (high & 4095) - new >= 2048:
        high += 4096
    return high & ~4095 | new


@compiled
def words(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode words of 2 bytes.

    Rows, low times and events follow each other in no order that a processor could guess: for these the only branch is
    whether there is an event.
    """
    triggers, width, height, ordered = state[TRIGGERS] != 0, state[WIDTH], state[HEIGHT], state[ORDERED] != 0
    high, low, row = state[HIGH], state[_LOW], state[_ROW] - 1
    column: Any = (state[_BASE] & _ON - 1) - 1
    on: Any = state[_BASE] >= _ON
    floor: Any = state[LAST] if ordered else np.int64(_FIRST)
    if triggers:
        floor, ordered = np.int64(_END), False  # so that no event passes
    all_words = data[begin : begin + (end - begin) // 2 * 2].view(np.uint16)
    code, most, k = 0, len(out) - 11, 0
    count: Any = 0
    t = high << 12 | low
    while k < len(all_words) and count < most:
        word = np.int64(all_words[k])
        kind = word >> 12
        if kind == 0 and k + 1 < len(all_words) and all_words[k + 1] >> 12 == 2:  # a row and its event, most often
            row = word & 2047
            k += 1
            word, kind = np.int64(all_words[k]), kind + 2
        if 0b1000101 >> kind & 1:
            row = word & 2047 if kind == 0 else row
            low = word & 4095 if kind == 6 else low
            t = high << 12 | low
            if kind == 2:
                x = word & 2047
                if (x >= width) | (row >= height) | (row < 0) | (t < floor) | (high < 0):
                    if not triggers:
                        if high < 0 or row < 0:
                            state[DROPPED] += 1
                        else:
                            code = OUTSIDE if x >= width or row >= height else BACK
                            break
                else:
                    put(out, count, t, x, row, word & 2048 != 0)
                    count += 1
                    floor = t if ordered else floor
        elif kind == 8:
            new = _higher(high, word & 4095)
            if new != high:
                low = 0
            high = new
            t = high << 12 | low
        elif kind == 3:
            column, on = word & 2047, word & 2048 != 0
        elif kind == 4 or kind == 5:
            length = 12 if kind == 4 else 8
            bits = word & (1 << length) - 1
            x = column
            if column >= 0:
                column += length
            if bits and (high < 0 or row < 0 or x < 0):
                while bits:
                    state[DROPPED] += 1
                    bits &= bits - 1
            elif bits and not triggers:
                if row >= height or (column > width and bits >> max(width - x, 0)):
                    code = OUTSIDE
                    break
                if t < floor:
                    code = BACK
                    break
                while bits:
                    put(out, count, t, x, row, on)
                    count += bits & 1
                    bits >>= 1
                    x += 1
                floor = t if ordered else floor
        elif kind == 10:
            if triggers and high >= 0:
                put(out, count, t, word >> 8 & 15, 0, word & 1 == 1)
                count += 1
        elif not _KNOWN[kind]:
            code = UNKNOWN
            break
        k += 1
    state[HIGH], state[_LOW], state[_ROW] = high, low, row + 1
    state[LAST] = floor if ordered else state[LAST]
    state[_BASE] = min(column + 1, _MOST) | (_ON if on else 0)
    return begin + 2 * k, count, code


@compiled
def _word(data: Any, place: int) -> Any:
    return np.int64(data[place]) | np.int64(data[place + 1]) << 8


@compiled
def _passed(data: Any, place: int, end: int, state: Any, code: int) -> int:
    """Pass over the words for which a row is outside, or a time too early, up to one that may end that."""
    while place + 2 <= end and (code == BACK or state[_ROW] > state[HEIGHT]):
        word = _word(data, place)
        kind = word >> 12
        if kind == 3:
            state[_BASE] = (word & 2047) + 1 | (_ON if word & 2048 else 0)
        elif kind == 0 and code == BACK:
            state[_ROW] = (word & 2047) + 1
        elif kind == 4 or kind == 5:
            base = state[_BASE] & _ON - 1
            if base:
                state[_BASE] = state[_BASE] - base + min(base + (12 if kind == 4 else 8), _MOST)
        elif kind != 2 and kind != 7 and kind < 14:
            break
        place += 2
    return place


@compiled
def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Find the next TIME_HIGH, at any byte, with sound words behind it; an event that is wrong alone is lost alone.

    Behind such a TIME_HIGH, row and column are unknown until a word says them.
    """
    last = state[LAST] >> 12
    if code == OUTSIDE or (code == BACK and state[HIGH] == last):
        place: int = _passed(data, begin, end, state, code)
        return place
    for start in range(begin, end - 2 * _SOUND + 1):
        word = _word(data, start)
        if word >> 12 != 8 or (code == BACK and _higher(state[HIGH], word & 4095) < last):
            continue
        sound = True
        for k in range(1, _SOUND):
            word = _word(data, start + 2 * k)
            kind = word >> 12
            sound = _KNOWN[kind]
            if kind == 0:
                sound = (word & 2047) < state[HEIGHT]
            elif kind == 2:
                sound = (word & 2047) < state[WIDTH]
            if not sound:
                break
        if sound:
            state[_ROW] = state[_BASE] = 0
            return start
    return end
