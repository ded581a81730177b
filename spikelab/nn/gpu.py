"""The operators of `fused` on CUDA tensors: Triton kernels in place of Numba's.

Autograd formulas, shapes for the compiler and keys are those of the CPU; `devices` registers these functions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spikelab.nn.fused import AGAIN, arithmetic, channels_last, empty_as, kernel_of

__all__ = ["flat", "given", "neuron", "neuron_backward", "on", "segments", "start"]


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


def segments(steps: int, every: int) -> int:
    """Checkpoints of so many steps; none where `every` is not above 0."""
    return -(-steps // every) if every > 0 else 0


def neuron(
    x: list[Tensor], arrays: list[Tensor], scalars: list[float], state: list[Tensor], key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`spikelab::neuron`: output, last state, checkpoints."""
    k, like, last = kernel_of(key), x[0], channels_last(x[0])
    first, z = start(state, like), empty_as(like, len(like))
    end, kept = (empty_as(like, n * len(state), first.dtype) for n in (1, segments(len(z), every)))
    step = [flat(p, last) for p in x], *given(arrays, scalars, z.shape[1:], last)
    with on(like):
        k.forward(*step, flat(first, last), flat(z, last), flat(end, last), flat(kept, last), max(every, 0))
    return z, end, kept


def neuron_backward(
    x: list[Tensor],
    arrays: list[Tensor],
    scalars: list[float],
    state: list[Tensor],
    kept: Tensor,
    gz: Tensor,
    gs: Tensor,
    key: str,
    every: int,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """`spikelab::neuron_backward`: gradients of the inputs, of the first state, of the coefficients."""
    k, like, last = kernel_of(key), x[0], channels_last(x[0])
    gx = [empty_as(like, len(like)) for _ in x]
    gs0, gc = (empty_as(like, n, gs.dtype) for n in (len(gs), len(k.wanted)))
    step = [flat(p, last) for p in x], *given(arrays, scalars, gz.shape[1:], last)
    states, flat_gx = flat(kept, last), [flat(g, last) for g in gx]
    with on(like):
        if every == AGAIN:
            every = k.every
            states = states.new_empty((segments(len(gz), every) * len(gs), states.shape[1]))
            k.forward(*step, flat(start(state, like), last), None, flat(gs0, last), states, every)
        gradients = flat(gz, last), flat(gs, last), flat_gx, flat(gs0, last), flat(gc.zero_(), last)
        k.backward(*step, states, *gradients, every)
    return gx, gs0, gc
