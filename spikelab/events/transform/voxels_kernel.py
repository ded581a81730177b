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
def _add(
    events: Any, start: int, scale: float, span: float, row: int, signs: Any, k: int, at: Any, later: Any, cells: Any
) -> None:
    """Add the shares that events between bin k and the next have in bin k; note their cells and the other shares."""
    sign, share = np.empty(_BLOCK), np.empty(_BLOCK)
    for begin in range(0, len(events), _BLOCK):
        count = min(_BLOCK, len(events) - begin)
        cell, other = at[begin : begin + count], later[begin : begin + count]
        for j in range(count):
            event = events[begin + j]
            cell[j] = event.x + np.uint64(row) * event.y
            other[j] = float(event.t - start)
            sign[j] = signs[event.p]
        for j in range(count):
            place = scale * other[j] / span - k
            other[j] = place * sign[j]
            share[j] = (1.0 - place) * sign[j]
        for j in range(count):
            cells[cell[j]] += share[j]


@compiled
def interpolate(events: Any, start: int, scale: float, span: float, row: int, signs: Any, grid: Any) -> None:
    """Share each event between the bin before it and the bin behind it; `signs` are those of OFF and ON.

    A bin takes first the events that lie behind it, then those before it: in this order sums are rounded as if all
    the first shares were added before all the second ones, and one bin at a time stays in the cache.
    """
    first = np.empty(len(grid) + 1, np.int64)
    for k in range(len(first)):
        first[k] = _first(events, start, scale, span, float(k))
    most = max(np.max(first[1:] - first[:-1]), 1)
    at, later = np.empty((2, most), np.uint32), np.empty((2, most))
    before = 0
    for k in range(len(grid)):
        here = events[first[k] : first[k + 1]]
        _add(here, start, scale, span, row, signs, k, at[k % 2], later[k % 2], grid[k])
        cells, cell, share = grid[k], at[(k + 1) % 2], later[(k + 1) % 2]
        for j in range(before):
            cells[cell[j]] += share[j]
        before = len(here)
