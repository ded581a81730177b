"""Two-dimensional windows: `Conv2d`, `SumPool2d`, `AvgPool2d`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError, brief
from spikelab.ops.op import Op, Shape, real_array, real_bias, size
from spikelab.ops.scatter import Conv

__all__ = ["AvgPool2d", "Conv2d", "SumPool2d"]

Pair = tuple[int, int]


def _pair(value: Any, where: str, least: int) -> Pair:
    given = value.tolist() if isinstance(value, np.ndarray) else value
    pair = given if isinstance(given, tuple | list) else (given, given)
    if len(pair) != 2 or not all(is_whole(v) and v >= least for v in pair):
        raise ShapeError(
            f"{where}: found {brief(value)}; expected an integer from {least} on; write one, or two as (y, x)"
        )
    return int(pair[0]), int(pair[1])


def _window(what: str, in_shape: Shape, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    if len(in_shape) != 3:
        raise ShapeError(f"{what} expects an input (C, H, W), found {in_shape}; reshape it")
    out = []
    for n, k, s, p, d in zip(in_shape[1:], kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        if n + 2 * p < reach:
            raise ShapeError(
                f"{what}: window of {reach} does not fit an input of {in_shape} padded by {p}; use a smaller kernel"
            )
        out.append((n + 2 * p - reach) // s + 1)
    return out[0], out[1]


def _taps(n: int, out: int, k: int, s: int, p: int, d: int) -> NDArray[np.int64]:
    """[k, n] whether input position i is read by kernel tap q at some output position."""
    i = np.arange(n)[None, :]
    at = i + p - np.arange(k)[:, None] * d
    return np.asarray((at % s == 0) & (at >= 0) & (at // s < out), np.int64)


def _layout(channels: int, ho: int, wo: int) -> NDArray[np.int32]:
    """Place in the channels-last accumulator of each output (c, y, x)."""
    return np.arange(ho * wo * channels, dtype=np.int32).reshape(ho, wo, channels).transpose(2, 0, 1).reshape(-1).copy()


@dataclass(frozen=True, eq=False)
class _Window(Op):
    """What convolution and pooling share: a window that walks over (C, H, W)."""

    def _geometry(self) -> tuple[Pair, Pair, Pair, Pair]:
        raise NotImplementedError

    def _per_tap(self, channels: int) -> NDArray[np.int64]:
        """[C, kh, kw] non-zero weights that an input of channel c meets at each tap."""
        raise NotImplementedError

    def _meets(self, in_shape: Shape) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        kernel, stride, padding, dilation = self._geometry()
        ho, wo = self.out_shape(in_shape)[1:]
        ys = _taps(in_shape[1], ho, kernel[0], stride[0], padding[0], dilation[0])
        xs = _taps(in_shape[2], wo, kernel[1], stride[1], padding[1], dilation[1])
        return ys, xs

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """Non-zero weights that each pixel meets; fewer at borders and with strides."""
        ys, xs = self._meets(in_shape)
        return np.asarray(np.einsum("ckl,ky,lx->cyx", self._per_tap(in_shape[0]), ys, xs, optimize=True), np.int64)

    def dense_ops(self, in_shape: Shape) -> int:
        """Every pixel at every tap that it meets, zero weights included."""
        ys, xs = self._meets(in_shape)
        return int(ys.sum() * xs.sum()) * in_shape[0] * self._targets(in_shape[0])

    def _targets(self, channels: int) -> int:
        """Output channels that one input channel reaches."""
        return 1

    def _scatter(self, in_shape: Shape, weight: NDArray[np.float32], group: int, divisor: float, bias: Any) -> Conv:
        _, stride, padding, dilation = self._geometry()
        channels, ho, wo = self.out_shape(in_shape)
        geometry = np.array([group, *in_shape[1:], ho, wo, *stride, *padding, *dilation], np.int64)
        full = None if bias is None else np.repeat(bias, ho * wo)
        return Conv(size((channels, ho, wo)), _layout(channels, ho, wo), divisor, full, weight, geometry)


@dataclass(frozen=True, eq=False)
class Conv2d(_Window):
    """Cross-correlation as in torch, over (C, H, W).

    Args:
        weight: [out, in / groups, kh, kw].
        bias: [out] or None.
        stride: step of the window, one number or (y, x).
        padding: zeros around the input, one number or (y, x).
        dilation: distance between taps, one number or (y, x).
        groups: channel groups.

    Raises:
        ShapeError: shapes that do not fit, NaN or infinity.

    Example:
        >>> Conv2d(np.ones((4, 2, 3, 3)), padding=1).fan_out((2, 5, 5))[0, 0, 0]
        np.int64(16)
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    stride: Any = (1, 1)
    padding: Any = (0, 0)
    dilation: Any = (1, 1)
    groups: int = 1
    weighted = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", real_array(self.weight, "Conv2d.weight", 4))
        for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, _pair(getattr(self, name), f"Conv2d.{name}", least))
        out = self.weight.shape[0]
        if not is_whole(self.groups) or self.groups < 1 or out % self.groups:
            raise ShapeError(
                f"Conv2d.groups: found {self.groups!r}; expected a divisor of {out} output channels; change one of them"
            )
        object.__setattr__(self, "bias", real_bias(self.bias, "Conv2d.bias", out))

    def _geometry(self) -> tuple[Pair, Pair, Pair, Pair]:
        kh, kw = self.weight.shape[2:]
        return (kh, kw), self.stride, self.padding, self.dilation

    def out_shape(self, in_shape: Shape) -> Shape:
        """(out, Ho, Wo) for an input (in, H, W)."""
        ho, wo = _window("Conv2d", in_shape, *self._geometry())
        channels = self.weight.shape[1] * self.groups
        if in_shape[0] != channels:
            raise ShapeError(
                f"Conv2d expects {channels} channels, found {in_shape[0]} in {in_shape}; set in_channels={in_shape[0]}"
            )
        return (self.weight.shape[0], ho, wo)

    def _grouped(self) -> NDArray[np.float32]:
        """[in, kh, kw, out / groups] weights by input channel."""
        out, cig, kh, kw = self.weight.shape
        w = self.weight.reshape(self.groups, out // self.groups, cig, kh, kw)
        return np.ascontiguousarray(w.transpose(0, 2, 3, 4, 1).reshape(self.groups * cig, kh, kw, out // self.groups))

    def _per_tap(self, channels: int) -> NDArray[np.int64]:
        return np.asarray(np.count_nonzero(self._grouped(), axis=3), np.int64)

    def _targets(self, channels: int) -> int:
        return int(self.weight.shape[0]) // self.groups

    def scatter(self, in_shape: Shape) -> Conv:
        """Windows by input pixel."""
        return self._scatter(in_shape, self._grouped(), self.weight.shape[1], 1.0, self.bias)


@dataclass(frozen=True, eq=False)
class SumPool2d(_Window):
    """Sum over windows of each channel.

    Args:
        kernel_size: one number or (y, x).
        stride: as the kernel if None.
        padding: zeros around the input, at most half the kernel (as in torch: no window lies in the padding only).

    Raises:
        ShapeError: numbers that are not whole, or too much padding.
    """

    kernel_size: Any
    stride: Any = None
    padding: Any = (0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel_size", _pair(self.kernel_size, f"{self.kind}.kernel_size", 1))
        stride = self.kernel_size if self.stride is None else self.stride
        object.__setattr__(self, "stride", _pair(stride, f"{self.kind}.stride", 1))
        object.__setattr__(self, "padding", _pair(self.padding, f"{self.kind}.padding", 0))
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ShapeError(
                f"{self.kind}.padding: found {self.padding} beside kernel_size {self.kernel_size}; "
                "expected at most half the kernel; use less padding or a larger kernel"
            )

    def _geometry(self) -> tuple[Pair, Pair, Pair, Pair]:
        return self.kernel_size, self.stride, self.padding, (1, 1)

    def out_shape(self, in_shape: Shape) -> Shape:
        """(C, Ho, Wo) for an input (C, H, W)."""
        ho, wo = _window(self.kind, in_shape, *self._geometry())
        return (in_shape[0], ho, wo)

    def _per_tap(self, channels: int) -> NDArray[np.int64]:
        return np.ones((channels, *self.kernel_size), np.int64)

    def scatter(self, in_shape: Shape) -> Conv:
        """Windows by input pixel, weight 1."""
        weight = np.ones((in_shape[0], *self.kernel_size, 1), np.float32)
        return self._scatter(in_shape, weight, 1, 1.0, None)


@dataclass(frozen=True, eq=False)
class AvgPool2d(SumPool2d):
    """Mean over windows of each channel; padding counts, as torch does by default.

    Args:
        kernel_size: one number or (y, x).
        stride: as the kernel if None.
        padding: zeros around the input, at most half the kernel.

    Raises:
        ShapeError: numbers that are not whole, or too much padding.
    """

    def scatter(self, in_shape: Shape) -> Conv:
        """Windows by input pixel; the sum is divided at the end."""
        weight = np.ones((in_shape[0], *self.kernel_size, 1), np.float32)
        return self._scatter(in_shape, weight, 1, float(self.kernel_size[0] * self.kernel_size[1]), None)
