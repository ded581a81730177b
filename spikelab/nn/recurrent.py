"""Recurrent layers as torch operators: T steps in which the spikes of a layer come back to it.

Two ways to the same numbers, but for the order of their sums. A silent layer adds the weights of the
neurons that spiked, sample by sample, all steps in one kernel; a busy one multiplies the whole batch
by the weights, step by step. Which is faster hangs on the share of outputs that are not 0, so that
share, counted over one segment of steps, decides how the next segment is run.

Between forward and backward pass the drive and the state at every step are kept; with `recompute`
only input and output, and the backward pass runs the segments once more. The gradient of the weights
is one product over all steps, by the spikes alone where they are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikelab.neurons.kernel import EVERY, Kernel
from spikelab.nn.fused import AGAIN, OPERATORS, Coefficients, Layout, keep_signature, kernel_of, only_backward
from spikelab.nn.nonzero import find
from spikelab.nn.sparse import sparse_up_to, weight_gradient

__all__ = ["fused_recurrent", "recurrent", "recurrent_backward"]

Array = NDArray[Any]


def _adds(share: float, samples: int, features: int) -> bool:
    """Whether adding the weights of spiking neurons is faster than a product of the whole batch."""
    if samples < 8 or features <= 64:
        return True  # the product is not worth its call
    return share < (0.4 if features <= 512 else 0.1)  # the weights fit the second cache, or they do not


class _FewThreads:
    """One thread for products too small to share: waking threads every step costs more than it gives."""

    def __init__(self, samples: int, features: int):
        self.small = samples * features * features < 2_000_000  # about 0.04 ms on one core here

    def __enter__(self) -> int:
        self.before = torch.get_num_threads()
        if self.small:
            torch.set_num_threads(1)
        return self.before

    def __exit__(self, *_: object) -> None:
        if self.small:
            torch.set_num_threads(self.before)


class _Walk:
    """A layer's segments of steps, run forward: by adding or by products."""

    def __init__(self, k: Kernel, x: Tensor, weight: Tensor, c: Coefficients):
        self.k, self.x, self.layout = k, x, Layout.of(x)
        self.samples, self.features = x.shape[1:]
        self.neurons = self.samples * self.features
        self.c, self.a = self.layout.numbers(k, c.arrays, c.scalars)
        self.rows = np.ascontiguousarray(weight.numpy().T)
        self.transposed = weight.t()
        self.adds = True  # the activity of the first segment is not known

    def run(self, first: int, before: Tensor, s: Array, z: Tensor, kept: tuple[Tensor, Array] | None = None) -> Array:
        """Run the steps of `z` [n, B, N], which begin at `first`; state at the end. Drive and states go to `kept`."""
        x, end = self.x[first : first + len(z)], np.empty_like(s)
        with _FewThreads(self.samples, self.features) as threads:
            if self.adds:
                flat = None if kept is None else (_flat(kept[0]), kept[1])
                found = self.k.recurrent(
                    _flat(x), self.c, self.a, self.rows, before.numpy(), s, _flat(z), end, flat, threads
                )
            else:
                found = self._multiply(x, before, s, z, end, kept, threads)
        self.adds = _adds(found / z.numel(), self.samples, self.features)
        return end

    def _multiply(self, x: Tensor, before: Tensor, s: Array, z: Tensor, end: Array, kept: Any, threads: int) -> int:
        u = torch.empty_like(x) if kept is None else kept[0]
        flat_u, flat_z, none = _flat(u), _flat(z), s[None, :, :0]
        now, then = s.copy(), end
        for t in range(len(x)):
            if kept is not None:
                kept[1][t] = now
            torch.addmm(x[t], before, self.transposed, out=u[t])
            self.k.forward([flat_u[t : t + 1]], self.c, self.a, now, flat_z[t : t + 1], then, none, 0, threads)
            now, then, before = then, now, z[t]
        if now is not end:
            end[...] = now
        return int(z.count_nonzero())


def _flat(x: Tensor) -> Array:
    return x.reshape(x.shape[0], -1).numpy()


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
    """Output, last state, state and drive of each step, of T steps on the CPU."""
    k, x = kernel_of(key), x.detach().contiguous()
    walk = _Walk(k, x, weight.detach(), Coefficients(list(scalars), list(arrays)))
    start = walk.layout.stacked([v.detach() for v in state])
    z, n = walk.layout.empty(len(x)), len(x) if every > 0 else 0
    drive, kept = walk.layout.empty(n), walk.layout.empty(n * len(start)).unflatten(0, (n, len(start)))
    flat_kept = kept.view(n, len(start), walk.neurons).numpy()
    s, before = start.reshape(len(start), walk.neurons).numpy(), z0.detach().contiguous()
    for first in range(0, len(x), EVERY):
        part = slice(first, first + EVERY)
        s = walk.run(first, before, s, z[part], (drive[part], flat_kept[part]) if n else None)
        before = z[part][-1]
    return z, torch.from_numpy(s).reshape(start.shape).clone(), kept, drive


