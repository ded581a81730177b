"""Kernels for EVT2.1, one for each order of the halves of a word; see `words`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled
from spikelab.events.event_kernel import put
from spikelab.events.evt2_kernel import higher
from spikelab.events.prophesee import DROPPED, HIGH, TRIGGERS, UNKNOWN
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, WIDTH

__all__ = ["LITTLE", "SWAPPED"]

_RANGE = 1 << 28
_SOUND = 12  # words that must be sound behind the place where decoding goes on


def _compiled(upper: int) -> tuple[Any, Any]:
    """Decoder and `resume` for words whose half with the type is the first (0) or the second (1) in the file."""

    @compiled
    def words(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
        """Decode words of 8 bytes."""
        triggers, width, height, ordered = state[TRIGGERS] != 0, state[WIDTH], state[HEIGHT], state[ORDERED] != 0
        high, last = state[HIGH], state[LAST]
        halves = data[begin : begin + (end - begin) // 8 * 8].view(np.uint32)
        count, code, most, k = 0, 0, len(out) - 31, 0
        while 2 * k < len(halves) and count < most:
            word, bits = np.int64(halves[2 * k + upper]), np.int64(halves[2 * k + 1 - upper])
            kind = word >> 28
            if kind < 2:
                if high < 0:
                    while bits:
                        state[DROPPED] += 1
                        bits &= bits - 1
                elif bits and not triggers:
                    t, x, y = high << 6 | word >> 22 & 63, word >> 11 & 2047, word & 2047
                    if y >= height or x >= width or (x + 32 > width and bits >> (width - x)):
                        code = OUTSIDE
                        break
                    if t < last and ordered:
                        code = BACK
                        break
                    last = t
                    while bits:
                        if not bits & 0xFFFF:
                            bits >>= 16
                            x += 16
                        if not bits & 0xFF:
                            bits >>= 8
                            x += 8
                        if not bits & 0xF:
                            bits >>= 4
                            x += 4
                        if bits & 1:
                            put(out, count, t, x, y, kind == 1)
                            count += 1
                        bits >>= 1
                        x += 1
            elif kind == 8:
                high = higher(high, word & _RANGE - 1)
            elif kind == 10:
                if triggers and high >= 0:
                    put(out, count, high << 6 | word >> 22 & 63, word >> 8 & 31, 0, word & 1 == 1)
                    count += 1
            elif kind < 14:
                code = UNKNOWN
                break
            k += 1
        state[HIGH], state[LAST] = high, last
        return begin + 8 * k, count, code

    @compiled
    def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
        """Find the next TIME_HIGH, at any byte, with sound words behind it; a wrong word alone is lost alone."""
        if code == OUTSIDE or (code == BACK and state[HIGH] == state[LAST] >> 6):
            return begin
        for start in range(begin, end - 8 * _SOUND + 1):
            if data[start + 4 * upper + 3] >> 4 != 8:
                continue
            halves = data[start : start + 8 * _SOUND].view(np.uint32)
            if code == BACK and higher(state[HIGH], np.int64(halves[upper]) & _RANGE - 1) < state[LAST] >> 6:
                continue
            sound: Any = True
            for k in range(1, _SOUND):
                word = np.int64(halves[2 * k + upper])
                kind = word >> 28
                if kind < 2:
                    sound = (word >> 11 & 2047) < state[WIDTH] and (word & 2047) < state[HEIGHT]
                else:
                    sound = kind == 8 or kind == 10 or kind > 13
                if not sound:
                    break
            if sound:
                return start
        return end

    return words, resume


LITTLE: Final = _compiled(upper=1)
"""For files whose words are little-endian."""
SWAPPED: Final = _compiled(upper=0)
"""For older files."""
