"""Kernel for AEDAT 4: the events of a packet lie there as they are kept, so they are only looked at."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from spikelab.events.compiled import compiled
from spikelab.events.words import HEIGHT, LAST, ORDERED, WIDTH

__all__ = ["RAW", "sound"]

RAW: Final = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": [np.int64, np.uint16, np.uint16, np.uint8],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
"""An event as it lies in the file: its polarity may be any byte."""


@compiled
def sound(events: Any, state: Any) -> int:
    """Count the events before the first one that is not sound.

    Args:
        events: [E] `RAW`.
        state: as in `words`; `LAST` becomes the time of the last sound event [us].
    """
    width, height, last, ordered = state[WIDTH], state[HEIGHT], state[LAST], state[ORDERED] != 0
    for k in range(len(events)):
        event = events[k]
        if event.x >= width or event.y >= height or event.p > 1 or (ordered and event.t < last):
            state[LAST] = last
            return k
        last = event.t
    state[LAST] = last
    return len(events)
