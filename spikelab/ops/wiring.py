"""Ops that only move values: `Flatten`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.ops.op import Op, Shape, size
from spikelab.ops.scatter import CsrRows

__all__ = ["Flatten"]


@dataclass(frozen=True, eq=False)
class Flatten(Op):
    """Join the axes `start` to `end` (both included, counted without time and batch).

    Args:
        start: first axis; below zero counts from the end.
        end: last axis.

    Raises:
        ShapeError: an axis that is no whole number.

    Example:
        >>> Flatten().out_shape((2, 3, 4))
        (24,)
    """

    start: int = 0
    end: int = -1

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            axis = getattr(self, name)
            if not is_whole(axis):
                raise ShapeError(f"Flatten.{name}: found {axis!r}; expected an axis as a whole number; use Flatten()")
            object.__setattr__(self, name, int(axis))

    def out_shape(self, in_shape: Shape) -> Shape:
        """Shape with the axes joined."""
        n = len(in_shape)
        start, end = self.start % n if n else 0, self.end % n if n else 0
        if not n or not (-n <= self.start < n and -n <= self.end < n) or start > end:
            raise ShapeError(f"Flatten({self.start}, {self.end}) does not fit an input of {in_shape}; use Flatten()")
        return (*in_shape[:start], size(in_shape[start : end + 1]), *in_shape[end + 1 :])

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """0 everywhere: nothing is computed."""
        return np.zeros(in_shape, np.int64)

    def dense_ops(self, in_shape: Shape) -> int:
        """0: nothing is computed."""
        return 0

    def scatter(self, in_shape: Shape) -> CsrRows:
        """The identity."""
        n = size(in_shape)
        ones = np.ones(n, np.float32)
        return CsrRows(n, None, 1.0, None, np.arange(n + 1), np.arange(n, dtype=np.int32), ones)
