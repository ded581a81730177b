"""Pooling of images that lie channels last: sums over windows that touch, forward and backward.

torch's own pooling takes longer than the neurons do (13 ms a pass of 33 MB on one core, a copy takes 4 ms),
and its backward pass first lays channels-last gradients out anew.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import njit, prange
from torch import Tensor

from spikelab.neurons.threads import usable
from spikelab.nn.fused import Layout, channels_last

__all__ = ["pool", "pools"]

_JIT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}


@njit(**_JIT)
def _copy(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] = x[i]


@njit(**_JIT)
def _add(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] += x[i]


@njit(**_JIT)
def _divide(y: Any, divisor: Any) -> None:
    for i in range(y.size):
        y[i] /= divisor


@njit(**_JIT)
def _share(g: Any, gx: Any, divisor: Any) -> None:
    for i in range(g.size):
        gx[i] = g[i] / divisor


def _forward(x: Any, y: Any, kh: int, kw: int, divisor: Any, parts: int) -> None:
    rows = y.shape[0] * y.shape[1]
    for part in prange(parts):
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            r, h = row // y.shape[1], row % y.shape[1]
            for w in range(y.shape[2]):
                for a in range(kh):
                    for b in range(kw):
                        if a + b == 0:
                            _copy(x[r, h * kh, w * kw], y[r, h, w])
                        else:
                            _add(x[r, h * kh + a, w * kw + b], y[r, h, w])
            if divisor != 1:
                _divide(y[r, h].reshape(-1), divisor)


def _backward(g: Any, gx: Any, kh: int, kw: int, divisor: Any, parts: int) -> None:
    rows = gx.shape[0] * gx.shape[1]
    for part in prange(parts):
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            r, h = row // gx.shape[1], row % gx.shape[1]
            for w in range(gx.shape[2]):
                if h // kh < g.shape[1] and w // kw < g.shape[2]:
                    _share(g[r, h // kh, w // kw], gx[r, h, w], divisor)
                else:
                    gx[r, h, w] = 0  # behind the last whole window


_FORWARD = [njit(parallel=p, **_JIT)(_forward) for p in (False, True)]
_BACKWARD = [njit(parallel=p, **_JIT)(_backward) for p in (False, True)]


def _images(x: Tensor) -> Any:
    """[T * B, H, W, C], a view."""
    return x.detach().movedim(2, -1).flatten(0, 1).numpy()


def _pooled(x: Tensor, kh: int, kw: int) -> tuple[int, ...]:
    return (x.shape[1], x.shape[2], x.shape[3] // kh, x.shape[4] // kw)


@torch.library.custom_op("spikelab::pool", mutates_args=())
def _pool(x: Tensor, kh: int, kw: int, divisor: float) -> Tensor:
    y = Layout(_pooled(x, kh, kw), x.dtype, last=True).empty(len(x))
    images = _images(x)
    parts = usable(torch.get_num_threads(), x.numel())
    _FORWARD[parts > 1](images, _images(y), kh, kw, images.dtype.type(divisor), parts)
    return y


@_pool.register_fake
def _(x: Tensor, kh: int, kw: int, divisor: float) -> Tensor:
    b, c, h, w = _pooled(x, kh, kw)
    return x.new_empty((len(x), b, h, w, c)).movedim(-1, 2)


@torch.library.custom_op("spikelab::pool_backward", mutates_args=())
def _pool_backward(g: Tensor, shape: list[int], kh: int, kw: int, divisor: float) -> Tensor:
    layout = Layout(tuple(shape[1:]), g.dtype, last=True)
    gx = layout.empty(shape[0])
    g = g if channels_last(g) else g.movedim(2, -1).contiguous().movedim(-1, 2)
    images = _images(g)
    parts = usable(torch.get_num_threads(), gx.numel())
    _BACKWARD[parts > 1](images, _images(gx), kh, kw, images.dtype.type(divisor), parts)
    return gx


@_pool_backward.register_fake
def _(g: Tensor, shape: list[int], kh: int, kw: int, divisor: float) -> Tensor:
    t, b, c, h, w = shape
    return g.new_empty((t, b, h, w, c)).movedim(-1, 2)


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, *ctx.window = inputs
    ctx.shape = list(x.shape)


def _gradient(ctx: Any, g: Tensor) -> Any:
    return _pool_backward(g, ctx.shape, *ctx.window), None, None, None


_pool.register_autograd(_gradient, setup_context=_setup)


def pools(x: Tensor, kernel: Any, stride: Any, padding: Any) -> bool:
    """Whether `pool` takes this: CPU images that lie channels last, windows that touch, no padding."""
    plain = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and channels_last(x)
    return plain and _pair(kernel) == _pair(stride) and _pair(padding) == (0, 0) and x.numel() > 0


def pool(x: Tensor, kernel: Any, divisor: float) -> Tensor:
    """Sum over windows, divided.

    Args:
        x: [T, B, C, H, W], channels last in memory.
        kernel: size of the windows, one number or (height, width).
        divisor: 1 for sums, the size of a window for means.

    Returns:
        [T, B, C, H // height, W // width], channels last in memory.
    """
    y: Tensor = _pool(x, *_pair(kernel), float(divisor))
    return y


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))
