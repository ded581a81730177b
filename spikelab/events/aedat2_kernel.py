"""Kernel for AEDAT 1 and 2; see `words`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled, inlined
from spikelab.events.event_kernel import put
from spikelab.events.words import BACK, HEIGHT, LAST, OFFSET, ORDERED, OUTSIDE, OWN, SIZE, WIDTH
from spikelab.events.wrap_kernel import RANGE, unwrapped

__all__ = [
    "ADDRESS",
    "CAREFUL",
    "DAVIS",
    "DVS128",
    "DVS128_SHORT",
    "EDGE",
    "IS_DAVIS",
    "JUMP",
    "OWN_NUMBERS",
    "RECORD",
    "TRIGGERS",
    "resume",
]

RECORD: Final = OWN
"""Place in `state`: bytes of a record, 6 or 8."""
IS_DAVIS: Final = OWN + 1
"""Place in `state`: 1 for addresses of a DAVIS, 0 for those of a DVS128."""
EDGE: Final = OWN + 2
"""Place in `state`: largest x of the sensor, from which the address counts down."""
TRIGGERS: Final = OWN + 3
"""Place in `state`: 1 to give the external inputs instead of the events."""
CAREFUL: Final = OWN + 4
"""Place in `state`: 1 to doubt an event after a gap of more than 1 s when the record behind it does not fit."""
OWN_NUMBERS: Final = 7
"""How many numbers of `state` are of this kernel."""
_EPOCH = OWN + 5  # what wraps of the counter have added [us]
_SEEN = OWN + 6  # time of the last event or external input [us]
ADDRESS: Final = 3
"""Code: an address of more than 16 bits in a file of a DVS128."""
JUMP: Final = 4
"""Code: a time far ahead, and a record behind it that does not fit."""
_HALF = RANGE // 2
_GAP = 1_000_000
_REACH = 1 << 28


@inlined
def _word(data: Any, place: int) -> Any:
    """Four bytes, big-endian. All numbers are int64: Numba would turn a sum of int64 and uint64 into a float."""
    high = np.int64(data[place]) << 24 | np.int64(data[place + 1]) << 16
    return high | np.int64(data[place + 2]) << 8 | np.int64(data[place + 3])


@inlined
def _address(data: Any, place: int, record: int) -> Any:
    if record == 6:
        return np.int64(data[place]) << 8 | np.int64(data[place + 1])
    return _word(data, place)


@inlined
def _swapped(word: Any) -> Any:
    """A big-endian word that was read as a little-endian one."""
    return np.int64((word & 0xFF) << 24 | (word & 0xFF00) << 8 | (word >> 8) & 0xFF00 | word >> 24)


def _compiled(davis: bool, record: int) -> Any:
    """The kernel for one layout of addresses and one size of records: constants, so that the loop holds no choice."""

    @compiled
    def records(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
        """Decode records of a big-endian address and a big-endian time."""
        edge, triggers = state[EDGE], state[TRIGGERS] != 0
        width, height, ordered = state[WIDTH], state[HEIGHT], state[ORDERED] != 0
        careful = state[CAREFUL] != 0 and ordered
        epoch, seen, last = state[_EPOCH], state[_SEEN], state[LAST]
        place, count, code, most = begin, 0, 0, len(out)
        # Whole words at once where a record has two; the machine is little-endian.
        words = data[begin : begin + (end - begin) // 8 * 8].view(np.uint32)
        k = -2
        while place + record <= end and count < most:
            k += 2
            if record == 8:
                address, low = _swapped(words[k]), _swapped(words[k + 1])
            else:
                address, low = _address(data, place, record), _word(data, place + record - 4)
            if davis:
                if address >> 31:  # a sample of a frame or of the IMU
                    place += record
                    continue
                special = address >> 10 & 3 == 1
                x, y, p = edge - (address >> 12 & 0x3FF), address >> 22, address >> 11 & 1
            else:
                if address >> 16:
                    code = ADDRESS
                    break
                special = address >> 15 == 1
                x, y, p = edge - (address >> 1 & 0x7F), address >> 8 & 0x7F, 1 - (address & 1)
            t = epoch + low
            jumps = t < seen - _HALF or t > seen + _HALF
            if jumps:
                t = unwrapped(low, epoch, seen)
            if special == triggers:
                if special:
                    x, y, p = 0, 0, 1
                if x < 0 or x >= width or y >= height:
                    code = OUTSIDE
                    break
                if ordered and t < last:
                    code = BACK
                    break
                if careful and seen > 0 and t - _GAP > last:
                    if place + 2 * record <= end:
                        address = _address(data, place + record, record)
                        foreign = address >> 31 == 0 and address & 0x3FF != 0 if davis else address >> 16 != 0
                        behind = low - _word(data, place + 2 * record - 4)
                        if foreign or 0 < behind <= _HALF:  # more would be a wrap
                            code = JUMP
                            break
                    elif state[OFFSET] + end < state[SIZE]:
                        break  # what may speak against this time comes with the next piece
                put(out, count, t, x, y, p != 0)
                count += 1
                last = t
            # What looks like an external input at a strange time may be anything.
            if special == triggers or not ordered or t < seen + _REACH:
                epoch += RANGE if jumps and t >= epoch + RANGE else 0
                seen = t
            place += record
        state[_EPOCH], state[_SEEN], state[LAST] = epoch, seen, last
        return place, count, code

    return records


DVS128_SHORT: Final = _compiled(davis=False, record=6)
"""Kernel for AEDAT 1."""
DVS128: Final = _compiled(davis=False, record=8)
"""Kernel for AEDAT 2 of a DVS128."""
DAVIS: Final = _compiled(davis=True, record=8)
"""Kernel for AEDAT 2 of a DAVIS."""


@compiled
def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Find the first place where the next four records (or those that are left) are sound and in order of time.

    They lie at most 268 s behind the last one.

    Bytes may be missing or too many, so that any byte may be the first of a record.
    """
    record = state[RECORD]
    for start in range(begin, end - record + 1):
        place, previous, sound = start, state[LAST] if state[ORDERED] else -1, True
        for _ in range(4):
            if place + record > end:
                break
            address = _address(data, place, record)
            t = unwrapped(_word(data, place + record - 4), state[_EPOCH], state[_SEEN])
            if state[IS_DAVIS]:
                if address >> 31 == 0:
                    x, y = state[EDGE] - (address >> 12 & 0x3FF), address >> 22
                    sound = address & 0x3FF == 0 and 0 <= x < state[WIDTH] and y < state[HEIGHT]
                elif address >> 10 & 3 != 3:  # no sample of the IMU, so one of a frame
                    sound = address >> 12 & 0x3FF <= state[EDGE] and address >> 22 & 0x1FF < state[HEIGHT]
            else:
                x, y = state[EDGE] - (address >> 1 & 0x7F), address >> 8 & 0x7F
                sound = address >> 16 == 0 and x < state[WIDTH] and y < state[HEIGHT]
            far = state[_SEEN] > 0 and t > state[_SEEN] + _REACH
            if not sound or far or (state[ORDERED] and t < previous):
                sound = False
                break
            previous = t
            place += record
        if sound:
            return start
    return end
