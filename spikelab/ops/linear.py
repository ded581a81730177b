"""Dense and sparse weights: `Linear`, `Sparse`, `Scale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole, to_array
from spikelab.errors import ShapeError
from spikelab.ops.op import Op, Shape, real_array, real_bias, size
from spikelab.ops.scatter import CsrRows, DenseRows

__all__ = ["Linear", "Scale", "Sparse"]


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """Dense weights: y = W x + b.

    Args:
        weight: [out, in] weights.
        bias: [out] or None.

    Raises:
        ShapeError: wrong axes, or NaN or infinity.

    Example:
        >>> Linear([[1.0, 0.0], [2.0, 3.0]]).fan_out((2,))
        array([2, 1])
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    weighted = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", real_array(self.weight, "Linear.weight", 2))
        object.__setattr__(self, "bias", real_bias(self.bias, "Linear.bias", self.weight.shape[0]))

    def out_shape(self, in_shape: Shape) -> Shape:
        """(out,) for an input (in,)."""
        n_in = self.weight.shape[1]
        if in_shape != (n_in,):
            advice = "put Flatten() before it" if size(in_shape) == n_in else f"set in_features={size(in_shape)}"
            raise ShapeError(f"Linear expects {n_in} inputs, found {size(in_shape)} from {in_shape}; {advice}")
        return (self.weight.shape[0],)

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """Non-zero weights of each column."""
        return np.asarray(np.count_nonzero(self.weight, axis=0), np.int64)

    def dense_ops(self, in_shape: Shape) -> int:
        """in * out."""
        return self.weight.size

    def scatter(self, in_shape: Shape) -> DenseRows:
        """Rows of the transposed weight."""
        return DenseRows(len(self.weight), None, 1.0, self.bias, np.ascontiguousarray(self.weight.T))


@dataclass(frozen=True, eq=False)
class Sparse(Op):
    """Sparse weights, as a list of synapses; several synapses between one pair add up.

    Args:
        source: [S] index of the input of each synapse.
        target: [S] index of its output.
        weight: [S] weights.
        shape: (out, in).
        bias: [out] or None.

    Raises:
        ShapeError: unequal lengths, an index outside the shape, NaN or infinity.

    Example:
        >>> Sparse([0, 0, 1], [0, 2, 1], [1.0, 2.0, 3.0], shape=(3, 2)).fan_out((2,))
        array([2, 1])
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    weight: NDArray[np.float32]
    shape: tuple[int, int]
    bias: NDArray[np.float32] | None = None
    weighted = True

    def __post_init__(self) -> None:
        weight = real_array(self.weight, "Sparse.weight", 1)
        object.__setattr__(self, "shape", _matrix(self.shape))
        n_out, n_in = self.shape
        ends = {}
        for name, limit in (("source", n_in), ("target", n_out)):
            index = to_array(getattr(self, name), f"Sparse.{name}")
            if index.dtype.kind not in "iu" or index.shape != weight.shape:
                raise ShapeError(
                    f"Sparse.{name}: found {index.dtype} of shape {index.shape}; "
                    f"expected integers of shape {weight.shape}; give source, target and weight of every synapse"
                )
            if index.size and (index.min() < 0 or index.max() >= limit):
                raise ShapeError(
                    f"Sparse.{name}: found {index.min()} to {index.max()}; expected 0 to {limit - 1}; "
                    "set shape=(out, in) or mend the indices"
                )
            ends[name] = index.astype(np.int32)
        order = np.lexsort((ends["target"], ends["source"]))
        for name, value in (*ends.items(), ("weight", weight)):
            value = np.ascontiguousarray(value[order])
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "bias", real_bias(self.bias, "Sparse.bias", n_out))

    def out_shape(self, in_shape: Shape) -> Shape:
        """(out,) for an input (in,)."""
        n_in = self.shape[1]
        if in_shape != (n_in,):
            advice = "put Flatten() before it" if size(in_shape) == n_in else "change its shape"
            raise ShapeError(f"Sparse expects {n_in} inputs, found {size(in_shape)} from {in_shape}; {advice}")
        return (self.shape[0],)

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """Non-zero synapses of each source."""
        return np.bincount(self.source[self.weight != 0], minlength=self.shape[1]).astype(np.int64)

    def dense_ops(self, in_shape: Shape) -> int:
        """Number of synapses: what is not stored is not computed."""
        return self.weight.size

    def scatter(self, in_shape: Shape) -> CsrRows:
        """Synapses by source."""
        indptr = np.zeros(self.shape[1] + 1, np.int64)
        np.cumsum(np.bincount(self.source, minlength=self.shape[1]), out=indptr[1:])
        return CsrRows(self.shape[0], None, 1.0, self.bias, indptr, self.target, self.weight)


def _matrix(shape: Any) -> tuple[int, int]:
    fits = isinstance(shape, tuple | list) and len(shape) == 2 and all(is_whole(n) for n in shape)
    if not fits or min(shape) < 1:
        raise ShapeError(f"Sparse.shape: found {shape!r}; expected two integers from 1 on; write shape=(out, in)")
    return int(shape[0]), int(shape[1])


@dataclass(frozen=True, eq=False)
class Scale(Op):
    """Multiply element by element: y = scale * x.

    Args:
        scale: number, or array that broadcasts to the input.
    """

    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", real_array(self.scale, "Scale.scale"))

    def out_shape(self, in_shape: Shape) -> Shape:
        """As the input."""
        try:
            fits = np.broadcast_shapes(self.scale.shape, in_shape) == in_shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"Scale of shape {self.scale.shape} does not broadcast to its input {in_shape}; reshape scale"
            )
        return in_shape

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """1 where the factor is not zero."""
        return np.asarray(np.broadcast_to(self.scale, in_shape) != 0, np.int64)

    def dense_ops(self, in_shape: Shape) -> int:
        """One per element."""
        return size(in_shape)

    def scatter(self, in_shape: Shape) -> CsrRows:
        """A diagonal."""
        n = size(in_shape)
        weight = np.ascontiguousarray(np.broadcast_to(self.scale, in_shape)).reshape(-1)
        return CsrRows(n, None, 1.0, None, np.arange(n + 1), np.arange(n, dtype=np.int32), weight)
