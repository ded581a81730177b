"""Kernels that turn events into the bytes or words of a file. Events are as `transform.records` gives them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled, inlined

__all__ = ["es_bytes", "evt2_words", "evt3_words", "evt21_words", "nmnist_bytes"]

_HIGH: Final = 0  # places in `state` of the words of Prophesee: the last TIME_HIGH with all wraps of it, -1 at first
_TIME: Final = 1  # time of the last event [us], -1 at first
_ROW: Final = 2


@inlined
def _time_high(t: Any, low: int, bits: int, top: Any, shift: int, state: Any, out: Any, count: int) -> int:
    """Write the part of a time above its `low` bits, where it is new: `bits` bits of it at `shift`, beside `top`.

    A wrap is spelled as the largest TIME_HIGH and 0, so that a pause of any length is seen.

    Returns:
        Number of words in `out`.
    """
    high, before, mask = t >> low, state[_HIGH], (np.int64(1) << bits) - 1
    if high != before:
        for _ in range((high >> bits) - (max(before, 0) >> bits)):
            out[count] = top | mask << shift
            out[count + 1] = top
            count += 2
        out[count] = top | (high & mask) << shift
        count += 1
        state[_HIGH] = high
    return count


@compiled
def evt2_words(events: Any, state: Any, out: Any) -> int:
    """Words of EVT2; returns their number."""
    count = 0
    for i in range(len(events)):
        event = events[i]
        count = _time_high(event.t, 6, 28, np.int64(8 << 28), 0, state, out, count)
        out[count] = np.int64(event.p) << 28 | (event.t & 63) << 22 | np.int64(event.x) << 11 | np.int64(event.y)
        count += 1
    return count


@compiled
def evt21_words(events: Any, state: Any, out: Any) -> int:
    """Words of EVT2.1, each with as many events as follow each other in time, row, polarity and 32 columns."""
    count, group, column = 0, np.int64(-1), np.int64(0)
    for i in range(len(events)):
        event = events[i]
        x = np.int64(event.x)
        what = np.int64(event.p) << 60 | (event.t & 63) << 54 | (x & ~31) << 43 | np.int64(event.y) << 32
        if what == group and x > column and event.t >> 6 == state[_HIGH]:
            out[count - 1] |= np.uint64(1) << np.uint64(x & 31)
        else:
            count = _time_high(event.t, 6, 28, np.int64(-1) << 63, 32, state, out, count)
            out[count] = what | np.int64(1) << (x & 31)
            count += 1
        group, column = what, x
    return count


@compiled
def evt3_words(events: Any, state: Any, out: Any) -> int:
    """Words of EVT3, one per event and one where time or row changes; returns their number."""
    count = 0
    for i in range(len(events)):
        event = events[i]
        count = _time_high(event.t, 12, 12, np.int64(8 << 12), 0, state, out, count)
        if event.t != state[_TIME]:
            out[count] = 6 << 12 | event.t & 4095
            state[_TIME] = event.t
            count += 1
        if event.y != state[_ROW]:
            out[count] = event.y
            state[_ROW] = event.y
            count += 1
        out[count] = 2 << 12 | np.int64(event.p) << 11 | np.int64(event.x)
        count += 1
    return count


@compiled
def es_bytes(events: Any, before: int, out: Any) -> int:
    """Bytes of Event Stream, type dvs, behind an event at `before` [us]; returns their number."""
    count = 0
    for i in range(len(events)):
        event = events[i]
        step = event.t - before
        while step >= 127:
            out[count] = 0xFF
            step -= 127
            count += 1
        out[count] = step << 1 | np.int64(event.p)
        out[count + 1], out[count + 2] = event.x & 0xFF, event.x >> 8
        out[count + 3], out[count + 4] = event.y & 0xFF, event.y >> 8
        before = event.t
        count += 5
    return count


@compiled
def nmnist_bytes(events: Any, out: Any) -> int:
    """Bytes of an N-MNIST .bin file, with as many overflow records as the times need; returns their number."""
    count, passed = 0, np.int64(0)
    for i in range(len(events)):
        event = events[i]
        while event.t - passed >= 1 << 23:
            out[count : count + 5] = 0
            out[count + 1] = 240
            passed += 1 << 13
            count += 5
        low = event.t - passed
        out[count], out[count + 1] = event.x, event.y
        out[count + 2] = np.int64(event.p) << 7 | low >> 16
        out[count + 3], out[count + 4] = low >> 8 & 0xFF, low & 0xFF
        count += 5
    return count
