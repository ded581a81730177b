"""Weights that stand in a file times a factor, and get their exact float32 value back.

`file = float32(w * k)`, `w = float32(file / k)` gives the weight or its neighbour. How many float32
steps it is off (-1, 0 or 1 for k >= 1) goes beside it as int8, which compresses to nothing. If somebody
edits the weights in the file, the old step moves the new weight by its last bit only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["restore", "scale", "steps"]

Array = NDArray[Any]


def _ordered(w: Array) -> Any:
    """float32 as int64 so that neighbours differ by one; -0.0 lies one below 0.0."""
    bits = np.ascontiguousarray(w, np.float32).view(np.int32).astype(np.int64)
    n: Array = np.where(bits < 0, -(bits & 0x7FFFFFFF) - 1, bits)
    return n


def _unordered(n: Array) -> Any:
    bits: Array = np.where(n < 0, (-(n + 1)) | 0x80000000, n)
    return bits.astype(np.uint32).view(np.float32)


def scale(w: Array, k: Any) -> Array:
    """[...] float32 of w times k, which broadcasts to w."""
    with np.errstate(over="ignore"):
        return np.asarray(w.astype(np.float64) * k, np.float32)


def _divided(file: Array, k: Any) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(file.astype(np.float64) / k, np.float32)


def steps(w: Array, k: Any) -> NDArray[np.int8] | None:
    """[...] float32 steps from what dividing gives to `w`; None where all are 0.

    Raises:
        OverflowError: the factor moves a weight by more than 127 steps (it leaves the normal range).
    """
    off = _ordered(w) - _ordered(_divided(scale(w, k), k))
    if np.abs(off).max(initial=0) > 127:
        raise OverflowError("the factor takes weights out of the range of float32")
    return off.astype(np.int8) if off.any() else None


def restore(file: Array, k: Any, off: Array | None) -> Array:
    """[...] float32 weights from those in the file.

    Args:
        file: [...] float32 weights in the file.
        k: factor that broadcasts to them.
        off: [...] float32 steps, or None.

    Example:
        >>> w = np.float32([0.1, -0.3, 7.0])
        >>> np.array_equal(restore(scale(w, 19.7), 19.7, steps(w, 19.7)), w)
        True
    """
    w = _divided(file, k)
    return w if off is None else _unordered(_ordered(w) + off)