def recurrent_backward(
    x: Tensor,
    z: Tensor,
    weight: Tensor,
    z0: Tensor,
    arrays: list[Tensor],
    scalars: list[float],
    state: list[Tensor],
    kept: Tensor,
    drive: Tensor,
    gz: Tensor,
    gs: Tensor | None,
    key: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor | None], Tensor]:
    """Gradients of input, weights, first output, array coefficients, first state; `gs` None stands for zeros."""
    k, x, z, gz, z0 = kernel_of(key), x.detach().contiguous(), z.detach(), gz.contiguous(), z0.detach().contiguous()
    weight = weight.detach()
    walk = _Walk(k, x, weight, Coefficients(list(scalars), list(arrays)))
    steps, shape, neurons, states = len(x), tuple(x.shape[1:]), walk.neurons, len(k.states)
    gx, gc = walk.layout.empty(steps), np.zeros((len(k.wanted), neurons), k.dtype)
    flat_gx = _flat(gx)
    a = np.zeros((states, neurons), k.dtype)
    if gs is not None:
        a[...] = gs.contiguous().reshape(states, neurons).numpy()
    b, total = np.empty_like(a), torch.empty_like(x[0])
    flat_total = total.reshape(1, -1).numpy()
    if every == AGAIN:
        parts = _again(walk, z, z0, walk.layout.stacked([v.detach() for v in state]))
    else:
        parts = iter([(0, _flat(drive), kept.view(steps, states, neurons).numpy())])
    for first, u, s in parts:
        with _FewThreads(*shape) as threads:
            for j in range(len(u) - 1, -1, -1):
                t = first + j
                if t + 1 < steps:
                    torch.addmm(gz[t], gx[t + 1], weight, out=total)
                else:
                    total.copy_(gz[t])
                step = [u[j : j + 1]], walk.c, walk.a, s[j : j + 1], flat_total, a
                k.backward(*step, [flat_gx[t : t + 1]], b, gc, 1, threads)
                a, b = b, a
    gw = _weight_gradient(gx, z, z0)
    gs0 = torch.from_numpy(a).reshape(states, *shape)
    return gx, gw, gx[0] @ weight, walk.layout.summed(k, arrays, gc), gs0


def _weight_gradient(g: Tensor, z: Tensor, z0: Tensor) -> Tensor:
    """Sum over steps and samples of g[t] z[t - 1]^T, by the spikes where they are few."""
    rows, before, threads = g[1:].flatten(0, 1), z[:-1].flatten(0, 1), torch.get_num_threads()
    most = sparse_up_to(len(rows), rows.shape[1]) if len(rows) else 0.0
    found = find(before.numpy(), most, threads) if most > 0 else None
    first = g[0].t() @ z0
    if found is None:
        return first.addmm_(rows.t(), before)
    return first.add_(torch.from_numpy(weight_gradient(before.numpy(), found, rows.numpy(), threads)).t())


def _again(walk: _Walk, z: Tensor, z0: Tensor, start: Tensor) -> Iterator[tuple[int, Array, Array]]:
    """Drive and states of each segment, made anew, the last segment first."""
    begins = []
    s, u = start.reshape(len(start), walk.neurons).numpy(), torch.empty_like(z[:EVERY])
    scratch, kept = torch.empty_like(u), np.empty((EVERY, *s.shape), s.dtype)
    for first in range(0, len(z), EVERY):
        begins.append((first, z[first - 1] if first else z0, s, walk.adds))
        s = walk.run(first, begins[-1][1], s, scratch[: len(z) - first])
    for first, before, s, adds in reversed(begins):
        n = min(EVERY, len(z) - first)
        walk.adds = adds  # the way it was run, for sums in another order may differ
        walk.run(first, before, s, scratch[:n], (u[:n], kept[:n]))
        yield first, _flat(u[:n]), kept[:n]


class _Recurrent(torch.autograd.Function):
    """The operators with their autograd. Arguments: key, every, scalars, number of arrays, tensors."""

    @staticmethod
    def forward(
        key: str, every: int, scalars: list[float], arrays: int, x: Tensor, weight: Tensor, z0: Tensor, *rest: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # products among tensors that have their dtype already
            return OPERATORS[x.device.type].recurrent(x, weight, z0, rest[:arrays], scalars, rest[arrays:], key, every)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.key, ctx.every, ctx.scalars, ctx.arrays, x, weight, z0, *rest = inputs
        z, _, kept, drive = output
        ctx.set_materialize_grads(False)
        used = rest if ctx.every == AGAIN else rest[: ctx.arrays]
        ctx.save_for_backward(x, z, weight, z0, kept, drive, *used)
        ctx.mark_non_differentiable(kept, drive)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gz: Tensor | None, gs: Tensor | None, *_: Any) -> Any:
        x, z, weight, z0, kept, drive, *rest = ctx.saved_tensors
        gz = torch.zeros_like(z) if gz is None else gz
        arrays, state = rest[: ctx.arrays], rest[ctx.arrays :]
        run = OPERATORS[x.device.type].recurrent_backward
        with torch.autocast(x.device.type, enabled=False):
            gx, gw, gz0, gc, start = run(
                x, z, weight, z0, arrays, ctx.scalars, state, kept, drive, gz, gs, ctx.key, ctx.every
            )
        return None, None, None, None, gx, gw, gz0, *gc, *start.unbind(0)


keep_signature(_Recurrent)


def fused_recurrent(
    x: Tensor,
    weight: Tensor,
    z0: Tensor,
    c: Coefficients,
    state: Sequence[Tensor],
    key: str,
    recompute: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run T steps with recurrent weights: the input of a step is x[t] + W z[t - 1].

    Args:
        x: [T, B, N].
        weight: [N, N] recurrent weights (to, from).
        z0: [B, N] output of the step before the first.
        c: coefficients.
        state: per state variable [B, N].
        key: of `named_kernel`.
        recompute: keep nothing for the backward pass but arguments and output.

    Returns:
        Output [T, B, N] and state at the end [states, B, N].

    Raises:
        UnsupportedError: an input has a forward-mode tangent.
    """
    only_backward(x, weight, z0, *c.arrays, *state)
    tensors = (x, weight, z0, *c.arrays, *state)
    wanted = torch.is_grad_enabled() and any(v.requires_grad for v in tensors)
    every = 0 if not wanted else AGAIN if recompute else 1  # steps between kept states
    z, end, _, _ = _Recurrent.apply(key, every, c.scalars, len(c.arrays), *tensors)
    return z, end
