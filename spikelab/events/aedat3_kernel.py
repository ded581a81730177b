"""Kernel for AEDAT 3.1; see `words`. A packet is a header of 28 bytes and `capacity` events of `size` bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled
from spikelab.events.event_kernel import put
from spikelab.events.words import BACK, HEIGHT, LAST, OFFSET, ORDERED, OUTSIDE, OWN, SIZE, WIDTH

__all__ = ["CUT", "END", "HEAD", "OWN_NUMBERS", "PACKET", "SOURCE", "TIME", "next_packet", "packets", "resume"]

SOURCE: Final = OWN
"""Place in `state`: number of the source whose events are wanted, or -1 for any."""
OWN_NUMBERS: Final = 4
"""How many numbers of `state` are of this kernel."""
_LEFT = OWN + 1  # events left in the packet
_PASS = OWN + 2  # bytes to pass over
_EPOCH = OWN + 3  # what the wraps of the counter add [us]
HEAD: Final = 28
"""Bytes of the header of a packet."""
PACKET: Final = 3
"""Code: no header of a packet."""
CUT: Final = 4
"""Code: the file ends within a packet."""
TIME: Final = 5
"""Code: a negative time."""
END: Final = 6
"""Code: no header behind the packet, so that its size, or what lies in it, is wrong."""
_POLARITY = 1


@compiled
def _number(data: Any, place: int, size: int) -> Any:
    """A signed little-endian integer of 2 or 4 bytes. All numbers are int64, else Numba would make floats of sums."""
    low = np.int64(data[place]) | np.int64(data[place + 1]) << 8
    if size == 2:
        return (low ^ 0x8000) - 0x8000
    low |= np.int64(data[place + 2]) << 16 | np.int64(data[place + 3]) << 24
    return (low ^ 0x80000000) - 0x80000000


@compiled
def _is_head(data: Any, place: int) -> Any:
    """Whether this can be the header of a packet."""
    kind, source, size = _number(data, place, 2), _number(data, place + 2, 2), _number(data, place + 4, 4)
    offset, overflow = _number(data, place + 8, 4), _number(data, place + 12, 4)
    capacity, number, valid = (_number(data, place + 16, 4), _number(data, place + 20, 4), _number(data, place + 24, 4))
    if kind == _POLARITY and (size != 8 or offset != 4):
        return False
    return min(kind, source, overflow, offset) >= 0 and size > offset and capacity >= number >= valid >= 0


@compiled
def next_packet(data: Any, begin: int, end: int, left: int) -> int:
    """Find the next place that is the header of a packet for all one can tell, or `end`.

    Args:
        data: bytes of the file.
        begin: first place.
        end: end of the bytes.
        left: bytes of the file from data[0] on.
    """
    for place in range(begin, end - HEAD + 1):
        kind, size, capacity = _number(data, place, 2), _number(data, place + 4, 4), _number(data, place + 16, 4)
        usual = (kind <= 1 and size == 8) or (kind == 2 and size > 36) or (kind == 3 and size == 36)
        usual = usual or (kind == 4 and size == 48) or (4 < kind < 32 and size >= 8)
        fits = capacity > 0 and place + HEAD + capacity * size <= left
        if usual and fits and data[place + 3] == 0 and data[place + 14] == 0 and _is_head(data, place):
            return place
    return end


@compiled
def _all_sound(data: Any, begin: int, number: int, state: Any) -> bool:
    """Whether all events of a packet lie on the sensor and in order of time."""
    last = 0
    for k in range(number):
        address, low = _number(data, begin + 8 * k, 4), _number(data, begin + 8 * k + 4, 4)
        if address >> 17 & 0x7FFF >= state[WIDTH] or address >> 2 & 0x7FFF >= state[HEIGHT] or low < last:
            return False
        last = low
    return True


@compiled
def packets(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode packets of polarity events, and pass over the others."""
    width, height, ordered, last = state[WIDTH], state[HEIGHT], state[ORDERED] != 0, state[LAST]
    place, count, code, most = begin, 0, 0, len(out)
    whole = state[OFFSET] + end >= state[SIZE]  # no more bytes will come
    while code == 0 and count < most:
        if state[_LEFT] > 0:
            # One word for the address, one for the time, both little-endian.
            n = min(state[_LEFT], (end - place) // 8)
            words = data[place : place + 8 * n].view(np.uint32)
            epoch, done = state[_EPOCH], 0
            for k in range(n):
                if count == most:
                    break
                address, low = np.int64(words[2 * k]), np.int64(words[2 * k + 1])
                done += 1
                if address & 1 == 0:  # not valid: a filter has taken it out
                    continue
                x, y, t = address >> 17, address >> 2 & 0x7FFF, epoch + low
                if x >= width or y >= height:
                    code = OUTSIDE
                elif low >> 31:
                    code = TIME
                elif ordered and t < last:
                    code = BACK
                if code:
                    break
                put(out, count, t, x, y, address & 2 != 0)
                last = t
                count += 1
            state[_LEFT] -= done
            place += 8 * (done - 1 if code else done)
            if code == 0 and count < most and state[_LEFT] > 0:
                code = CUT if whole else 0
                break
        elif state[_PASS] > 0:
            step = min(state[_PASS], end - place)
            place, state[_PASS] = place + step, state[_PASS] - step
            if state[_PASS] > 0:
                break
        elif place + HEAD > end:
            break
        elif not _is_head(data, place):
            code = PACKET
        else:
            kind, source, size = _number(data, place, 2), _number(data, place + 2, 2), _number(data, place + 4, 4)
            capacity, number = _number(data, place + 16, 4), _number(data, place + 20, 4)
            wanted = kind == _POLARITY and (state[SOURCE] < 0 or source == state[SOURCE])
            stop = place + HEAD + capacity * size
            long = state[OFFSET] + stop > state[SIZE]
            if stop + HEAD > end and not whole and place > 0:
                break  # until its end and the next header are there, too
            lonely = wanted and stop + HEAD <= end and not _is_head(data, stop)
            if lonely and not _all_sound(data, place + HEAD, number, state):
                code = END
                break
            if long and not wanted:
                code = CUT
                break
            state[_LEFT] = number if wanted else 0
            state[_PASS] = (capacity - state[_LEFT]) * size
            state[_EPOCH] = _number(data, place + 12, 4) << 31
            place += HEAD
    state[LAST] = last
    return place, count, code


@compiled
def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Go on at the next packet."""
    state[_LEFT] = state[_PASS] = 0
    place = next_packet(data, begin, end, state[SIZE] - state[OFFSET])
    return place if place < end else max(begin, end - HEAD + 1)  # a header may have come in part
