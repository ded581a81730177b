"""The operators of `fused` and `recurrent` on CUDA tensors: Triton kernels in place of Numba's.

Importing this module registers them with torch where Triton is installed; torch then picks by the device
of the tensors. Autograd formulas, shapes for the compiler and keys are those of the CPU.

A recurrent layer takes one product and one kernel per step. Input, output and a state per segment of steps
are kept; the backward pass runs each segment once more for the drive and the state at every step. The
gradient of the weights is one product over all steps.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import spikelab.nn.recurrent  # noqa: F401  its operators must be there
from spikelab.neurons.kernel import EVERY
from spikelab.neurons.triton_kernel import triton_installed, triton_kernel
from spikelab.nn.fused import AGAIN, DTYPES, WRITERS, arithmetic, channels_last, empty_as, kernel_of

__all__ = ["has_kernel", "neuron", "neuron_backward", "recurrent", "recurrent_backward", "register"]


def has_kernel(x: Tensor) -> bool:
    """Whether fused kernels exist for tensors of this device and dtype."""
    return x.dtype in DTYPES.get(x.device.type, ())


def _on(x: Tensor) -> Any:
    """Triton launches on the current device: make it the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def _flat(x: Tensor, last: bool = False) -> Tensor:
    """[n, neurons] in memory order, from [n, B, *shape]; a view where x lies so."""
    x = x.detach()
    x = x.movedim(2, -1) if last else x
    return x.contiguous().view(len(x), math.prod(x.shape[1:]))


def _given(
    arrays: Sequence[Tensor], scalars: Sequence[float], shape: torch.Size, last: bool = False
) -> tuple[list[float], list[Tensor]]:
    """Numbers, and arrays over one sample, or over the batch where one differs in it."""
    whole = any(a.ndim == len(shape) and a.shape[0] > 1 for a in arrays)
    rows = [a.detach().expand(shape if whole else (1, *shape[1:])) for a in arrays]
    return list(scalars), [(a.movedim(1, -1) if last else a).reshape(-1) for a in rows]


def _start(state: Sequence[Tensor], x: Tensor) -> Tensor:
    """[states, B, *shape] state at the start, in the order of x [T, B, *shape]."""
    made = empty_as(x, len(state), arithmetic(x.dtype))
    for row, v in zip(made, state, strict=True):
        row.copy_(v)
    return made


def _segments(steps: int, every: int) -> int:
    return -(-steps // every) if every > 0 else 0


def neuron(
    x: list[Tensor], arrays: list[Tensor], scalars: list[float], state: list[Tensor], key: str, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`spikelab::neuron`: output, last state, checkpoints."""
    k, like, last = kernel_of(key), x[0], channels_last(x[0])
    start, z = _start(state, like), empty_as(like, len(like))
    end, kept = (empty_as(like, n * len(state), start.dtype) for n in (1, _segments(len(z), every)))
    given = [_flat(p, last) for p in x], *_given(arrays, scalars, z.shape[1:], last)
    with _on(like):
        k.forward(*given, _flat(start, last), _flat(z, last), _flat(end, last), _flat(kept, last), max(every, 0))
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
    start, gc = (empty_as(like, n, gs.dtype) for n in (len(gs), len(k.wanted)))
    given = [_flat(p, last) for p in x], *_given(arrays, scalars, gz.shape[1:], last)
    states, flat_gx = _flat(kept, last), [_flat(g, last) for g in gx]
    with _on(like):
        if every == AGAIN:
            every = k.every
            states = states.new_empty((_segments(len(gz), every) * len(gs), states.shape[1]))
            k.forward(*given, _flat(_start(state, like), last), None, _flat(start, last), states, every)
        gradients = _flat(gz, last), _flat(gs, last), flat_gx, _flat(start, last), _flat(gc.zero_(), last)
        k.backward(*given, states, *gradients, every)
    return gx, start, gc


class _Walk:
    """Segments of a recurrent layer's steps, run forward: a product and a kernel per step."""

    def __init__(self, key: str, x: Tensor, weight: Tensor, arrays: Sequence[Tensor], scalars: Sequence[float]):
        self.k, self.x, self.transposed = kernel_of(key), x.detach().contiguous(), weight.detach().t()
        self.given = _given(arrays, scalars, x.shape[1:])
        self.u = torch.empty_like(self.x[:EVERY])
        self.nothing = x.new_empty(0, dtype=arithmetic(x.dtype))

    def run(self, first: int, before: Tensor, z: Tensor, states: Tensor) -> None:
        """Run the steps of `z` [n, B, N], which begin at `first`, from `states[0]`; drives go to `u`."""
        flat_u, flat_z = _flat(self.u), _flat(z)
        for j in range(len(z)):
            torch.addmm(self.x[first + j], before, self.transposed, out=self.u[j])
            step = [flat_u[j : j + 1]], *self.given, states[j], flat_z[j : j + 1], states[j + 1]
            self.k.forward(*step, self.nothing, 0)
            before = z[j]

    def all(self, z0: Tensor, start: Tensor, z: Tensor, kept: Tensor) -> Tensor:
        """Run all steps; the state at the start of each segment goes to `kept` unless it is empty. Last state."""
        states, before = start.new_empty((EVERY + 1, *start.shape)), z0
        states[0] = start
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
    walk, start = _Walk(key, x, weight, arrays, scalars), _start(state, x)
    z = torch.empty_like(walk.x)
    kept = start.new_empty((_segments(len(x), every), *start.shape))
    with _on(x):
        end = walk.all(z0.detach(), start, z, kept)
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
    flat_gx, flat_u, flat_total = _flat(gx), _flat(walk.u), total.reshape(1, -1)
    with _on(x):
        if every == AGAIN:
            kept = now.new_empty((_segments(steps, EVERY), *now.shape))
            walk.all(z0, _start(state, x), torch.empty_like(z), kept)
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


def register(device: str) -> None:
    """Let Triton write and run the kernels of a type of device, in place of what did.

    Args:
        device: as in `Tensor.device.type`; `"cpu"` works in Triton's interpreter only.
    """
    WRITERS[device] = triton_kernel
    DTYPES[device] = (torch.float32, torch.bfloat16)
    operators: dict[str, Callable[..., Any]] = {
        "neuron": neuron,
        "neuron_backward": neuron_backward,
        "recurrent": recurrent,
        "recurrent_backward": recurrent_backward,
    }
    for name, function in operators.items():
        torch.library.register_kernel(f"spikelab::{name}", device, function)


if triton_installed():
    register("cuda")
