"""Kernels of `integration`: the pixels that have events in a step are looked at, no others."""

from __future__ import annotations

from typing import Any

from spikelab.events.compiled import compiled

__all__ = ["integrated", "risen"]


@compiled
def integrated(
    events: Any, first: Any, edges: Any, threshold: int, row: int, total: Any, step: Any, active: Any, found: Any
) -> int:
    """Write an event for each pixel whose `total` is `threshold` or more (or less than minus it) at the end of a step.

    `step` holds the last step in which a pixel had events; `active` the pixels of the step.

    Returns:
        Number of events in `found`.
    """
    count = 0
    for k in range(len(first) - 1):
        pixels = 0
        for i in range(first[k], first[k + 1]):
            event = events[i]
            here = event.x + row * event.y
            if step[here] != k:
                step[here] = k
                active[pixels] = here
                pixels += 1
            total[here] += 2 * event.p - 1
        for j in range(pixels):
            here = active[j]
            if abs(total[here]) >= threshold:
                event = found[count]
                event.t = edges[k]
                event.x = here % row
                event.y = here // row
                event.p = total[here] > 0
                total[here] = 0
                count += 1
    return count


@compiled
def risen(
    events: Any, first: Any, edges: Any, row: int, plane: int, before: Any, now: Any, step: Any, found: Any
) -> int:
    """Write an event for each pixel and polarity at its first event in a step beyond the number of the step before.

    `step` holds the last step in which a cell had events, `now` how many, `before` how many in the step before that.

    Returns:
        Number of events in `found`.
    """
    count = 0
    for k in range(len(first) - 1):
        for i in range(first[k], first[k + 1]):
            event = events[i]
            here = event.x + row * event.y + plane * event.p
            if step[here] != k:
                before[here] = now[here] if step[here] == k - 1 else 0
                now[here] = 0
                step[here] = k
            now[here] += 1
            if now[here] == before[here] + 1:
                new = found[count]
                new.t = edges[k]
                new.x = event.x
                new.y = event.y
                new.p = event.p != 0
                count += 1
    return count
