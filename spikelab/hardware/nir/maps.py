"""Our ops as NIR nodes.

Weights stand in the file times a factor (see `neurons.to_node`); `pull` finds the op that takes it.
Bias-free weights are written as Affine with a zero bias, since some readers drop Linear in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError, Violation
from spikelab.hardware.nir import scaling
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Op, Scale, Sparse, SumPool2d

__all__ = ["MOST_DENSE", "OPS", "Mapped", "pull", "scaled", "to_node"]

Array = NDArray[Any]
Shape = tuple[int, ...]

OPS = (Linear, Sparse, Scale, Conv2d, SumPool2d, AvgPool2d, Flatten)  # that have a node
MOST_DENSE = 2**28
"""Most entries of a Sparse op, which NIR can only say as a full matrix (1 GiB)."""


class Mapped(NamedTuple):
    """Type, fields and metadata of a node, and the entry that restores the op."""

    type: str
    fields: dict[str, Any]
    metadata: dict[str, Any]
    entry: dict[str, Any]


def pull(ops: Sequence[Op], shapes: Sequence[Shape], k: Array | None) -> tuple[int | None, Array | None]:
    """Move a factor on the result of ops back to the op that can take it.

    Args:
        ops: N ops in turn.
        shapes: N + 1 shapes before, between and after them.
        k: [*shapes[-1]] factor, or None for 1.

    Returns:
        Index of the op and factor [*its output]; (None, factor [*shapes[0]]) if it reaches the start;
        (N, k) if some op stands in the way.
    """
    stuck = len(ops), k
    for i in reversed(range(len(ops))):
        if k is None:
            return None, None
        op = ops[i]
        if isinstance(op, Conv2d):
            per_channel = k[:, :1, :1]
            return (i, k) if (k == per_channel).all() else stuck
        if isinstance(op, Linear | Sparse | Scale):
            return i, k
        if isinstance(op, Flatten):
            k = k.reshape(shapes[i])
        else:
            if (k != k.flat[0]).any():
                return stuck
            k = np.full(shapes[i], k.flat[0])
    return None, k


def to_node(op: Op, shape: Shape, k: Array | None) -> Mapped:
    """The node of an op.

    Args:
        op: one of `OPS`.
        shape: of its input.
        k: [*shape of its output] factor on weight and bias, or None.

    Raises:
        UnsupportedError: weights times the factor leave the range of float32.
    """
    entry: dict[str, Any] = {"op": op.kind}
    if isinstance(op, Flatten):
        n = len(shape)
        last = op.end % n
        fields = {
            "start_dim": np.int64(op.start % n),
            "end_dim": np.int64(-1 if last == n - 1 else last),
            "input_type": np.array(shape),
        }
        return Mapped("Flatten", fields, {}, entry | {"start": op.start, "end": op.end})
    if isinstance(op, SumPool2d):
        pairs = {name: np.array(getattr(op, name)) for name in ("kernel_size", "stride", "padding")}
        return Mapped(op.kind, pairs, {}, entry)
    metadata: dict[str, Any] = {}
    if isinstance(op, Scale):
        whole = np.broadcast_to(op.scale, shape)
        entry["shape"] = list(op.scale.shape)
        return Mapped("Scale", {"scale": _scaled(op, "scale", whole, k, metadata)}, metadata, entry)
    bias: Any = op.bias  # type: ignore[attr-defined]
    entry["bias"] = bias is not None
    per_row = None if k is None else k.reshape(len(k), -1)[:, 0]
    if isinstance(op, Conv2d):
        weight, kind = op.weight, "Conv2d"
        fields = {name: np.array(getattr(op, name)) for name in ("stride", "padding", "dilation")}
        fields |= {"groups": np.int64(op.groups), "input_shape": np.array(shape[1:])}
    else:
        weight, kind, fields = op.weight if isinstance(op, Linear) else _dense(op, metadata), "Affine", {}
    per_weight = None if per_row is None else per_row.reshape(-1, *[1] * (weight.ndim - 1))
    fields["weight"] = _scaled(op, "weight", weight, per_weight, metadata)
    fields["bias"] = np.zeros(len(weight), np.float32) if bias is None else _scaled(op, "bias", bias, per_row, metadata)
    if per_row is not None:
        metadata["factor"] = per_row if np.ptp(per_row) else np.float64(per_row[0])
    return Mapped(kind, fields, metadata, entry)


def scaled(k: Array) -> Mapped:
    """A Scale node of our own making: what no op could take."""
    return Mapped("Scale", {"scale": k.astype(np.float32)}, {}, {})


def _scaled(op: Op, name: str, w: Array, k: Array | None, metadata: dict[str, Any]) -> Array:
    if k is None:
        return np.asarray(w)
    file = scaling.scale(w, k)
    try:
        off = scaling.steps(w, k)
    except OverflowError:
        off = None
        file = np.array([np.inf])
    if not np.isfinite(file).all():
        largest = f"{np.abs(w).max():.3g} times {np.abs(k).max():.3g}"
        violation = Violation(
            "weight_fits_float32", f"{op.kind}.{name}", largest, "a float32", "scale the weights down"
        )
        raise UnsupportedError(violations=[violation])
    if off is not None:
        metadata[f"{name}_steps"] = off
    if name == "scale":
        metadata["factor"] = np.array(k) if np.ptp(k) else np.float64(k.flat[0])
    return file


def _dense(op: Any, metadata: dict[str, Any]) -> Array:
    weight = np.zeros(op.shape, np.float32)
    np.add.at(weight, (op.target, op.source), op.weight)
    metadata |= {"source": op.source, "target": op.target}
    pairs = op.target.astype(np.int64) * op.shape[1] + op.source
    if len(np.unique(pairs)) < len(pairs):
        metadata["synapses"] = op.weight  # several between one pair: the matrix holds only their sum
    return weight
