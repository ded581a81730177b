"""The parallel form of sliding neurons: all steps at once, as one filter over time and one comparison."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelab.neurons.sliding_psn import SlidingPSN
from spikelab.nn.devices import has_kernel
from spikelab.nn.fused import Coefficients, fused, kernel_of, named_kernel
from spikelab.nn.inputs import must_be_finite
from spikelab.nn.neuron import LayerState, Neuron
from spikelab.nn.primitives import TorchPrimitives
from spikelab.nn.surrogate import Surrogate

__all__ = ["Sliding", "filtered", "fire"]

_COMPARISON = SlidingPSN(weights=[1.0], v_threshold=0.0)
_STEPS = 16  # of a block: products of this many rows were the fastest on two CPUs, for orders of 4 to 32 (measured)
_RECURRENT_UP_TO = 16  # on a CPU the fused kernel is faster up to this order (measured)


def fire(d: Tensor, surrogate: Surrogate) -> Tensor:
    """Spikes of all steps at once.

    Args:
        d: [T, B, *shape] distance from the threshold [V].
        surrogate: derivative of the spike.

    Returns:
        [T, B, *shape] 1 where d > 0, else 0.
    """
    if d.device.type != "cpu" or not has_kernel(d):
        return TorchPrimitives(surrogate, d.dtype).spike(d)
    key = named_kernel(_COMPARISON, surrogate, d.dtype, (), (), False)
    values = {"w0": 1.0, "v_threshold": 0.0}
    c = Coefficients([values[name] for name in kernel_of(key).scalars], [])
    z, _ = fused([d], c, [torch.zeros_like(d[0])], key, recompute=True)
    return z


def _band(weights: Tensor, steps: int) -> Tensor:
    """Matrix [steps, steps + k - 1] whose row t holds the weights, oldest first, from column t on."""
    k = len(weights)
    band = weights.new_zeros(steps, steps + k)
    band[:, :k] = weights.flip(0)
    return band.reshape(-1)[: steps * (steps + k - 1)].reshape(steps, steps + k - 1)


class _Filter(torch.autograd.Function):
    """Blocks of steps, each one product with the same banded matrix: the work grows with T, not with T squared."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor) -> Tensor:
        before = len(weights) - 1
        steps = len(x) - before
        band = _band(weights, min(_STEPS, steps))
        h = x.new_empty(steps, x.shape[1])
        for a in range(0, steps, len(band)):
            n = min(len(band), steps - a)
            torch.mm(band[:n, : n + before], x[a : a + n + before], out=h[a : a + n])
        ctx.save_for_backward(x, weights)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weights = ctx.saved_tensors
        before, steps = len(weights) - 1, len(g)
        band = _band(weights, min(_STEPS, steps))
        gx = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        gb = torch.zeros_like(band)
        for a in range(0, steps, len(band)):
            n = min(len(band), steps - a)
            if gx is not None:
                gx[a : a + n + before].addmm_(band[:n, : n + before].t(), g[a : a + n])
            if ctx.needs_input_grad[1]:
                gb[:n, : n + before].addmm_(g[a : a + n], x[a : a + n + before].t())
        gw = torch.stack([gb.diagonal(before - k).sum() for k in range(before + 1)])
        return gx, gw if ctx.needs_input_grad[1] else None


def filtered(x: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums over the last k steps.

    Args:
        x: [k - 1 + T, B, *shape] input, with the k - 1 steps before the first.
        weights: [k] or [k, *shape], newest first.

    Returns:
        [T, B, *shape]: `w[0] x[t] + w[1] x[t-1] + ...`

    Example:
        >>> x = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 0.0]).reshape(6, 1, 1)
        >>> filtered(x, torch.tensor([0.5, 0.25, 0.125])).flatten()
        tensor([0.5000, 0.2500, 0.1250, 0.0000])
    """
    k = len(weights)
    steps = len(x) - k + 1
    if weights.ndim == 1:
        h: Tensor = _Filter.apply(x.flatten(1), weights)
        return h.reshape(steps, *x.shape[1:])
    total = weights[0] * x[k - 1 :]
    for i in range(1, k):
        total = total + weights[i] * x[k - 1 - i : k - 1 - i + steps]
    return total


def _like(x: Tensor, value: Any) -> Tensor:
    return (value if isinstance(value, Tensor) else torch.tensor(value)).to(x)


class Sliding(Neuron):
    """A layer of `neurons.SlidingPSN` that has both forms: step after step, and all steps at once."""

    parallel: bool | None = None
    """Which form runs; None takes the faster one. They differ by rounding: sums are taken in another order. With
    recurrent weights, and with `recompute=True`, which keeps nothing for the backward pass, it is the recurrent one."""

    def forward(self, x: Tensor, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """Run T steps: see `Neuron.forward`."""
        model: Any = self.model
        fast = self.use_fused and isinstance(x, Tensor) and has_kernel(x) and model.order <= _RECURRENT_UP_TO
        one_by_one = self.recurrent or self.recompute or self.relaxed is not None or self.parallel is False
        if one_by_one or (self.parallel is None and fast):
            return super().forward(x, state)
        self._need_dt()
        self._inputs(x)
        must_be_finite(x, type(self).__name__)
        if state is None:
            state = self.initial(x)
        self._check_state(x, state)
        model = self.learnt_model()
        before = torch.stack([v.to(x) for v in state.neuron[::-1]])
        whole = torch.cat([before, x])
        h = filtered(whole[len(before) - model.order + 1 :], _like(x, model.weights))
        z = fire(h - _like(x, model.v_threshold), self.surrogate)
        return z, LayerState(self.model.State(*whole[-len(before) :].flip(0).unbind(0)))
