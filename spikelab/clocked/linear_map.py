"""`LinearMap`: a linear op on one input shape, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.ops import Op, OpCount
from spikelab.ops.scatter import Scatter, active

__all__ = ["LinearMap"]

Array = NDArray[Any]


class LinearMap:
    """A linear op on one input shape, in float32: `finish(add(x, zeros))`."""

    def __init__(self, op: Op, in_shape: tuple[int, ...]):
        self.op, self.in_shape, self.out_shape = op, in_shape, op.out_shape(in_shape)
        self.scatter: Scatter = op.scatter(in_shape)
        self.fan_out = op.fan_out(in_shape)

    def zeros(self, rows: int) -> Array:
        """Accumulator [rows, n]."""
        return np.zeros((rows, self.scatter.outputs), np.float32)

    def add(self, x: Array, acc: Array) -> None:
        """Add the contributions of x [rows, *in_shape]."""
        self.scatter.add(active(x.reshape(len(x), -1)), acc)

    def finish(self, acc: Array) -> Array:
        """[rows, *out_shape] with divisor and bias."""
        return self.scatter.finish(acc).reshape(len(acc), *self.out_shape)

    def count(self, x: Array) -> OpCount:
        """Operations for x [rows, *in_shape]."""
        return self.op.count(x, self.fan_out)
