"""Memory for dense results, frames, voxel grids and surfaces, before events are counted into it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab.memory import take

__all__ = ["blank", "unwritten"]

_LINE = 64
"""[B] what a cache loads at once."""


def unwritten(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Array with undefined values."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return take(size, huge=True).lend(size).view(dtype).reshape(shape)


def blank(shape: tuple[int, ...], dtype: DTypeLike, events: int) -> tuple[NDArray[Any], bool]:
    """Array of zeros, unless its kernel has still to clear it, row by row: whether it has.

    A row that is cleared just before events are counted into it is then in the cache. Where there is less than an event
    for two lines of the cache, it is faster to clear all rows at once, past the cache.

    Args:
        shape: of the result.
        dtype: of its numbers.
        events: how many are counted.

    Example:
        >>> blank((2, 3), np.int16, events=0)
        (array([[0, 0, 0],
               [0, 0, 0]], dtype=int16), False)
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory, dense = take(size, huge=True), 2 * _LINE * events > size
    if not dense:
        memory.clear(size)
    return memory.lend(size).view(dtype).reshape(shape), dense
