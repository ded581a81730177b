"""Kernels of `surfaces`."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np

from spikelab.events.compiled import compiled

__all__ = ["averages", "decays"]


@compiled
def decays(events: Any, first: Any, edges: Any, tau: float, row: int, plane: int, state: Any, surfaces: Any) -> None:
    """Write exp(-(end of step - last event) / tau) for each step and cell.

    `state` holds the value of each cell at a time `anchor`, so that a step is one product per cell and rounds once;
    an event after the anchor has a value above 1 there. After 40 tau the anchor is moved. What is below 1e-20 then
    becomes 0, so that no product is too small to be a normal number, which would cost 100 times as much.
    """
    anchor = edges[0]
    for k in range(len(surfaces)):
        end, cells = edges[k + 1], surfaces[k]
        if float(end - anchor) > 40.0 * tau:
            factor = np.float32(exp(-float(end - anchor) / tau))
            for j in range(len(state)):
                value = state[j] if state[j] > np.float32(1e-20) else np.float32(0.0)
                value *= factor
                state[j] = value if value > np.float32(1e-20) else np.float32(0.0)
            anchor = end
        for i in range(first[k], first[k + 1]):
            event = events[i]
            state[event.x + row * event.y + plane * event.p] = np.float32(exp(float(event.t - anchor) / tau))
        factor = np.float32(exp(-float(end - anchor) / tau))
        for j in range(len(state)):
            cells[j] = state[j] * factor


@compiled
def averages(
    events: Any, order: Any, first: Any, radius: int, window: int, tau: float, linear: bool, surfaces: Any
) -> None:
    """Add to the surface of each group the events before each of its events, near it in time and space.

    Group g holds the events `order[first[g]:first[g + 1]]`, in order of time; its surface is `surfaces[g]`.
    """
    for g in range(len(surfaces)):
        surface = surfaces[g]
        for i in range(first[g], first[g + 1]):
            event = events[order[i]]
            for j in range(i - 1, first[g] - 1, -1):
                other = events[order[j]]
                age = event.t - other.t
                if age > window:
                    break
                dx, dy = np.int64(other.x) - np.int64(event.x), np.int64(other.y) - np.int64(event.y)
                if abs(dx) <= radius and abs(dy) <= radius:
                    value = 1.0 - age / (3.0 * tau) if linear else exp(-age / tau)
                    surface[dy + radius, dx + radius] += value
        number = first[g + 1] - first[g]
        if number:
            surface[radius, radius] += number
            for y in range(2 * radius + 1):
                for x in range(2 * radius + 1):
                    surface[y, x] /= number
