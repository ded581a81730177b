"""Kernel of `bins`: events are taken in blocks, the cells of a block in one loop, its counts in the next.

One loop for both waits for each cell before it looks for the next one, and takes half as long again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.events.compiled import compiled

__all__ = ["count"]

_BLOCK = 512


@compiled
def count(
    events: Any, first: Any, stop: Any, row: int, plane: int, counts: Any, one: Any, most: Any, clear: bool
) -> bool:
    """Add `one` to the cell of each event: slice k, from `first[k]` to `stop[k]`, is counted in `counts[k]`.

    `clear` sets each frame to 0 just before, when it then is in the cache.

    Returns:
        Whether no count was `most` already, the largest number up to which its type counts.
    """
    at, top = np.empty(_BLOCK, np.uint64), most - most
    for k in range(len(first)):
        cells = counts[k]
        if clear:
            cells[:] = 0
        for begin in range(first[k], stop[k], _BLOCK):
            block = min(_BLOCK, stop[k] - begin)
            for j in range(block):
                event = events[begin + j]
                at[j] = event.x + np.uint64(row) * event.y + np.uint64(plane) * event.p
            for j in range(block):
                before = cells[at[j]]
                cells[at[j]] = before + one
                top = max(top, before)
    return bool(top < most)
