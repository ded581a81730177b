"""Kernel for text: exact, so that a time in seconds becomes the nearest microsecond of what is written; see `words`."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.events.compiled import compiled
from spikelab.events.event_kernel import put
from spikelab.events.words import BACK, HEIGHT, LAST, ORDERED, OUTSIDE, OWN, WIDTH

__all__ = ["LINE", "OWN_STATE", "events", "resume"]

LINE = 256
"""Most bytes of a line."""
OWN_STATE = 5
"""Numbers in `state` of this kernel: places of t, x, y, p in a line, and the power of ten that makes us of a time."""
_POWER = OWN + 4
_FULL = (2**63 - 10) // 10  # a mantissa above takes no further digit
_TENS = 10 ** np.arange(19)
_HALF = 5 * 10**18  # of 10**19
_LATEST = 1 << 62


@compiled
def _number(data: Any, place: int, end: int) -> tuple[int, int, int, bool, bool]:
    """Read a decimal number: place behind it, mantissa, power of ten, whether digits were cut, whether it is one."""
    negative = False
    if place < end and (data[place] == 45 or data[place] == 43):
        negative = data[place] == 45
        place += 1
    mantissa, power, digits = 0, 0, 0
    cut = point = False
    while place < end:
        digit = int(data[place]) - 48
        if 0 <= digit <= 9:
            if mantissa <= _FULL:
                mantissa = mantissa * 10 + digit
                power -= point
            else:
                cut = cut or digit != 0
                power += not point
            digits += 1
        elif data[place] == 46 and not point:
            point = True
        else:
            break
        place += 1
    sound = digits > 0
    if place < end and (data[place] | 32) == 101:  # e or E
        place += 1
        below = False
        if place < end and (data[place] == 45 or data[place] == 43):
            below = data[place] == 45
            place += 1
        exponent, seen = 0, False
        while place < end and 48 <= data[place] <= 57:
            exponent = min(exponent * 10 + int(data[place]) - 48, 1000)
            seen = True
            place += 1
        sound = sound and seen
        power += -exponent if below else exponent
    return place, -mantissa if negative else mantissa, power, cut, sound


@compiled
def _between(byte: int) -> bool:
    """Whether a byte ends a number: space, tab, comma or the end of a line."""
    return byte == 32 or byte == 10 or byte == 9 or byte == 44 or byte == 13


@compiled
def _rounded(mantissa: int, power: int, cut: bool) -> tuple[int, bool]:
    """Nearest whole number (half to even), and whether it was whole; `_LATEST` where it is too large."""
    size = abs(mantissa)
    if power >= 0:
        while power > 0 and 0 < size < _LATEST:
            if size > _LATEST // 10:
                return _LATEST, False
            size *= 10
            power -= 1
        return (size if mantissa >= 0 else -size), not cut
    if power < -18:
        up = power == -19 and (size > _HALF or (size == _HALF and cut))
        return (1 if mantissa > 0 else -1) if up else 0, size == 0 and not cut
    unit = _TENS[-power]
    whole = size // unit
    rest = size - whole * unit
    if 2 * rest > unit or (2 * rest == unit and (cut or whole & 1 == 1)):
        whole += 1
    return (whole if mantissa >= 0 else -whole), rest == 0 and not cut


@compiled
def events(data: Any, begin: int, end: int, state: Any, out: Any) -> tuple[int, int, int]:
    """Decode lines of four numbers; empty lines and those that begin with # or % are passed over."""
    place, count, last, code = begin, 0, state[LAST], 0
    at_t, at_x, at_y = state[OWN], state[OWN + 1], state[OWN + 2]
    while place < end and count < len(out):
        here, column, t, x, y, p = place, 0, 0, 0, 0, 0
        comment, sound, late, odd, whole = False, True, False, False, False
        while here < end:
            byte = data[here]
            if byte == 10:
                whole = True
                break
            if comment or _between(byte):
                here += 1
            elif column == 0 and (byte == 35 or byte == 37):
                comment = True
            else:
                start = here
                here, mantissa, power, cut, good = _number(data, here, end)
                if not good or column > 3 or here - start > LINE:
                    sound = False
                    break
                if column == at_t:
                    t, exact = _rounded(mantissa, power + state[_POWER], cut)
                    late = abs(t) >= _LATEST
                else:
                    value, exact = mantissa, True
                    if power != 0 or cut:
                        value, exact = _rounded(mantissa, power, cut)
                    sound = sound and exact
                    if column == at_x:
                        x = value
                    elif column == at_y:
                        y = value
                    else:
                        p = value
                        odd = p < -1 or p > 1
                if here < end and not _between(data[here]):
                    sound = False
                    break
                column += 1
        if not whole:
            if here >= end and (comment or here - place <= LINE):
                break  # the rest of the line is still to come
            code = 3 if here - place <= LINE else 6
        elif column == 0:
            place = here + 1
            continue
        elif not sound or column != 4:
            code = 3
        elif late:
            code = 4
        elif odd:
            code = 5
        elif x < 0 or y < 0 or x >= state[WIDTH] or y >= state[HEIGHT]:
            code = OUTSIDE
        elif t < last and state[ORDERED]:
            code = BACK
        if code:
            break
        put(out, count, t, x, y, p > 0)
        last = t
        count += 1
        place = here + 1
    state[LAST] = last
    return place, count, code


@compiled
def _end_of_line(data: Any, begin: int, end: int) -> int:
    while begin < end and data[begin] != 10:
        begin += 1
    return begin


def resume(data: Any, begin: int, end: int, state: Any, code: int) -> int:
    """Go on with the next line."""
    return int(_end_of_line(data, begin, end))
