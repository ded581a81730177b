"""The primitives on torch tensors: the reference that autograd differentiates.

A plain loop over `step` with these is what the fused kernels must equal, and what runs on devices
for which no kernel is written.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelab.neurons.primitives import (
    EXP_COEFFICIENTS,
    EXP_HIGH,
    EXP_LOW,
    EXPREL_SERIES,
    EXPREL_SERIES_BELOW,
    LN2_HIGH,
    LN2_LOW,
    LOG2_E,
)
from spikelab.nn.surrogate import Surrogate

__all__ = ["TorchPrimitives"]


class _Exp(torch.autograd.Function):
    """The polynomial of `neurons.primitives.exp_polynomial`, operation by operation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            y = x.exp()
        else:
            x = x.clamp(EXP_LOW, EXP_HIGH)
            n = torch.floor(x * LOG2_E + 0.5)
            r = (x - n * LN2_HIGH) - n * LN2_LOW
            y = torch.full_like(r, EXP_COEFFICIENTS[0])
            for c in EXP_COEFFICIENTS[1:]:
                y = y * r + c
            y = (y * (r * r) + r) + 1.0
            y = y * ((n.to(torch.int32) + 127) << 23).view(torch.float32)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        y: Tensor = ctx.saved_tensors[0]
        return g * y


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d: Tensor, f: TorchPrimitives) -> Tensor:
        ctx.save_for_backward(d)
        ctx.f = f
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (d,) = ctx.saved_tensors
        return g * ctx.f.surrogate.slope(d, ctx.f), None


class _Reach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d: Tensor, f: TorchPrimitives) -> Tensor:
        ctx.save_for_backward(d)
        ctx.f = f
        return (d >= 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (d,) = ctx.saved_tensors
        return g * ctx.f.surrogate.slope(d, ctx.f), None


class _Truncate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.trunc()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


class _Count(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: Tensor, most: Tensor, f: TorchPrimitives) -> Tensor:
        ctx.save_for_backward(v, threshold, most)
        ctx.f = f
        return torch.minimum(torch.floor(v / threshold).clamp(min=0), most)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None, None]:
        v, threshold, most = ctx.saved_tensors
        f = ctx.f
        nearest = torch.minimum(torch.floor((v + 0.5 * threshold) / threshold).clamp(min=0), most).clamp(min=1)
        through = g * f.surrogate.slope(v - nearest * threshold, f)
        return through, (0.0 - through * nearest).sum_to_size(threshold.shape), None, None


class _Select(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(z, a, b)
        return torch.where(z != 0, a, b)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, a, b = ctx.saved_tensors
        zero = g.new_zeros(())
        ga, gb = torch.where(z != 0, g, zero), torch.where(z != 0, zero, g)
        return (g * (a - b)).sum_to_size(z.shape), ga.sum_to_size(a.shape), gb.sum_to_size(b.shape)


class TorchPrimitives:
    """The `f` of a step on tensors.

    Args:
        surrogate: derivative of the spike.
        dtype: of constants.
        through_reset: make `detach` the identity.
        relaxed: smooth stand-in for the spike `(d, f) -> z`; `select` then mixes. For gradient checks.
    """

    def __init__(self, surrogate: Surrogate, dtype: torch.dtype, *, through_reset: bool = False, relaxed: Any = None):
        self.surrogate, self.dtype, self.through_reset, self.relaxed = surrogate, dtype, through_reset, relaxed

    def constant(self, value: float) -> Tensor:
        """A number of the dtype."""
        return torch.tensor(value, dtype=self.dtype)

    def spike(self, d: Tensor) -> Tensor:
        """1 where d > 0; the surrogate backward."""
        z: Tensor = self.relaxed(d, self) if self.relaxed is not None else _Spike.apply(d, self)
        return z

    def reach(self, d: Tensor) -> Tensor:
        """1 where d >= 0; the surrogate backward."""
        z: Tensor = self.relaxed(d, self) if self.relaxed is not None else _Reach.apply(d, self)
        return z

    def gate(self, d: Tensor) -> Tensor:
        """1 where d > 0; no gradient."""
        return (d > 0).to(d.dtype)

    def select(self, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """a where z is not 0, else b."""
        y: Tensor = b + z * (a - b) if self.relaxed is not None else _Select.apply(z, a, b)
        return y

    def detach(self, x: Tensor) -> Tensor:
        """x without its gradient, unless gradients pass the reset."""
        return x if self.through_reset or self.relaxed is not None else x.detach()

    def exp(self, x: Tensor) -> Tensor:
        """e to the x."""
        y: Tensor = _Exp.apply(x)
        return y

    def exprel(self, x: Tensor) -> Tensor:
        """(e^x - 1) / x."""
        near = x.abs() < EXPREL_SERIES_BELOW
        safe = torch.where(near, torch.ones_like(x), x)
        series = torch.full_like(x, EXPREL_SERIES[0])
        for c in EXPREL_SERIES[1:]:
            series = series * x + c
        return torch.where(near, series, (self.exp(safe) - 1.0) / safe)

    def sigmoid(self, x: Tensor) -> Tensor:
        """1 / (1 + e^-x)."""
        return torch.div(self.constant(1.0), 1.0 + self.exp(-x))

    def tanh(self, x: Tensor) -> Tensor:
        """Hyperbolic tangent."""
        return torch.div(self.constant(2.0), 1.0 + self.exp(-2.0 * x)) - 1.0

    def divide(self, a: Tensor, b: Tensor) -> Tensor:
        """a / b."""
        return torch.div(a, b)

    def maximum(self, a: Tensor, b: Tensor) -> Tensor:
        """The larger; the gradient goes to the first where it is strictly larger, else to the second."""
        return torch.where(a > b, a, b)

    def minimum(self, a: Tensor, b: Tensor) -> Tensor:
        """The smaller; the gradient goes to the first where it is strictly smaller, else to the second."""
        return torch.where(b > a, a, b)

    def truncate(self, x: Tensor) -> Tensor:
        """Round toward zero; the identity backward."""
        y: Tensor = _Truncate.apply(x)
        return y

    def count(self, v: Tensor, threshold: Tensor, most: Tensor) -> Tensor:
        """Whole thresholds in v; the surrogate at the nearest one backward."""
        z: Tensor = _Count.apply(v, threshold, most, self)
        return z
