"""Kernels that go through a recording once and keep something of each pixel: `activity`, `resolution`."""

from __future__ import annotations

from typing import Any

from spikelab.events.compiled import compiled

__all__ = ["decimated", "rested", "supported"]


@compiled
def supported(events: Any, window: int, row: int, last: Any, mask: Any) -> None:
    """Mark events that one of the four pixels beside theirs supports.

    `last` holds the time of the last event of each pixel, in rows of `row` with one pixel more on each side.
    """
    for i in range(len(events)):
        event = events[i]
        here = event.x + 1 + row * (event.y + 1)
        since = event.t - window
        last[here] = event.t
        mask[i] = (
            (last[here - 1] > since)
            | (last[here + 1] > since)
            | (last[here - row] > since)
            | (last[here + row] > since)
        )


@compiled
def rested(events: Any, period: int, row: int, extend: bool, last: Any, mask: Any) -> None:
    """Mark events that come more than `period` after the event before of their pixel (kept or, with `extend`, any)."""
    for i in range(len(events)):
        event = events[i]
        here = event.x + row * event.y
        free = event.t - last[here] > period
        mask[i] = free
        if free or extend:
            last[here] = event.t


@compiled
def decimated(events: Any, n: int, row: int, seen: Any, mask: Any) -> None:
    """Mark every n-th event of each pixel."""
    for i in range(len(events)):
        event = events[i]
        here = event.x + row * event.y
        seen[here] += 1
        if seen[here] == n:
            seen[here] = 0
            mask[i] = True
