"""The loops that a user of torch writes: over `unbind`, because `x[t]` makes the backward quadratic in T."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikelab.bench.tasks import ConvTask, ShdTask

__all__ = [
    "ConvNet",
    "HardLIF",
    "ShdNet",
    "cuba_lif",
    "hard_lif",
    "leaky_mean",
    "lif",
    "lif_step",
    "linear",
]


class _SuperSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d: Tensor) -> Tensor:
        ctx.save_for_backward(d)
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (d,) = ctx.saved_tensors
        slope: Tensor = 1.0 / (10.0 * d.abs() + 1.0).square()
        return g * slope


class _ATan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d: Tensor) -> Tensor:
        ctx.save_for_backward(d)
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (d,) = ctx.saved_tensors
        slope: Tensor = 1.0 / (1.0 + (math.pi * d).square())
        return g * slope


def _spike(d: Tensor, kind: Any = _SuperSpike) -> Tensor:
    z: Tensor = kind.apply(d)
    return z


def lif_step(v: Tensor, u: Tensor, a: float) -> tuple[Tensor, Tensor]:
    """One step with a soft reset that gradients do not pass: potential and spikes."""
    v = a * v + u
    z = _spike(v - 1.0)
    return v - z.detach(), z


def lif(x: Tensor, a: float, step: Any = lif_step) -> Tensor:
    """Spikes [T, B, N] of LIF neurons with a soft reset; `step` may be a compiled `lif_step`."""
    v, out = torch.zeros_like(x[0]), []
    for u in x.unbind(0):
        v, z = step(v, u, a)
        out.append(z)
    return torch.stack(out)


def cuba_lif(x: Tensor, b: float, a: float) -> Tensor:
    """Spikes [T, B, N] of LIF neurons with a synaptic current."""
    i, v, out = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
    for u in x.unbind(0):
        i = b * i + u
        v, z = lif_step(v, i, a)
        out.append(z)
    return torch.stack(out)


def hard_lif(x: Tensor, a: float) -> Tensor:
    """Spikes [T, B, ...] of LIF neurons with a hard reset and the arc tangent as surrogate."""
    v, out = torch.zeros_like(x[0]), []
    for u in x.unbind(0):
        v = a * v + u
        z = _spike(v - 1.0, _ATan)
        v = v * (1.0 - z.detach())
        out.append(z)
    return torch.stack(out)


def leaky_mean(u: Tensor, a: float) -> Tensor:
    """[B, N] mean over time of a leaky integrator."""
    v = total = torch.zeros_like(u[0])
    for now in u.unbind(0):
        v = a * v + now
        total = total + v
    return total / len(u)


def linear(weight: Tensor, bias: Tensor | None = None) -> torch.nn.Linear:
    """A layer with a copy of these weights."""
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight.data.copy_(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer


class ShdNet(torch.nn.Module):
    """The net of `ShdTask`; peers put their layer in the place of `hidden`.

    Args:
        task: sizes and weights.
    """

    def __init__(self, task: ShdTask) -> None:
        super().__init__()
        self.w_in, self.w_rec, self.w_out = (linear(w) for w in (task.w_in, task.w_rec, task.w_out))
        self.decay = task.decay

    def hidden(self, u: Tensor) -> Tensor:
        """Spikes [T, B, hidden] of the recurrent layer."""
        v = z = torch.zeros_like(u[0])
        out = []
        for now in u.unbind(0):
            v, z = lif_step(v, now + self.w_rec(z), self.decay)
            out.append(z)
        return torch.stack(out)

    def readout(self, u: Tensor) -> Tensor:
        """[B, classes] scores."""
        return leaky_mean(u, self.decay)

    def forward(self, x: Tensor) -> Tensor:
        """[B, classes] scores."""
        return self.readout(self.w_out(self.hidden(self.w_in(x))))


class ConvNet(torch.nn.Module):
    """The layers of `ConvTask` and, between them, those that are given.

    Args:
        task: sizes and weights.
        between: one layer of neurons per convolution.
        batch_first: x is [B, T, C, H, W].
    """

    def __init__(self, task: ConvTask, between: list[torch.nn.Module], batch_first: bool = False) -> None:
        super().__init__()
        self.convolutions = torch.nn.ModuleList()
        for kernel in task.kernels:
            layer = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, bias=False)
            layer.weight.data.copy_(kernel)
            self.convolutions.append(layer)
        self.neurons = torch.nn.ModuleList(between)
        self.out = linear(task.w_out, task.bias)
        self.time = 1 if batch_first else 0

    def forward(self, x: Tensor) -> Tensor:
        """[B, classes] scores: what has no state runs on all steps at once."""
        first = x.shape[:2]
        for convolution, neurons in zip(self.convolutions, self.neurons, strict=True):
            z = neurons(convolution(x.flatten(0, 1)).unflatten(0, first))
            x = F.avg_pool2d(z.flatten(0, 1), 2).unflatten(0, first)
        scores: Tensor = self.out(x.flatten(2)).mean(self.time)
        return scores


class HardLIF(torch.nn.Module):
    """`hard_lif` as a layer.

    Args:
        decay: share of the potential that is left after a step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, ...]."""
        return hard_lif(x, self.decay)
