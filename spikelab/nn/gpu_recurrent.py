"""The operators of `recurrent` on CUDA tensors: a product and a Triton kernel per step.

The drive and the state at every step are kept; with `recompute` only input and output, and the backward pass runs
the steps once more. The gradient of the weights is one product over all steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikelab.nn.fused import AGAIN, arithmetic, kernel_of
from spikelab.nn.gpu import flat, given, on, spread, start

__all__ = ["recurrent", "recurrent_backward"]


class _Walk:
    """A layer's steps, run forward: a product and a kernel per step."""

    def __init__(self, key: str, x: Tensor, weight: Tensor, arrays: Sequence[Tensor], scalars: Sequence[float]):
        self.k, self.x, self.transposed = kernel_of(key), x.detach().contiguous(), weight.detach().t()
        self.given = given(arrays, scalars, x.shape[1:])
        self.nothing = x.new_empty(0, dtype=arithmetic(x.dtype))

    def run(self, z0: Tensor, began: Tensor, z: Tensor, kept: Tensor, drive: Tensor) -> Tensor:
        """Run all steps; drive and state before each go to `drive` and `kept` unless these are empty. Last state."""
        now, then = began.clone(), torch.empty_like(began)
        u = drive if len(drive) else torch.empty_like(z[:1])
        flat_u, flat_z, before = flat(u), flat(z), z0
        for t in range(len(z)):
            j = t if len(drive) else 0
            if len(kept):
                kept[t] = now
            torch.addmm(self.x[t], before, self.transposed, out=u[j])
            self.k.forward([flat_u[j : j + 1]], *self.given, now, flat_z[t : t + 1], then, self.nothing, 0)
            now, then, before = then, now, z[t]
        return now.clone()


def recurrent(
    x: Tensor,
    weight: Tensor,
    z0: Tensor,
    arrays: Sequence[Tensor],
    scalars: Sequence[float],
    state: Sequence[Tensor],
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output, last state, state and drive of each step."""
    walk, began = _Walk(key, x, weight, arrays, scalars), start(state, x)
    z = torch.empty_like(walk.x)
    n = len(x) if every > 0 else 0
    kept, drive = began.new_empty((n, *began.shape)), torch.empty_like(walk.x[:n])
    with on(x):
        end = walk.run(z0.detach(), began, z, kept, drive)
    return z, end, kept, drive


def recurrent_backward(
    x: Tensor,
    z: Tensor,
    weight: Tensor,
    z0: Tensor,
    arrays: Sequence[Tensor],
    scalars: Sequence[float],
    state: Sequence[Tensor],
    kept: Tensor,
    drive: Tensor,
    gz: Tensor,
    gs: Tensor | None,
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor | None], Tensor]:
    """Gradients of input, weights, first output, array coefficients, first state; `gs` None stands for zeros."""
    walk, z, z0, weight = _Walk(key, x, weight, arrays, scalars), z.detach(), z0.detach(), weight.detach()
    steps, gx = len(x), torch.empty_like(walk.x)
    shape, total = (len(walk.k.states), *x.shape[1:]), torch.empty_like(walk.x[0])
    now = x.new_zeros(shape, dtype=arithmetic(x.dtype)) if gs is None else gs.contiguous().clone()
    then, gc = torch.empty_like(now), now.new_zeros((len(walk.k.wanted), *x.shape[1:]))
    with on(x):
        if every == AGAIN:
            kept, drive = now.new_empty((steps, *now.shape)), torch.empty_like(walk.x)
            walk.run(z0, start(state, x), torch.empty_like(z), kept, drive)
        flat_gx, flat_u, flat_total = flat(gx), flat(drive), total.reshape(1, -1)
        for t in range(steps - 1, -1, -1):
            if t + 1 < steps:
                torch.addmm(gz[t], gx[t + 1], weight, out=total)
            else:
                total.copy_(gz[t])
            step = [flat_u[t : t + 1]], *walk.given, kept[t : t + 1], flat_total, now
            walk.k.backward(*step, [flat_gx[t : t + 1]], then, gc, 1)
            now, then = then, now
    gw = gx[0].t() @ z0
    gw.addmm_(gx[1:].reshape(-1, z.shape[-1]).t(), z[:-1].reshape(-1, z.shape[-1]))
    return gx, gw, gx[0] @ weight, spread(walk.k, arrays, gc), now.clone()
