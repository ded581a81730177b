"""Frames as coordinates of the cells that hold events."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events, whole_us
from spikelab.events.transform.bins import Late, cell_shape, locate, step_bounds, steps_from
from spikelab.units import Quantity

__all__ = ["SparseBins", "sparse_bins"]


class SparseBins(NamedTuple):
    """Counts that are not zero.

    Args:
        coordinates: [D, K] int64, a column for each cell, sorted: step, polarity, y, x (step, channel for one axis).
        counts: [K] int64 number of events there.
        shape: (T, 2, H, W) or (T, N) of the dense array.
    """

    coordinates: NDArray[np.int64]
    counts: NDArray[np.int64]
    shape: tuple[int, ...]

    def dense(self, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """[T, *cells] the array that `bin_events` makes."""
        array = np.zeros(self.shape, dtype)
        array[tuple(self.coordinates)] = self.counts
        return array


def sparse_bins(
    events: Events, dt: Quantity, steps: int | None = None, *, start_us: int = 0, late: Late = "error"
) -> SparseBins:
    """Count events per pixel and time step, as `bin_events`, and keep the cells that have some.

    Coordinates are laid out as `torch.sparse_coo_tensor(coordinates, counts, shape)` takes them.

    Args:
        events: E events.
        dt: [s] length of a step, or a string with a unit.
        steps: number of steps T; None takes as many as the recording needs.
        start_us: [us] start of step 0.
        late: `"error"` refuses events after the last step, `"drop"` leaves them out; `count_late` says how many.

    Raises:
        ShapeError: as `bin_events`.
        UnitError: dt is not a duration above zero.

    Example:
        >>> three = Events.from_columns(t=[0, 1500, 1600], x=[3, 4, 4], shape=(6,))
        >>> coordinates, counts, shape = sparse_bins(three, dt="1 ms")
        >>> coordinates.tolist(), counts.tolist(), shape
        ([[0, 1], [3, 4]], [1, 2], (2, 6))
    """
    must_be_events(events, "sparse_bins")
    start_us = whole_us(start_us, "sparse_bins: start_us")
    if steps is None:
        steps = steps_from(events, dt, start_us, "sparse_bins")
        if not steps:
            raise ShapeError("sparse_bins: found no events and steps=None; expected a length; pass steps")
    step_bounds(events, dt, steps, start_us, late, "sparse_bins", 0)
    step, cell, _ = locate(events, dt, steps, start_us, "sparse_bins", 0)
    cells = cell_shape(events.shape)
    key, counts = np.unique(step * int(np.prod(cells)) + cell, return_counts=True)
    shape = (int(steps), *cells)
    return SparseBins(np.stack(np.unravel_index(key, shape)).astype(np.int64), counts.astype(np.int64), shape)
