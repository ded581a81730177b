"""Kernel of `voxels`.

Events are taken in blocks that stay in the first cache, and a block in short loops of which the compiler makes vectors:
one loop for all takes twice as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelab.events.compiled import compiled

__all__ = ["interpolate"]

_BLOCK = 512


@compiled
def _first(events: Any, start: int, scale: float, span: float, place: float) -> int:
    """First event at or behind a place."""
    low, high = 0, len(events)
    while low < high:
        middle = (low + high) // 2
        if scale * float(events[middle].t - start) / span < place:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def interpolate(
    events: Any, start: int, scale: float, span: float, row: int, signs: Any, grid: Any, clear: bool
) -> None:
    """Share each event between the bin before it and the bin behind it; `signs` are those of OFF and ON.

    The last bin comes first, so that each bin takes the events that lie behind it before those that lie before it: in
    this order sums are rounded as if all the first shares were added before all the second ones. `clear` sets each bin
    to 0 just before, when it then is in the cache.
    """
    at, sign, near, far = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    stop = _first(events, start, scale, span, float(len(grid)))
    for k in range(len(grid) - 1, -1, -1):
        if clear:
            grid[k] = 0.0
        first = _first(events, start, scale, span, float(k))
        for begin in range(first, stop, _BLOCK):
            count = min(_BLOCK, stop - begin)
            for j in range(count):
                event = events[begin + j]
                at[j] = event.x + np.uint64(row) * event.y
                far[j] = float(event.t - start)
                sign[j] = signs[event.p]
            for j in range(count):
                place = scale * far[j] / span - k
                near[j] = (1.0 - place) * sign[j]
                far[j] = place * sign[j]
            for number, share in ((k, near), (k + 1, far)):
                if number < len(grid):
                    cells = grid[number]
                    for j in range(count):
                        cells[at[j]] += share[j]
        stop = first
