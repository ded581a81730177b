"""How kernels write an event: as two whole numbers, which takes one store for x, y, p and the empty bytes between."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from spikelab.events.compiled import inlined

__all__ = ["as_rows", "put"]


def as_rows(events: NDArray[Any]) -> NDArray[Any]:
    """Events of dtype `EVENT` as int64 [n, 2] for `put`; the same memory."""
    return events.view("<i8").reshape(-1, 2)


@inlined
def put(rows: Any, k: int, t: int, x: int, y: int, p: bool) -> None:
    """Write event k; the empty bytes become 0."""
    rows[k, 0] = t
    rows[k, 1] = x | y << 16 | p << 32
