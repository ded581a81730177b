"""Ops from nodes as any program writes them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from spikelab.errors import FormatError, UnsupportedError, Violation
from spikelab.hardware.nir.node import Node
from spikelab.ops import AvgPool2d, Conv2d, Flatten, Linear, Op, Scale, SumPool2d

__all__ = ["foreign_op"]

Array = NDArray[Any]
Shape = tuple[int, ...]


def foreign_op(node: Node, shape: Shape | None = None) -> tuple[Op, ...]:
    """Ops of a node.

    Args:
        node: a node that is no neuron and no Delay.
        shape: of its input, where known: then `input_shape` and `input_type` are compared with it.

    Raises:
        FormatError: fields of the wrong kind or shape.
        UnsupportedError: a form that spikelab has no op for.
    """
    kind = node.type
    if kind in ("Affine", "Linear"):
        weight = node.numbers("weight")
        if weight.ndim != 2:
            advice = "write one Affine node per matrix"
            violation = Violation(
                "weight_is_a_matrix", f"{node.path}, node {node.name}", f"shape {weight.shape}", "[out, in]", advice
            )
            raise UnsupportedError(violations=[violation])
        return (Linear(weight, _bias(node, len(weight)) if kind == "Affine" else None),)
    if kind == "Scale":
        scale = node.numbers("scale")
        return (Scale(scale.flat[0] if (scale == scale.flat[0]).all() else scale),)
    if kind in ("SumPool2d", "AvgPool2d"):
        pool = SumPool2d if kind == "SumPool2d" else AvgPool2d
        return (pool(*(node.integers(name, 2) for name in ("kernel_size", "stride", "padding"))),)
    if kind == "Flatten":
        _same(node, "input_type", shape)
        return (Flatten(node.integers("start_dim", 1)[0], node.integers("end_dim", 1)[0]),)
    if kind == "Conv2d":
        return (_conv(node, shape),)
    raise FormatError(node.path, f"node {node.name} of type {kind}: no op")


def _same(node: Node, name: str, shape: Shape | None) -> None:
    if name in node.fields and shape is not None:
        found = node.integers(name, len(shape))
        if found != shape:
            raise node.bad(name, found, f"{shape}, which is what arrives there")


def _bias(node: Node, n: int) -> Array | None:
    bias = node.numbers("bias")
    if bias.shape != (n,):
        raise node.bad("bias", f"shape {bias.shape}", f"({n},), one per output")
    return bias if bias.any() else None


def _conv(node: Node, shape: Shape | None) -> Conv2d:
    weight = node.numbers("weight", 4)
    _same(node, "input_shape", None if shape is None else shape[1:])
    stride, dilation = node.integers("stride", 2), node.integers("dilation", 2)
    padding: Any = node.fields["padding"]
    if padding == "valid" if isinstance(padding, str) else False:
        padding = (0, 0)
    elif isinstance(padding, str):
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if padding != "same" or stride != (1, 1) or any(r % 2 for r in reach):
            found = f"{padding!r} with stride {stride} and kernel {weight.shape[2:]}"
            advice = "write the padding as two numbers"
            violation = Violation(
                "padding_is_symmetric", f"{node.path}, node {node.name}", found, "equal zeros on both sides", advice
            )
            raise UnsupportedError(violations=[violation])
        padding = (reach[0] // 2, reach[1] // 2)
    else:
        padding = node.integers("padding", 2)
    return Conv2d(weight, _bias(node, len(weight)), stride, padding, dilation, node.integers("groups", 1)[0])
