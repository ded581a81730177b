"""The operators of `fused` on CUDA tensors: Triton kernels in place of Numba's.

Autograd formulas and keys are those of the CPU; `devices` puts these functions into the table.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spikelab.nn.fused import AGAIN, arithmetic, channels_last, empty_as, kernel_of

__all__ = ["flat", "given", "neuron", "neuron_backward", "on", "segments", "spread", "start"]


def on(x: Tensor) -> Any:
    """Triton launches on the current device: make it the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def flat(x: Tensor, last: bool = False) -> Tensor:
    """[n, neurons] in memory order, from [n, B, *shape]; a view where x lies so."""
    x = x.detach()
    x = x.movedim(2, -1) if last else x
    return x.contiguous().view(len(x), math.prod(x.shape[1:]))


def given(
    arrays: Sequence[Tensor], scalars: Sequence[float], shape: torch.Size, last: bool = False
) -> tuple[list[float], list[Tensor]]:
    """Numbers, and arrays over one sample, or over the batch where one differs in it."""
    whole = any(a.ndim == len(shape) and a.shape[0] > 1 for a in arrays)
    rows = [a.detach().expand(shape if whole else (1, *shape[1:])) for a in arrays]
    return list(scalars), [(a.movedim(1, -1) if last else a).reshape(-1) for a in rows]


def start(state: Sequence[Tensor], x: Tensor) -> Tensor:
    """[states, B, *shape] state at the start, in the order of x [T, B, *shape]."""
    made = empty_as(x, len(state), arithmetic(x.dtype))
    for row, v in zip(made, state, strict=True):
        row.copy_(v)
    return made


def spread(k: Any, arrays: Sequence[Tensor], gc: Tensor) -> list[Tensor | None]:
    """Gradients of the array coefficients, summed to their shapes, from those of all neurons [wanted, B, *shape]."""
    return [
        gc[k.wanted.index(n)].sum_to_size(v.shape) if n in k.wanted else None
        for n, v in zip(k.arrays, arrays, strict=True)
    ]


def segments(steps: int, every: int) -> int:
    """Checkpoints of so many steps; none where `every` is not above 0."""
    return -(-steps // every) if every > 0 else 0


def neuron(
    x: Sequence[Tensor],
    arrays: Sequence[Tensor],
    scalars: Sequence[float],
    state: Sequence[Tensor],
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, last state, checkpoints of T steps."""
    k, like, last = kernel_of(key), x[0], channels_last(x[0])
    first, z = start(state, like), empty_as(like, len(like))
    end, kept = (empty_as(like, n * len(state), first.dtype) for n in (1, segments(len(z), every)))
    step = [flat(p, last) for p in x], *given(arrays, scalars, z.shape[1:], last)
    with on(like):
        k.forward(*step, flat(first, last), flat(z, last), flat(end, last), flat(kept, last), max(every, 0))
    return z, end, kept


def neuron_backward(
    x: Sequence[Tensor],
    arrays: Sequence[Tensor],
    scalars: Sequence[float],
    state: Sequence[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor | None,
    key: str,
    every: int,
) -> tuple[list[Tensor], Tensor, list[Tensor | None]]:
    """Gradients of the inputs, of the first state, of the array coefficients; `gs` None stands for zeros."""
    k, like, last = kernel_of(key), x[0], channels_last(x[0])
    gx = [empty_as(like, len(like)) for _ in x]
    states, dtype = len(k.states), arithmetic(like.dtype)
    gs0, gc = (empty_as(like, n, dtype) for n in (states, len(k.wanted)))
    gs = empty_as(like, states, dtype).zero_() if gs is None else gs
    step = [flat(p, last) for p in x], *given(arrays, scalars, gz.shape[1:], last)
    before, flat_gx = flat(kept, last), [flat(g, last) for g in gx]
    with on(like):
        if every == AGAIN:
            every = k.every
            before = before.new_empty((segments(len(gz), every) * states, before.shape[1]))
            k.forward(*step, flat(start(state, like), last), None, flat(gs0, last), before, every)
        gradients = flat(gz, last), flat(gs, last), flat_gx, flat(gs0, last), flat(gc.zero_(), last)
        k.backward(*step, before, *gradients, every)
    return gx, gs0, spread(k, arrays, gc)
