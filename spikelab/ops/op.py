"""`Op`: a map without state, held as data. Back-ends read it; no op applies itself.

`scatter` says how a linear op spreads one active source over its targets. The clocked reference and
the event-driven simulator use the same scatter, so both add the same numbers in the same order:
source by source, in the order of the flattened input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import short_repr, to_array
from spikelab.errors import ShapeError, UnsupportedError

__all__ = ["CSR", "Op", "OpCount", "Operand", "Shape", "operand_of", "real_array", "real_bias", "size"]

Shape = tuple[int, ...]
"""Sizes of the axes, without time and batch."""
Operand = Literal["binary", "integer", "real"]
"""What all values of an input are."""
_RANK: dict[str, int] = {"binary": 0, "integer": 1, "real": 2}


def size(shape: Shape) -> int:
    """Number of elements of a shape."""
    return int(np.prod(shape, dtype=np.int64))


class CSR(NamedTuple):
    """Linear map by source: source i reaches `indices[indptr[i]:indptr[i + 1]]`."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class OpCount:
    """What one op did in a run.

    Args:
        kind: class name of the op.
        operand: `"binary"` if all inputs were 0 or 1, `"integer"`, or `"real"`.
        active: inputs that were not zero.
        synaptic_ops: pairs of such an input and a weight that is not zero (borders left out).
        dense_ops: the same with every input active and every weight counted.
        steps: time steps times samples.
        weighted: whether its weights are synapses (pooling and scaling are counted beside them).
    """

    kind: str
    operand: Operand
    active: int
    synaptic_ops: int
    dense_ops: int
    steps: int
    weighted: bool

    def __add__(self, other: OpCount) -> OpCount:
        operand = max(self.operand, other.operand, key=_RANK.__getitem__)
        return OpCount(
            self.kind,
            operand,
            self.active + other.active,
            self.synaptic_ops + other.synaptic_ops,
            self.dense_ops + other.dense_ops,
            self.steps + other.steps,
            self.weighted,
        )


def real_array(value: Any, where: str, ndim: int | None = None) -> NDArray[np.float32]:
    """Own, read-only float32 copy of weights.

    Raises:
        ShapeError: wrong number of axes, not numbers, or NaN or infinity in it.
    """
    array = to_array(value, where)
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(
            f"{where}: found shape {array.shape}; expected {ndim} {'axis' if ndim == 1 else 'axes'}; reshape it"
        )
    if array.size == 0:
        raise ShapeError(
            f"{where}: found an empty array of shape {array.shape}; expected at least one number; leave the op out"
        )
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float32)
    if not np.isfinite(result).all():
        bad = np.argwhere(~np.isfinite(result))[0].tolist()
        raise ShapeError(
            f"{where}: found {result[tuple(bad)]} at {bad}; expected finite float32 numbers; mend the training run"
        )
    result.setflags(write=False)
    return result


def real_bias(value: Any, where: str, n: int) -> NDArray[np.float32] | None:
    """As `real_array` for a bias of `n` outputs; None stays None."""
    if value is None:
        return None
    bias = real_array(value, where, 1)
    if bias.shape != (n,):
        raise ShapeError(f"{where}: found shape {bias.shape}; expected ({n},); give one number per output, or None")
    return bias


@dataclass(frozen=True, eq=False)
class Op:
    """Base of all ops.

    Class attributes:
        linear: whether it is a linear map plus a bias (then it has `fan_out` and `scatter`).
        weighted: whether its weights are synapses: what comes out of it are no longer spikes.
    """

    linear: ClassVar[bool] = True
    weighted: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__repr__" not in vars(cls):  # before the dataclass gives it one that prints all numbers
            cls.__repr__ = short_repr  # type: ignore[method-assign]

    @property
    def kind(self) -> str:
        """Name of the op."""
        return type(self).__name__

    def out_shape(self, in_shape: Shape) -> Shape:
        """Shape of the output for an input of `in_shape` (no batch, no time).

        Raises:
            ShapeError: the input does not fit.
        """
        raise NotImplementedError

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """[*in_shape] number of non-zero weights that each input reaches."""
        raise UnsupportedError(f"{self.kind} is not linear; it has no fan_out")

    def scatter(self, in_shape: Shape) -> Any:
        """How one active input spreads over the outputs, see `spikelab.ops.scatter`."""
        raise UnsupportedError(f"{self.kind} is not linear; it has no scatter")

    def dense_ops(self, in_shape: Shape) -> int:
        """Multiply-accumulates of one application if no zero is skipped; padding does not count."""
        raise NotImplementedError

    def csr(self, in_shape: Shape) -> CSR:
        """The map without bias by source; its entries are in order of source, then target.

        Args:
            in_shape: shape of one input.
        """
        scatter = self.scatter(in_shape)
        n = size(in_shape)
        rows = [scatter.row(i) for i in range(n)]
        indptr = np.zeros(n + 1, np.int64)
        np.cumsum([len(r[0]) for r in rows], out=indptr[1:])
        indices = np.concatenate([r[0] for r in rows]) if rows else np.zeros(0, np.int32)
        weights = np.concatenate([r[1] for r in rows]) if rows else np.zeros(0, np.float32)
        return CSR(indptr, indices.astype(np.int32), weights.astype(np.float32))

    def count(self, x: NDArray[Any], fan_out: NDArray[np.int64] | None = None) -> OpCount:
        """Count the operations for inputs `x`.

        Args:
            x: [rows, *in_shape] inputs, one row per step and sample.
            fan_out: [*in_shape] where it is already known.

        Returns:
            Exact counts (int64).
        """
        in_shape = x.shape[1:]
        fan = (self.fan_out(in_shape) if fan_out is None else fan_out).reshape(-1)
        active = np.count_nonzero(x.reshape(len(x), -1), axis=0).astype(np.int64)
        return OpCount(
            self.kind,
            operand_of(x),
            int(active.sum()),
            int(active @ fan),
            self.dense_ops(in_shape) * len(x),
            len(x),
            self.weighted,
        )


def operand_of(x: NDArray[Any]) -> Operand:
    """Whether values are 0 or 1, whole numbers, or neither."""
    if x.dtype == np.bool_ or not x.size:
        return "binary"
    if np.all((x == 0) | (x == 1)):
        return "binary"
    return "integer" if x.dtype.kind in "iu" or bool(np.all(x == np.rint(x))) else "real"
