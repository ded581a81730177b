"""Our ops from the nodes and metadata that `maps.to_node` made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError, Violation
from spikelab.hardware.nir import scaling
from spikelab.hardware.nir.foreign_ops import foreign_op
from spikelab.hardware.nir.node import Node
from spikelab.ops import Conv2d, Flatten, Linear, Op, Scale, Sparse

__all__ = ["own_op"]

Array = NDArray[Any]


def own_op(entry: dict[str, Any], node: Node) -> Op:
    """An op from the node and entry that `to_node` made.

    Raises:
        FormatError: fields or metadata of another kind or shape.
        UnsupportedError: weights where the sparse op has no synapse.
    """
    kind = entry["op"]
    expected = "Affine" if kind in ("Linear", "Sparse") else kind
    if node.type != expected:
        raise node.bad("type", node.type, f"{expected}, as the metadata say")
    if kind == "Flatten":
        return Flatten(int(entry["start"]), int(entry["end"]))
    if kind in ("SumPool2d", "AvgPool2d"):
        return foreign_op(node)[0]
    if kind == "Scale":
        whole = _restored(node, "scale", node.numbers("scale").ndim)
        small = tuple(entry["shape"])
        drop = whole.ndim - len(small)
        if drop < 0 or any(a not in (1, b) for a, b in zip(small, whole.shape[max(drop, 0) :], strict=True)):
            raise node.bad("metadata", f"a factor of shape {small}", f"one that broadcasts to {whole.shape}")
        index = (0,) * drop + tuple(0 if n == 1 else slice(None) for n in small)
        scale = np.asarray(whole[index]).reshape(small)
        if not np.allclose(np.broadcast_to(scale, whole.shape), whole, rtol=1e-6, atol=0):
            raise _edited(node, "values that differ along an axis of one factor")
        return Scale(scale)
    weight = _restored(node, "weight", 4 if kind == "Conv2d" else 2)
    bias = _restored(node, "bias", 1) if entry["bias"] else None
    if kind == "Conv2d":
        pairs = {name: node.integers(name, 2) for name in ("stride", "padding", "dilation")}
        return Conv2d(weight, bias, groups=node.integers("groups", 1)[0], **pairs)
    return Linear(weight, bias) if kind == "Linear" else _sparse(node, weight, bias)


def _sparse(node: Node, dense: Array, bias: Array | None) -> Sparse:
    source, target = _ends(node, "source", dense.shape[1]), _ends(node, "target", dense.shape[0])
    if source.shape != target.shape:
        raise node.bad("metadata", "unequal lists of synapses", "source and target of each synapse")
    rest = dense.copy()
    rest[target, source] = 0
    if rest.any():
        raise _edited(node, "weights where the metadata have no synapse")
    weight = dense[target, source]
    if "synapses" in node.metadata:
        weight = np.asarray(node.metadata["synapses"])
        if weight.shape != source.shape or weight.dtype != np.float32:
            raise node.bad("metadata", "synapses of another shape", "one weight per synapse")
        total = np.zeros_like(dense)
        np.add.at(total, (target, source), weight)
        if not np.allclose(total, dense, rtol=1e-5, atol=1e-30):
            raise _edited(node, "weights that are not the sum of the synapses in the metadata")
    return Sparse(source, target, weight, (dense.shape[0], dense.shape[1]), bias)


def _ends(node: Node, name: str, limit: int) -> Any:
    index: Any = node.metadata.get(name)
    listed = isinstance(index, np.ndarray) and index.dtype.kind == "i" and index.ndim == 1 and index.size > 0
    if listed and index.min() >= 0 and index.max() < limit:
        return index
    raise node.bad(f"metadata.{name}", "no list of synapses", f"indices from 0 to {limit - 1}")


def _edited(node: Node, found: str) -> UnsupportedError:
    advice = "read the graph as it stands with foreign=True"
    return UnsupportedError(
        violations=[
            Violation("file_is_as_written", f"{node.path}, node {node.name}", found, "what spikelab wrote", advice)
        ]
    )


def _restored(node: Node, name: str, ndim: int) -> Array:
    file = node.numbers(name, ndim).astype(np.float32)
    k, off = node.metadata.get("factor"), node.metadata.get(f"{name}_steps")
    if k is None:
        return file
    k = np.asarray(k)
    if k.dtype.kind != "f" or not np.isfinite(k).all() or (k == 0).any():
        raise node.bad("metadata.factor", "no finite factor", "numbers other than 0")
    if k.ndim == 1 and name == "weight":
        k = k.reshape(-1, *[1] * (ndim - 1))
    if k.ndim and (k.ndim != ndim or any(a not in (1, b) for a, b in zip(k.shape, file.shape, strict=True))):
        raise node.bad("metadata.factor", f"shape {k.shape}", f"one that fits {file.shape}")
    if off is not None and (not isinstance(off, np.ndarray) or off.dtype != np.int8 or off.shape != file.shape):
        raise node.bad(f"metadata.{name}_steps", "another type or shape", f"int8 of shape {file.shape}")
    return scaling.restore(file, k, off)
