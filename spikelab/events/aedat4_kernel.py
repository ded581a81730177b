"""Kernel for AEDAT 4: the events of a packet lie there as they are kept, so they are only looked at."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from spikelab.events.words import HEIGHT, LAST, ORDERED, WIDTH

__all__ = ["RAW", "run_end"]

RAW: Final = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": [np.int64, np.uint16, np.uint16, np.uint8],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
"""An event as it lies in the file: its polarity may be any byte."""


@njit(cache=True, nogil=True)
def run_end(events: Any, begin: int, state: Any, sound: bool) -> int:
    """Find the end of a run of sound, or of unsound, events.

    Args:
        events: [E] `RAW`.
        begin: first event of the run.
        state: as in `words`; `LAST` becomes the time of the last sound event of the run [us].
        sound: whether to pass over the sound ones.

    Returns:
        The first event that is not so, or E.
    """
    width, height, last, ordered = state[WIDTH], state[HEIGHT], state[LAST], state[ORDERED] != 0
    for k in range(begin, len(events)):
        event = events[k]
        good = event.x < width and event.y < height and event.p < 2 and not (ordered and event.t < last)
        if good != sound:
            state[LAST] = last
            return k
        if sound:
            last = event.t
    state[LAST] = last
    return len(events)
