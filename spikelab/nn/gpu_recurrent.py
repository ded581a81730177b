"""The operators of `recurrent` on CUDA tensors: a product and a Triton kernel per step.

Input, output and a state per segment of steps are kept; the backward pass runs each segment once more for the
drive and the state at every step. The gradient of the weights is one product over all steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikelab.neurons.kernel import EVERY
from spikelab.nn.fused import AGAIN, arithmetic, kernel_of
from spikelab.nn.gpu import flat, given, on, segments, start

__all__ = ["recurrent", "recurrent_backward"]


class _Walk:
    """Segments of a recurrent layer's steps, run forward: a product and a kernel per step."""

    def __init__(self, key: str, x: Tensor, weight: Tensor, arrays: Sequence[Tensor], scalars: Sequence[float]):
        self.k, self.x, self.transposed = kernel_of(key), x.detach().contiguous(), weight.detach().t()
        self.given = given(arrays, scalars, x.shape[1:])
        self.u = torch.empty_like(self.x[:EVERY])
        self.nothing = x.new_empty(0, dtype=arithmetic(x.dtype))

    def run(self, first: int, before: Tensor, z: Tensor, states: Tensor) -> None:
        """Run the steps of `z` [n, B, N], which begin at `first`, from `states[0]`; drives go to `u`."""
        flat_u, flat_z = flat(self.u), flat(z)
        for j in range(len(z)):
            torch.addmm(self.x[first + j], before, self.transposed, out=self.u[j])
            step = [flat_u[j : j + 1]], *self.given, states[j], flat_z[j : j + 1], states[j + 1]
            self.k.forward(*step, self.nothing, 0)
            before = z[j]

    def all(self, z0: Tensor, state: Tensor, z: Tensor, kept: Tensor) -> Tensor:
        """Run all steps; the state at the start of each segment goes to `kept` unless it is empty. Last state."""
        states, before = state.new_empty((EVERY + 1, *state.shape)), z0
        states[0] = state
        for first in range(0, len(z), EVERY):
            if len(kept):
                kept[first // EVERY] = states[0]
            part = z[first : first + EVERY]
            self.run(first, before, part, states)
            states[0], before = states[len(part)], part[-1]
        return states[0].clone()


def recurrent(
    x: Tensor,
    weight: Tensor,
    z0: Tensor,
    arrays: list[Tensor],
    scalars: list[float],
    state: list[Tensor],
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`spikelab::recurrent`: output, last state, state per segment; how each was run, which is always by products."""
    walk, began = _Walk(key, x, weight, arrays, scalars), start(state, x)
    z = torch.empty_like(walk.x)
    kept = began.new_empty((segments(len(x), every), *began.shape))
    with on(x):
        end = walk.all(z0.detach(), began, z, kept)
    return z, end, kept, torch.zeros(len(kept), dtype=torch.bool, device=x.device)


def recurrent_backward(
    x: Tensor,
    z: Tensor,
    weight: Tensor,
    z0: Tensor,
    arrays: list[Tensor],
    scalars: list[float],
    state: list[Tensor],
    kept: Tensor,
    added: Tensor,
    gz: Tensor,
    gs: Tensor,
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`spikelab::recurrent_backward`: gradients of input, weights, first output, coefficients, first state."""
    walk, z, z0, weight = _Walk(key, x, weight, arrays, scalars), z.detach(), z0.detach(), weight.detach()
    steps, gx, scratch = len(x), torch.empty_like(walk.x), torch.empty_like(walk.u)
    now, total = gs.contiguous().clone(), torch.empty_like(walk.x[0])
    then, gc = torch.empty_like(now), now.new_zeros((len(walk.k.wanted), *x.shape[1:]))
    states = now.new_empty((EVERY + 1, *now.shape))
    flat_gx, flat_u, flat_total = flat(gx), flat(walk.u), total.reshape(1, -1)
    with on(x):
        if every == AGAIN:
            kept = now.new_empty((segments(steps, EVERY), *now.shape))
            walk.all(z0, start(state, x), torch.empty_like(z), kept)
        for segment in range(len(kept) - 1, -1, -1):
            first = segment * EVERY
            n = min(EVERY, steps - first)
            states[0] = kept[segment]
            walk.run(first, z[first - 1] if first else z0, scratch[:n], states)
            for t in range(first + n - 1, first - 1, -1):
                if t + 1 < steps:
                    torch.addmm(gz[t], gx[t + 1], weight, out=total)
                else:
                    total.copy_(gz[t])
                j = t - first
                step = [flat_u[j : j + 1]], *walk.given, states[j : j + 1], flat_total, now
                walk.k.backward(*step, [flat_gx[t : t + 1]], then, gc, 1)
                now, then = then, now
    gw = gx[0].t() @ z0
    gw.addmm_(gx[1:].reshape(-1, z.shape[-1]).t(), z[:-1].reshape(-1, z.shape[-1]))
    return gx, gw, gx[0] @ weight, gc, now.clone()
