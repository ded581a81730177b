"""Independent definitions of the ops: pure Python loops over sources in order, in float32."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

Synapse = tuple[int, int, np.float32]  # source, target, weight, both flattened


def _taps(
    channels: tuple[int, int, int], out: tuple[int, int, int], kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Iterator[Any]:
    (_, h, w), (_, ho, wo) = channels, out
    for oy in range(ho):
        for ox in range(wo):
            for ky in range(kernel[0]):
                for kx in range(kernel[1]):
                    y, x = (
                        oy * stride[0] - padding[0] + ky * dilation[0],
                        ox * stride[1] - padding[1] + kx * dilation[1],
                    )
                    if 0 <= y < h and 0 <= x < w:
                        yield oy, ox, ky, kx, y, x


def _conv(op: Any, in_shape: tuple[int, int, int]) -> list[Synapse]:
    weight, out = op.weight, op.out_shape(in_shape)
    co, per_group, kh, kw = weight.shape
    (_, h, w), (_, ho, wo) = in_shape, out
    found = []
    for oy, ox, ky, kx, y, x in _taps(in_shape, out, (kh, kw), op.stride, op.padding, op.dilation):
        for o in range(co):
            for k in range(per_group):
                i = o // (co // op.groups) * per_group + k
                found.append(((i * h + y) * w + x, (o * ho + oy) * wo + ox, weight[o, k, ky, kx]))
    return found


def _pool(op: Any, in_shape: tuple[int, int, int]) -> list[Synapse]:
    out = op.out_shape(in_shape)
    (c, h, w), (_, ho, wo) = in_shape, out
    taps = list(_taps(in_shape, out, op.kernel_size, op.stride, op.padding, (1, 1)))
    return [
        ((i * h + y) * w + x, (i * ho + oy) * wo + ox, np.float32(1)) for i in range(c) for oy, ox, _, _, y, x in taps
    ]


def _synapses(op: Any, in_shape: tuple[int, ...]) -> list[Synapse]:
    if op.kind == "Conv2d":
        found = _conv(op, in_shape)  # type: ignore[arg-type]
    elif op.kind in ("SumPool2d", "AvgPool2d"):
        found = _pool(op, in_shape)  # type: ignore[arg-type]
    elif op.kind == "Linear":
        found = [(i, o, op.weight[o, i]) for o in range(op.weight.shape[0]) for i in range(op.weight.shape[1])]
    elif op.kind == "Sparse":
        found = list(zip(op.source.tolist(), op.target.tolist(), op.weight, strict=True))
    else:
        scale = np.broadcast_to(op.scale, in_shape).reshape(-1)
        found = [(i, i, s) for i, s in enumerate(scale)]
    return sorted(found, key=lambda s: s[0])


def _applied(op: Any, x: np.ndarray) -> np.ndarray:
    in_shape = x.shape[1:]
    out_shape, synapses, rows = op.out_shape(in_shape), _synapses(op, in_shape), []
    for row in x.reshape(len(x), -1):
        y = [np.float32(0)] * int(np.prod(out_shape))
        for i, o, w in synapses:
            if row[i] != 0:
                y[o] = y[o] + row[i] * w
        rows.append(np.array(y, np.float32).reshape(out_shape))
    result = np.stack(rows)
    if op.kind == "AvgPool2d":
        result = result / np.float32(np.prod(op.kernel_size))
    bias = getattr(op, "bias", None)
    return result if bias is None else result + bias.reshape(-1, *(1,) * (len(out_shape) - 1))


@pytest.fixture(scope="session")
def synapses() -> Callable[..., list[Synapse]]:
    """All (source, target, weight) of an op, zero weights included, in order of the source."""
    return _synapses


@pytest.fixture(scope="session")
def applied() -> Callable[..., np.ndarray]:
    """Apply an op to [rows, *in_shape] float32: sums in order of the sources, zeros skipped."""
    return _applied
